//go:build unix

package anyserver_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
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
	"time"

	"github.com/sioplug/sioplug/internal/redistest"
	"github.com/sioplug/sioplug/internal/require"
)

const (
	servers = 3
	clients = 4 // of each way to connect
)

// TestAnyServerBehindNginx: official clients notice nothing of a load balancer that sends each
// request to another server. When a server is killed, its clients connect again.
func TestAnyServerBehindNginx(t *testing.T) {
	t.Parallel()
	nginx, node := require.Tool(t, "nginx"), require.Tool(t, "node")
	require.NodePackages(t, "../interop")
	for _, adapter := range []string{"classic", "sharded", "streams"} {
		t.Run(adapter, func(t *testing.T) {
			t.Parallel()
			testAnyServer(t, nginx, node, adapter)
		})
	}
}

func testAnyServer(t *testing.T, nginx, node, adapter string) {
	t.Helper()
	redis := redistest.Start(t)
	var all []*process
	for n := range servers {
		addr := freePort(t)
		s := start(t, os.Args[0], []string{
			roleVariable + "=" + string(rune('a'+n)), "ADDR=" + addr, "REDIS=" + redis.Addr, "ADAPTER=" + adapter, "SERVERS=" + strconv.Itoa(servers),
		})
		s.addr = addr
		all = append(all, s)
	}
	for _, s := range all {
		s.wantLine(t, "ready")
	}
	proxy := startNginx(t, nginx, all)

	interop, err := filepath.Abs("../interop")
	if err != nil {
		t.Fatal(err)
	}
	js := start(t, node, nil, "client.mjs", interop, "http://"+proxy, strconv.Itoa(clients))
	js.say(t, "start")
	js.wantLine(t, "start a b c")

	begin := time.Now()
	if err := all[1].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	js.say(t, "killed b")
	t.Logf("clients of the server that was killed, of those that connected again, and when they noticed: %s; %d in all; %v with all their messages",
		strings.TrimPrefix(js.line(t), "killed "), 3*clients, time.Since(begin).Round(time.Millisecond))
	js.say(t, "stop")
	js.wantLine(t, "stop stopped")
	for _, s := range []*process{all[0], all[2]} {
		_ = s.in.Close()
		var forwarded, received int
		if _, err := fmt.Sscanf(s.line(t), "forwarded %d received %d", &forwarded, &received); err != nil || forwarded == 0 || received == 0 {
			t.Errorf("forwarded %d, received %d: %v", forwarded, received, err)
		}
		t.Logf("forwarded %d, received %d", forwarded, received)
	}
}

// startNginx starts nginx with the configuration of docs/clustering.md.
func startNginx(t *testing.T, nginx string, all []*process) (addr string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/clustering.md")
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, _ := strings.Cut(string(text), "## Without sticky sessions")
	found := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindStringSubmatch(chapter)
	if found == nil {
		t.Fatal("docs/clustering.md has no configuration of nginx without sticky sessions")
	}
	dir, addr := t.TempDir(), freePort(t)
	config := found[1]
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	var paths strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		paths.WriteString(kind + "_temp_path " + filepath.Join(dir, kind) + ";\n")
	}
	for before, after := range map[string]string{
		"worker_processes auto;":      user + "worker_processes 2;",
		"worker_rlimit_nofile 65536;": "",
		"worker_connections 32768;":   "worker_connections 512;",
		"http {":                      "http {\naccess_log off;\n" + paths.String(),
		"listen 80;":                  "listen " + addr + ";",
		"fail_timeout=5s":             "fail_timeout=10m", // then a client may be sent to the killed server, and comes back
		"10.0.0.1:8080":               all[0].addr, "10.0.0.2:8080": all[1].addr, "10.0.0.3:8080": all[2].addr,
	} {
		if !strings.Contains(config, before) {
			t.Fatalf("docs/clustering.md has no %q in:\n%s", before, config)
		}
		config = strings.ReplaceAll(config, before, after)
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, nginx, nil, "-p", dir, "-e", "stderr", "-c", file, "-g", "daemon off; pid "+filepath.Join(dir, "pid")+";")
	for deadline := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %v", err)
		}
	}
}

// freePort returns an address of this machine that nothing listens on. Its port is below the
// range of outgoing connections, so it stays free.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(10_000)))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// A process is one that ends with the test.
type process struct {
	cmd    *exec.Cmd
	addr   string
	in     io.WriteCloser
	lines  chan string
	errors bytes.Buffer
}

func start(t *testing.T, program string, env []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), program, args...), lines: make(chan string, 100)}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = &p.errors
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.in.Close()
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
		defer kill.Stop()
		<-read
		_ = p.cmd.Wait() // one of them was killed
		if t.Failed() {
			t.Logf("%s %v:\n%s", filepath.Base(program), env, &p.errors)
		}
	})
	return p
}

func (p *process) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// line returns the next line that the process prints.
func (p *process) line(t *testing.T) string {
	t.Helper()
	select {
	case line, open := <-p.lines:
		if !open {
			t.Fatal("the process has ended")
		}
		return line
	case <-time.After(3 * patience):
		t.Fatal("the process prints nothing")
		return ""
	}
}

func (p *process) wantLine(t *testing.T, want string) {
	t.Helper()
	if got := p.line(t); got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}
