// Package interop_test lets the official JavaScript client talk to sioplug behind
// Gin. Each file in scenarios is about one subject and runs in Node once per way to
// connect, against a server of its own; each of its tests becomes a Go subtest:
//
//	go test ./test/interop -v -run 'TestInterop/rooms/upgrade'
//
// The server they talk to is in server_test.go, and the files that it calls on.
package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/test/require"
)

// scenarioTimeout ends a scenario that hangs. The slowest takes a few seconds.
const scenarioTimeout = 2 * time.Minute

// maxLine bounds a line of a scenario's output; failures may quote large values.
const maxLine = 16 << 20

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	goleak.VerifyTestMain(m)
}

func TestInterop(t *testing.T) {
	node := require.Tool(t, "node")
	require.NodePackages(t, ".")
	files, err := filepath.Glob("scenarios/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios found (%v)", err)
	}
	for _, file := range files {
		subject := strings.TrimSuffix(filepath.Base(file), ".test.js")
		t.Run(subject, func(t *testing.T) {
			for _, mode := range modes(subject) {
				t.Run(mode, func(t *testing.T) {
					t.Parallel()
					runScenario(t, node, file, mode, newApp(t, options(subject)))
				})
			}
		})
	}
}

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

// A result is a line of support/reporter.js: how one JavaScript test ended.
type result struct {
	Test         string
	Pass, Skip   bool
	Milliseconds float64
	Error        string
}

// runScenario runs file in Node and makes each of its tests a subtest of t.
func runScenario(t *testing.T, node, file, mode string, app *app) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scenarioTimeout)
	defer cancel()

	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, node, "--test-reporter=./support/reporter.js", file)
	cmd.Stderr = &stderr
	cmd.Env = append(os.Environ(),
		"INTEROP_URL="+app.url,
		"INTEROP_CONTROL_URL="+app.control.URL,
		"INTEROP_MODE="+mode,
	)
	cmd.Env = append(cmd.Env, app.listenTLS(t)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	tests := 0
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil || r.Test == "" {
			t.Log(lines.Text()) // a scenario's console.log
			continue
		}
		tests++
		t.Run(r.Test, r.report)
	}
	if err := lines.Err(); err != nil {
		t.Errorf("reading the output of Node: %v", err)
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		t.Errorf("the scenario did not end within %v", scenarioTimeout)
	}
	if (err != nil && !t.Failed()) || tests == 0 {
		t.Errorf("Node ran %d tests and ended with %v", tests, err)
	}
	if stderr.Len() > 0 {
		t.Logf("Node wrote to standard error:\n%s", &stderr)
	}
}

func (r result) report(t *testing.T) {
	t.Logf("took %.0f ms in Node", r.Milliseconds)
	switch {
	case r.Skip:
		t.Skip("skipped in Node")
	case !r.Pass:
		t.Error(r.Error)
	}
}
