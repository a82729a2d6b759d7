package browser_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sioplug/sioplug/internal/require"
)

// TestDemoCluster runs make demo-cluster, with the proxies as docs/clustering.md says.
func TestDemoCluster(t *testing.T) {
	t.Parallel()
	node := require.Tool(t, "node")
	chromium := require.Tool(t, "chromium")
	require.Tool(t, "redis")
	for _, folder := range []string{".", clientDir, examplesDir + "/chat/node"} {
		require.NodePackages(t, folder)
	}
	built := t.TempDir()
	for _, framework := range []string{"gin", "fiber"} {
		if err := os.Rename(build(t, framework), filepath.Join(built, framework)); err != nil {
			t.Fatal(err)
		}
	}
	for _, proxy := range []string{"nginx", "haproxy"} {
		t.Run(proxy, func(t *testing.T) {
			t.Parallel()
			require.Tool(t, proxy)
			ctx, cancel := context.WithTimeout(t.Context(), enough)
			defer cancel()
			c := startCluster(ctx, t, proxy, built)
			defer c.stop(t)
			s := script{node: node, chromium: chromium, name: "cluster.mjs", url: c.url, subject: proxy}
			s.run(ctx, t, func(line string) bool {
				command, server, _ := strings.Cut(line, " ")
				switch command {
				case "kill":
					c.kill(t, server)
				case "start":
					c.restart(ctx, t, server)
				default:
					return false
				}
				return true
			})
		})
	}
}

// A demoCluster is the script that make demo-cluster runs.
type demoCluster struct {
	url      string
	logs     string // the folder with what the servers say
	cmd      *exec.Cmd
	read     chan struct{}       // closed when all output was read
	pids     map[string]int      // of the servers that run, by name
	commands map[string][]string // that start them
	started  map[string]*exec.Cmd
}

var (
	killLine  = regexp.MustCompile(`^  ([abc])  \S+ +kill -9 (\d+)$`)
	startLine = regexp.MustCompile(`^  ([abc])  (\S+ .* --?node [abc] .*)$`)
)

// startCluster starts the script, with servers that were built into a folder. It returns
// when the script has said how to go on.
func startCluster(ctx context.Context, t *testing.T, proxy, built string) *demoCluster {
	t.Helper()
	c := &demoCluster{
		logs: t.TempDir(), cmd: exec.CommandContext(ctx, "../../scripts/demo-cluster.sh"),
		read: make(chan struct{}), pids: make(map[string]int), commands: make(map[string][]string), started: make(map[string]*exec.Cmd),
	}
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) } // so that it ends its children
	c.cmd.Env = append(os.Environ(), "STATE="+c.logs, "BUILT="+built, "PROXY="+proxy, "PORT="+strconv.Itoa(freePort(t)), "TOKEN="+tokenLife)
	c.cmd.Stderr = t.Output()
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.HasSuffix(lines.Text(), "Ctrl+C ends everything.") {
		line := lines.Text()
		t.Log("demo-cluster:", line)
		if url, ok := strings.CutPrefix(line, "The chat is at "); ok {
			c.url = url
		}
		if m := killLine.FindStringSubmatch(line); m != nil {
			c.pids[m[1]], _ = strconv.Atoi(m[2]) // it matches digits
		}
		if m := startLine.FindStringSubmatch(line); m != nil {
			c.commands[m[1]] = strings.Fields(m[2])
		}
	}
	go func() {
		defer close(c.read)
		for lines.Scan() {
			t.Log("demo-cluster:", lines.Text())
		}
	}()
	if c.url == "" || len(c.pids) != 3 || len(c.commands) != 3 {
		c.stop(t)
		t.Fatalf("the script said where %d servers run and how to start %d, at %q", len(c.pids), len(c.commands), c.url)
	}
	return c
}

// kill ends a server as a crash does.
func (c *demoCluster) kill(t *testing.T, server string) {
	t.Helper()
	if err := syscall.Kill(c.pids[server], syscall.SIGKILL); err != nil {
		t.Errorf("killing server %s: %v", server, err)
	}
	delete(c.pids, server)
}

// restart starts a server that was killed, by the command that the script has printed.
func (c *demoCluster) restart(ctx context.Context, t *testing.T, server string) {
	t.Helper()
	command := c.commands[server]
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "../..", t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Errorf("starting server %s: %v", server, err)
		return
	}
	c.started[server] = cmd
}

// stop ends the script as Ctrl+C does. It expects that this ends all that the script has
// started, without a data race found on the way.
func (c *demoCluster) stop(t *testing.T) {
	t.Helper()
	for server, cmd := range c.started {
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
			t.Errorf("server %s ended with %v, want 0", server, err)
		}
	}
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	<-c.read
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("the script ended with %v, want 0", err)
	}
	c.checkLogs(t)
	for server, pid := range c.pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("server %s is still there: %v", server, err)
		}
	}
}

// checkLogs looks for data races, which do not end a server that was killed.
func (c *demoCluster) checkLogs(t *testing.T) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(c.logs, "*.log"))
	if err != nil || len(logs) < len(c.commands) {
		t.Errorf("only the logs %q: %v", logs, err)
	}
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		if bytes.Contains(text, []byte("DATA RACE")) {
			t.Errorf("%s has a data race", name)
		}
		if t.Failed() {
			t.Logf("%s:\n%s", name, text)
		}
	}
}

// freePort returns a port of this machine below those of outgoing connections. Nothing
// listens on it.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(10_000)
		if l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}
