// Package interop_test lets other clients talk to sioplug: the official ones in
// JavaScript and Java, and python-socketio. Each file in scenarios is about one subject
// and runs in Node once per way to connect, behind Gin and against a server of its own;
// each of its tests becomes a Go subtest:
//
//	go test ./test/interop -v -run 'TestInterop/rooms/upgrade'
//
// Those that can tell one mount from another run behind all other frameworks, too:
//
//	go test ./test/interop -v -run 'TestMounts/fiber/upgrade'
//
// The clients of other languages each have a program of tests, in java and python:
//
//	go test ./test/interop -v -run 'TestJava/gin/polling'
//
// The server they talk to is in server_test.go, and the files that it calls on; its
// mounts are in mounts_test.go.
package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/internal/require"
)

// scenarioTimeout ends scenarios that hang. The slowest take half a minute.
const scenarioTimeout = 2 * time.Minute

// maxLine bounds a line of a scenario's output; failures may quote large values.
const maxLine = 16 << 20

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	goleak.VerifyTestMain(m,
		// fasthttp's own, which sleep for seconds before they see that they are done.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	)
}

func TestInterop(t *testing.T) {
	node := require.Tool(t, "node")
	require.NodePackages(t, ".")
	files, err := filepath.Glob(scenario("*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios found (%v)", err)
	}
	for _, file := range files {
		subject := strings.TrimSuffix(filepath.Base(file), ".test.js")
		if subject == drainSubject {
			continue // needs two servers: see TestDrain
		}
		t.Run(subject, func(t *testing.T) {
			for _, mode := range modes(subject) {
				t.Run(mode, func(t *testing.T) {
					t.Parallel()
					m := onGin()
					if subject == "msgpack" {
						m = twoParsers(t)
					}
					app := newApp(t, m, options(subject))
					runScenarios(t, node, mode, app, app.listenTLS(t), file)
				})
			}
		})
	}
}

// TestMounts runs the scenarios in which requests, connections and the framework
// matter. To save time, those of one mount and mode share a server and a process.
func TestMounts(t *testing.T) {
	node := require.Tool(t, "node")
	require.NodePackages(t, ".")
	var files []string
	for _, subject := range []string{
		"mount", "bundle", "transport", "text", "binary", "acks", "errors", "namespaces", "refusal", "rooms", "large", "order",
		"disconnect", "from", "restart", "limits",
	} {
		files = append(files, scenario(subject))
	}
	for _, m := range mounts() {
		if m.name == onGin().name {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			for _, mode := range modes("") {
				t.Run(mode, func(t *testing.T) {
					t.Parallel()
					runScenarios(t, node, mode, newApp(t, m, options("limits")), nil, files...)
				})
			}
		})
	}
}

// scenario returns the file that is about a subject.
func scenario(subject string) string { return filepath.Join("scenarios", subject+".test.js") }

// modes returns the ways to connect that make a difference to the subject.
func modes(subject string) []string {
	switch subject {
	case "bundle":
		return []string{"http"}
	case "deflate":
		return []string{"websocket", "upgrade"}
	default:
		return []string{"polling", "websocket", "upgrade"}
	}
}

// A result is a line of a program that runs tests, such as support/reporter.js: one
// test begins, or has ended.
type result struct {
	File, Test   string
	Begins       bool
	Pass, Skip   bool
	Milliseconds float64
	Error        string
}

// runScenarios runs files in Node and makes each of their tests a subtest of t.
func runScenarios(t *testing.T, node, mode string, app *app, env []string, files ...string) {
	t.Helper()
	args := append([]string{"--test-reporter=./support/reporter.js", "support/scenarios.js"}, files...)
	run(t, mode, app, env, func(r result) string {
		if len(files) > 1 {
			return strings.TrimSuffix(filepath.Base(r.File), ".test.js") + "/" + r.Test
		}
		return r.Test
	}, node, args...)
}

// run runs a program whose tests talk to the app, and makes each of them a subtest of
// t. It is told of them as support/reporter.js does it.
func run(t *testing.T, mode string, app *app, env []string, name func(result) string, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scenarioTimeout)
	defer cancel()

	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // Node says what it waits for
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(),
		"INTEROP_URL="+app.url,
		"INTEROP_CONTROL_URL="+app.control.URL,
		"INTEROP_MODE="+mode,
	)
	cmd.Env = append(cmd.Env, env...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	tests, running := 0, ""
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil || r.Test == "" {
			t.Log(lines.Text()) // what else a test prints
			continue
		}
		if r.Begins {
			running = r.Test
			continue
		}
		tests++
		running = "what comes after " + r.Test
		t.Run(name(r), r.report)
	}
	if err := lines.Err(); err != nil {
		t.Errorf("reading the output of %s: %v", program, err)
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		t.Errorf("the tests did not end within %v, but were still busy with %s; the server:\n%s", scenarioTimeout, running, stacks())
	}
	if (err != nil && !t.Failed()) || tests == 0 {
		t.Errorf("%s ran %d tests and ended with %v", program, tests, err)
	}
	if stderr.Len() > 0 {
		t.Logf("%s wrote to standard error:\n%s", program, &stderr)
	}
}

// stacks returns what all goroutines do.
func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

func (r result) report(t *testing.T) {
	t.Logf("took %.0f ms", r.Milliseconds)
	switch {
	case r.Skip:
		t.Skip("skipped by itself")
	case !r.Pass:
		t.Error(r.Error)
	}
}
