package browser_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

const (
	examplesDir = "../../examples"
	clientDir   = examplesDir + "/chat/web"

	// tokenLife is short enough for the script to see what happens at its end, and
	// long enough for a busy machine: pages have half of it to get a new token.
	tokenLife = "20s"
)

// An app is an example as people run it: a program that can be stopped and
// started again, at the same address and with the same sessions.
type app struct {
	framework string
	program   string
	key       string
	client    string // the folder with the Socket.IO client
	addr      string
	url       string

	cmd  *exec.Cmd
	read chan struct{} // closed when all output was read
}

// build returns the path of the program that is the framework's example.
func build(t *testing.T, framework string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), framework)
	args := []string{"build", "-C", examplesDir, "-o", program}
	if raceEnabled() {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(t.Context(), "go", append(args, "./"+framework)...).CombinedOutput(); err != nil {
		t.Fatalf("building the example of %s: %v\n%s", framework, err, out)
	}
	return program
}

// raceEnabled reports whether this test runs with the race detector, which the
// example then should too.
func raceEnabled() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

func newApp(t *testing.T, framework, program, client string) *app {
	t.Helper()
	key := filepath.Join(t.TempDir(), "session.key")
	return &app{framework: framework, program: program, key: key, client: client, addr: "127.0.0.1:0"}
}

// start runs the program and returns when it listens.
func (a *app) start(ctx context.Context, t *testing.T) {
	t.Helper()
	a.cmd = exec.CommandContext(ctx, a.program, "-addr", a.addr, "-key", a.key, "-client", a.client, "-token", tokenLife)
	a.cmd.Stderr = t.Output()
	stdout, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		url, ok := strings.CutPrefix(lines.Text(), "The chat is at ")
		if !ok {
			continue
		}
		a.url, a.addr = url, strings.TrimPrefix(url, "http://")
		a.read = make(chan struct{})
		go func() {
			defer close(a.read)
			for lines.Scan() {
				t.Log("app:", lines.Text())
			}
		}()
		return
	}
	t.Fatalf("the example ended before it listened: %v", a.cmd.Wait())
}

// stop asks the program to stop, as Ctrl+C does, and expects that it does so in
// good order: in time, and without a data race found on the way.
func (a *app) stop(t *testing.T) {
	t.Helper()
	if err := a.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-a.read
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("the example ended with %v, want 0", err)
	}
}
