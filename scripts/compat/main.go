// Command compat fills in the tables of test/conformance/rows.md: for every row of
// the reference it looks for tests that carry the row's id in their name, and
// writes which files they are in. A row that no test names must have a status
// that says why, and an id in a test's name must be that of a row.
//
// The row SIO-BC-1 is found in strings, where names of subtests and scenarios
// are, in the names of Go functions, as TestSIO_BC_1_BC_2_WhatTheyShow, and in
// the names of transcripts, *.txtar.
//
// Without -write it only checks, and fails if the document is not up to date.
package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const document = "test/conformance/rows.md"

var (
	// rowID matches what the reference calls its rows.
	rowID = regexp.MustCompile(`\b(?:EIO|SIO|ECO|CLI)-[A-Z0-9]+-\d+[a-z]?\b`)

	// tableRow matches a line of the document's tables: id, status, tests.
	tableRow = regexp.MustCompile(`^\| ((?:EIO|SIO|ECO|CLI)-\S+) \| (.*?) \| (.*?) \|$`)

	// claims matches a status that says how sioplug behaves, for which there has to
	// be a test.
	claims = regexp.MustCompile(`^(?:as the reference|better|differs)\b`)

	// idRange matches several ids written as EIO-VF-1..12.
	idRange = regexp.MustCompile(`\b((?:EIO|SIO|ECO|CLI)-[A-Z0-9]+-)(\d+)\.\.(\d+)\b`)

	// idList matches several ids written as ECO-RC-27,28,32.
	idList = regexp.MustCompile(`\b((?:EIO|SIO|ECO|CLI)-[A-Z0-9]+-)(\d+(?:,\d+)+)\b`)

	// quoted matches strings of Go and JavaScript, where names of tests are.
	quoted = regexp.MustCompile("\"(?:[^\"\\\\\n]|\\\\.)*\"|'(?:[^'\\\\\n]|\\\\.)*'|`[^`]*`")

	// function matches the name of a Go test that begins with ids, and
	// functionPart the first one of them, or of what is left.
	function     = regexp.MustCompile(`^func Test((?:EIO|SIO|ECO|CLI)_\w+)\(`)
	functionPart = regexp.MustCompile(`^(?:(EIO|SIO|ECO|CLI)_)?([A-Z0-9]+)_(\d+[a-z]?)(?:_|$)`)
)

func main() {
	write := flag.Bool("write", false, "bring "+document+" up to date")
	root := flag.String("root", ".", "the repository")
	flag.Parse()
	if err := run(*root, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root string, write bool) error {
	tests, err := testsByRow(root)
	if err != nil {
		return err
	}
	path := filepath.Join(root, document)
	old, err := os.ReadFile(path) //nolint:gosec // our own document
	if err != nil {
		return err
	}
	text, missing := fill(string(old), tests)
	if len(missing) > 0 {
		return fmt.Errorf("no test has these rows in its name, and their status in %s does not say why: %s",
			document, strings.Join(missing, " "))
	}
	if len(tests) > 0 {
		return fmt.Errorf("tests have these rows in their names, and %s does not know them: %v", document, tests)
	}
	switch {
	case bytes.Equal(old, []byte(text)):
		return nil
	case write:
		return os.WriteFile(path, []byte(text), 0o600) //nolint:gosec // our own document
	default:
		return fmt.Errorf("%s is not up to date: run go run ./scripts/compat -write", document)
	}
}

// fill returns the document with the third column of its tables written anew,
// and the rows that are said to be tested and are not. It takes the rows that it
// has used out of tests.
func fill(text string, tests map[string][]string) (filled string, missing []string) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		m := tableRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		id, status := m[1], m[2]
		files := tests[id]
		delete(tests, id)
		if len(files) == 0 && claims.MatchString(status) && !strings.Contains(status, "shown by") {
			missing = append(missing, id)
		}
		lines[i] = fmt.Sprintf("| %s | %s | %s |", id, status, strings.Join(files, ", "))
	}
	return strings.Join(lines, "\n"), missing
}

// testsByRow returns, for each row id, the test files that name it.
func testsByRow(root string) (map[string][]string, error) {
	tests := make(map[string][]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "compat"): // whose own rows are made up
			return filepath.SkipDir
		case !isTest(d.Name()):
			return nil
		}
		text, err := os.ReadFile(path) //nolint:gosec // our own files
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		found := ids(string(text))
		if filepath.Ext(name) == ".txtar" { // whose name is that of the test
			found = rowID.FindAllString(d.Name(), -1)
		}
		for _, id := range found {
			tests[id] = append(tests[id], filepath.ToSlash(name))
		}
		return nil
	})
	for _, files := range tests {
		slices.Sort(files)
	}
	return tests, err
}

func isTest(name string) bool {
	return strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".test.js") || strings.HasSuffix(name, ".txtar") ||
		strings.HasPrefix(name, "suite") && strings.HasSuffix(name, ".go")
}

// ids returns the row ids in the strings and test functions of a source file,
// each once.
func ids(source string) []string {
	var found []string
	for line := range strings.SplitSeq(source, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "//") {
			continue
		}
		found = append(found, functionIDs(line)...)
		for _, s := range quoted.FindAllString(line, -1) {
			found = append(found, rowID.FindAllString(s, -1)...)
			for _, r := range idRange.FindAllStringSubmatch(s, -1) {
				found = append(found, expand(r[1], r[2], r[3])...)
			}
			for _, l := range idList.FindAllStringSubmatch(s, -1) {
				for n := range strings.SplitSeq(l[2], ",") {
					found = append(found, l[1]+n)
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// functionIDs returns the row ids in the name of the Go test that a line begins.
// Of several ids of one protocol, only the first has to name it.
func functionIDs(line string) (found []string) {
	name := function.FindStringSubmatch(line)
	if name == nil {
		return nil
	}
	protocol, rest := "", name[1]
	for m := functionPart.FindStringSubmatch(rest); m != nil; m = functionPart.FindStringSubmatch(rest) {
		protocol = cmp.Or(m[1], protocol)
		found = append(found, protocol+"-"+m[2]+"-"+m[3])
		rest = rest[len(m[0]):]
	}
	return found
}

func expand(prefix, from, to string) []string {
	var first, last int
	if _, err := fmt.Sscan(from+" "+to, &first, &last); err != nil {
		return nil
	}
	var out []string
	for n := first; n <= last; n++ {
		out = append(out, fmt.Sprintf("%s%d", prefix, n))
	}
	return out
}
