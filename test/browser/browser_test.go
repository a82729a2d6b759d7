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

// drive starts the example and runs a script against it. The script says what it
// does in lines: "step ..." for the record, "stop" and "start" for what it wants
// done with the server, after which it waits for a line.
func drive(t *testing.T, a *app, chromium, node, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	a.start(ctx, t)
	defer a.stop(t)

	script := exec.CommandContext(ctx, node, name)
	script.Env = append(os.Environ(), "CHROMIUM="+chromium, "URL="+a.url, "FRAMEWORK="+a.framework)
	script.Stderr = t.Output()
	stdin, err := script.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := script.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}

	var step string
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "stop":
			a.stop(t)
			_, _ = fmt.Fprintln(stdin, "stopped") // a script that has ended is reported below
		case line == "start":
			a.start(ctx, t)
			_, _ = fmt.Fprintln(stdin, "started")
		case strings.HasPrefix(line, "step "):
			step = strings.TrimPrefix(line, "step ")
			t.Log(step)
		default:
			t.Log(line)
		}
	}
	if err := script.Wait(); err != nil {
		t.Errorf("%s: %v", step, err)
	}
}
