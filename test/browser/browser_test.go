// Package browser_test drives the demo in Chromium, as two people and a phone: on
// each framework's example.
//
// Set SIOPLUG_SCREENSHOTS to a folder to get pictures of what they see.
package browser_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/require"
)

// enough is far more than the test takes; it is for a browser that hangs.
const enough = 3 * time.Minute

func TestDemo(t *testing.T) {
	t.Parallel()
	node := require.Tool(t, "node")
	chromium := require.Tool(t, "chromium")
	require.NodePackages(t, ".")
	require.NodePackages(t, clientDir)
	for _, framework := range []string{"gin", "echo", "fiber"} {
		t.Run(framework, func(t *testing.T) {
			t.Parallel()
			program := build(t, framework)
			t.Run("client from npm", func(t *testing.T) {
				a := newApp(t, framework, program, filepath.Join(clientDir, "node_modules/socket.io-client/dist"))
				drive(t, a, chromium, node, "demo.mjs")
			})
			t.Run("client from the CDN", func(t *testing.T) {
				drive(t, newApp(t, framework, program, t.TempDir()), chromium, node, "cdn.mjs")
			})
		})
	}
}

// drive starts the example and runs a script against it, which may have it stopped and
// started again.
func drive(t *testing.T, a *app, chromium, node, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	a.start(ctx, t)
	defer a.stop(t)
	s := script{node: node, chromium: chromium, name: name, url: a.url, subject: a.framework}
	s.run(ctx, t, func(command string) bool {
		switch command {
		case "stop":
			a.stop(t)
		case "start":
			a.start(ctx, t)
		default:
			return false
		}
		return true
	})
}

// A script drives a browser. It says what it does in lines: "step ..." for the record, and
// commands for what it wants done with the server, after each of which it waits for a line.
type script struct {
	node, chromium string
	name           string // of its file
	url            string
	subject        string // names the screenshots
	env            []string
}

// run runs the script. do follows a command, and returns false for a line that is none.
func (s script) run(ctx context.Context, t *testing.T, do func(line string) bool) {
	t.Helper()
	cmd := exec.CommandContext(ctx, s.node, s.name)
	cmd.Env = append(os.Environ(), "CHROMIUM="+s.chromium, "URL="+s.url, "FRAMEWORK="+s.subject)
	cmd.Env = append(cmd.Env, s.env...)
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	var step string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "step "); ok {
			step = name
			t.Log(step)
			continue
		}
		if do(line) {
			_, _ = fmt.Fprintln(stdin, "done") // a script that has ended is reported below
			continue
		}
		t.Log(line)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v", step, err)
	}
}
