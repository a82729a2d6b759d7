// Command noskip reads the output of go test -json and fails if a test was skipped.
//
// It prints what go test prints without -v, and in addition why a test was skipped.
// Its last line counts the tests, subtests included.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	r := newReport(os.Stdout)
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "noskip:", err)
		os.Exit(2)
	}
	if !r.summary() {
		os.Exit(1)
	}
}

// An event is a line of go test -json; "go doc test2json" describes it.
type event struct {
	test

	Action string
	Output string
}

// A test is named by its package and its own name, which is empty for what
// concerns the package as a whole.
type test struct{ Package, Test string }

// A report prints what is worth reading and counts the rest.
type report struct {
	out    io.Writer
	output map[test]*bytes.Buffer // of tests that have not ended
	broken bool                   // a package failed: by a test, or by itself

	passed, failed, skipped int
}

func newReport(out io.Writer) *report {
	return &report{out: out, output: make(map[test]*bytes.Buffer)}
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) != nil:
			fmt.Fprintf(r.out, "%s", line) // go test itself has something to say
		case e.Test == "":
			r.pkg(e)
		default:
			r.test(e)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// test handles an event of a single test.
func (r *report) test(e event) {
	switch e.Action {
	case "output":
		r.keep(e)
	case "pass":
		r.passed++
		delete(r.output, e.test)
	case "fail":
		r.failed++
		r.print(e.test)
	case "skip":
		r.skipped++
		r.print(e.test)
	}
}

// pkg handles an event of a package as a whole.
func (r *report) pkg(e event) {
	switch e.Action {
	case "output":
		r.keep(e)
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "pass":
		for line := range strings.Lines(r.output[e.test].String()) {
			if strings.HasPrefix(line, "ok") {
				fmt.Fprint(r.out, line)
			}
		}
		delete(r.output, e.test)
	case "skip": // it has no tests
		delete(r.output, e.test)
	case "fail":
		r.broken = true
		// A test that took the program down with it has not ended.
		for t := range r.output {
			if t.Package == e.Package && t != e.test {
				r.print(t)
			}
		}
		r.print(e.test)
	}
}

// keep adds to what will be printed if the test does not pass.
func (r *report) keep(e event) {
	if strings.HasPrefix(e.Output, "=== ") {
		return // only says that the test runs
	}
	if r.output[e.test] == nil {
		r.output[e.test] = new(bytes.Buffer)
	}
	fmt.Fprint(r.output[e.test], e.Output)
}

func (r *report) print(t test) {
	if b := r.output[t]; b != nil {
		fmt.Fprint(r.out, b)
		delete(r.output, t)
	}
}

// summary prints the last line and reports whether all is well.
func (r *report) summary() bool {
	if r.skipped > 0 {
		fmt.Fprintln(r.out, "\nHere a skipped test is a failure: install what it asks for.")
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	return r.passed > 0 && r.failed == 0 && r.skipped == 0 && !r.broken
}
