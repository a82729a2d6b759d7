package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// serverEnv has the settings of a server in a process of its own: this program, started
// again.
const serverEnv = "SIOPLUG_FAULTS_SERVER"

// settings are what a process is told.
type settings struct {
	Mount        string
	Descriptors  uint64 // that it may have; 0: as many as it gets
	PingInterval time.Duration
	PingTimeout  time.Duration
}

// runServer is a server until its standard input ends.
func runServer(text string) {
	if err := serve(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(text string) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	if s.Descriptors > 0 {
		few := syscall.Rlimit{Cur: s.Descriptors, Max: s.Descriptors}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
			return err
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	srv := sio.New(&sio.Options{Logger: log, PingInterval: s.PingInterval, PingTimeout: s.PingTimeout})
	srv.On("echo", sio.Reply(func(_ *sio.Ctx, v any) (any, error) { return v, nil }))
	srv.On("clients", sio.Reply(func(*sio.Ctx, struct{}) (int, error) { return srv.ClientsCount(), nil }))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	for _, m := range mounts() {
		if m.name == s.Mount {
			stop := m.serve(srv, l, log)
			fmt.Println(l.Addr())
			_, _ = os.Stdin.Read(make([]byte, 1))
			ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
			defer cancel()
			_ = srv.Shutdown(ctx)
			return stop(ctx)
		}
	}
	return fmt.Errorf("mount %q is unknown", s.Mount)
}

// A child is a server in a process of its own.
type child struct {
	addr    string
	process *os.Process

	mu  sync.Mutex
	log bytes.Buffer // what it wrote to its standard error
}

// Write implements [io.Writer] for the standard error of the process.
func (c *child) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
}

// lines returns the lines of its log.
func (c *child) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := strings.TrimSpace(c.log.String())
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// startChild starts a process that ends with the test.
func startChild(t *testing.T, s settings) *child {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var c child
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), serverEnv+"="+string(text))
	cmd.Stderr = &c
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.process = cmd.Process
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGCONT) // if the test ended while it was stopped
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v\n%s", err, strings.Join(c.lines(), "\n"))
		}
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c.addr = strings.TrimSpace(addr)
	return &c
}
