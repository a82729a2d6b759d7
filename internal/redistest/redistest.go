// Package redistest runs a Redis server for a test, which may kill it, start it
// again and let it hang. Where redis-server is not installed, tests skip or fail as
// package require says.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/require"
)

// patience is how long a server may take to answer for the first time.
const patience = 30 * time.Second

// A Server is a process on a port of this machine. Its methods are for the test's
// goroutine.
type Server struct {
	// Addr is where it listens, also when it has been started again.
	Addr string

	tb   testing.TB
	path string
	args []string
	cmd  *exec.Cmd
	done chan struct{} // closed at the end of cmd
	log  *bytes.Buffer
}

// Start starts a server with nothing in it, which is ended with the test. args are
// further arguments for redis-server.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	return start(tb, "", args...)
}

// start starts a server with a configuration file, unless config is "".
func start(tb testing.TB, config string, args ...string) *Server {
	tb.Helper()
	s := &Server{tb: tb, path: require.Tool(tb, "redis")}
	tb.Cleanup(s.Kill)
	const attempts = 20
	for range attempts {
		// Below the range that systems take the ports of outgoing connections from,
		// so that it is still free when the server starts again.
		port := strconv.Itoa(20_000 + rand.IntN(10_000)) //nolint:gosec // a port is no secret
		s.Addr = net.JoinHostPort("127.0.0.1", port)
		s.args = []string{"--bind", "127.0.0.1", "--port", port, "--dir", tb.TempDir()}
		if config != "" {
			s.args = append([]string{config}, s.args...)
		} else {
			s.args = append(s.args, "--save", "", "--appendonly", "no")
		}
		s.args = append(s.args, args...)
		if s.run() {
			return s
		}
	}
	tb.Fatalf("redis-server does not start:\n%s", s.log)
	return nil
}

// Restart starts a server again that was killed, with nothing in it.
func (s *Server) Restart() {
	s.tb.Helper()
	if s.cmd != nil {
		s.tb.Fatal("redistest: Restart of a server that runs")
	}
	if !s.run() {
		s.tb.Fatalf("redis-server does not start again:\n%s", s.log)
	}
}

// Kill ends the server without a word, and returns when it has gone.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.done
	s.cmd = nil
}

// run starts the process, and waits until it answers. It reports false if it ends
// instead, because its port is taken for example.
func (s *Server) run() bool {
	s.tb.Helper()
	s.log = new(bytes.Buffer)
	s.cmd = exec.CommandContext(context.Background(), s.path, s.args...) //nolint:gosec // of the test
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	cmd, done := s.cmd, make(chan struct{})
	s.done = done
	go func() { // ends with the process
		defer close(done)
		_ = cmd.Wait() // which was killed, or says in its log what is wrong
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !s.answers() {
		select {
		case <-s.done:
			s.cmd = nil
			return false
		case <-deadline:
			s.Kill()
			return false
		case <-tick.C:
		}
	}
	return true
}

// answers asks the server whether it is the one that was started: another program,
// or another test's server, may have taken the port.
func (s *Server) answers() bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(s.tb.Context(), "tcp", s.Addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	if _, err := io.WriteString(conn, "INFO server\r\nQUIT\r\n"); err != nil {
		return false
	}
	info, _ := io.ReadAll(conn) // a server that is loading says so instead
	return bytes.Contains(info, fmt.Appendf(nil, "process_id:%d\r\n", s.cmd.Process.Pid))
}
