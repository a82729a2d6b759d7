// Package postgrestest runs a PostgreSQL server for a test, which may stop it, start it again and
// let it hang. Where PostgreSQL is not installed, tests skip or fail as package require says.
package postgrestest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/require"
)

// patience is how long a server may take to do what it was told.
const patience = time.Minute

// A Server is a process on a port of this machine, with processes of its own. Its methods are
// for the test's goroutine.
type Server struct {
	// Addr is where it listens, also when it has been started again. URL names it, the only
	// database and the user, who needs no password.
	Addr, URL string

	tb    testing.TB
	owner *owner
	bin   string // folder with the programs
	dir   string // folder with the data
	port  string
	args  []string
	cmd   *exec.Cmd
	done  chan struct{} // closed at the end of cmd
	log   *bytes.Buffer
}

// Table is the table that servers with the default options need.
const Table = "CREATE TABLE socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT now(), payload bytea)"

// Start starts a server with a database that has nothing in it but [Table]. It is ended with the
// test. settings are further settings, such as "max_connections=10".
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	program, err := filepath.EvalSymlinks(require.Tool(tb, "postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{tb: tb, bin: filepath.Dir(program), owner: newOwner(tb)}
	s.initialize()
	for _, setting := range append([]string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=" + s.dir, "fsync=off", "full_page_writes=off",
		"shared_buffers=16MB", "max_connections=60", "log_min_messages=fatal",
	}, settings...) {
		s.args = append(s.args, "-c", setting)
	}
	const attempts = 20
	for range attempts {
		// Below the range that systems take the ports of outgoing connections from,
		// so that it is still free when the server starts again.
		s.port = strconv.Itoa(20_000 + rand.IntN(10_000)) //nolint:gosec // a port is no secret
		s.Addr = net.JoinHostPort("127.0.0.1", s.port)
		s.URL = "postgres://postgres@" + s.Addr + "/postgres?sslmode=disable"
		if s.run() {
			s.SQL(Table)
			return s
		}
	}
	tb.Fatalf("PostgreSQL does not start:\n%s", s.log)
	return nil
}

// initialize makes the folder with the data.
func (s *Server) initialize() {
	s.tb.Helper()
	// Not that of the test, which other users may not enter.
	dir, err := os.MkdirTemp("", "postgrestest")
	if err != nil {
		s.tb.Fatal(err)
	}
	s.dir = dir
	s.tb.Cleanup(func() {
		s.Stop()
		if err := os.RemoveAll(dir); err != nil {
			s.tb.Error(err)
		}
	})
	s.owner.own(s.tb, dir)
	cmd := s.command("initdb", "--pgdata", dir, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.tb.Fatalf("initdb: %v\n%s", err, out)
	}
}

// command returns a command of PostgreSQL, as the owner of the data.
func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, program), args...) //nolint:gosec // of the test
	cmd.Dir = s.dir
	s.owner.run(cmd)
	return cmd
}

// Outages are ways in which a server goes away, until the function that is returned is called.
func Outages() map[string]func(s *Server) (end func()) {
	return map[string]func(s *Server) (end func()){
		"away":  func(s *Server) func() { s.Stop(); return s.Restart },
		"hangs": func(s *Server) func() { return s.Hang() },
	}
}

// Restart starts a server again that was stopped, with the same data.
func (s *Server) Restart() {
	s.tb.Helper()
	if s.cmd != nil {
		s.tb.Fatal("postgrestest: Restart of a server that runs")
	}
	if !s.run() {
		s.tb.Fatalf("PostgreSQL does not start again:\n%s", s.log)
	}
}

// run starts the process, and waits until it is ready. It reports false if it ends instead,
// because its port is taken for example.
func (s *Server) run() bool {
	s.tb.Helper()
	s.log = new(bytes.Buffer)
	s.cmd = s.command("postgres", append([]string{"-D", s.dir, "-p", s.port}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	cmd, done := s.cmd, make(chan struct{})
	s.done = done
	go func() { // ends with the process
		defer close(done)
		_ = cmd.Wait() // which was stopped, or says in its log what is wrong
	}()
	ready := false
	s.await("the server is ready or ends", func() bool {
		select {
		case <-done:
			return true
		default:
		}
		ready = s.isReady()
		return ready
	})
	if !ready {
		s.cmd = nil
	}
	return ready
}

// isReady reads what the server says about itself: its process id in the first line, and its
// state in the last one.
func (s *Server) isReady() bool {
	text, err := os.ReadFile(filepath.Join(s.dir, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[0] == strconv.Itoa(s.cmd.Process.Pid) && strings.TrimSpace(lines[len(lines)-1]) == "ready"
}

// SQL runs statements, and returns the lines of the result, with a bar between columns.
func (s *Server) SQL(statements string) []string {
	s.tb.Helper()
	out, err := s.command("psql", "-h", "127.0.0.1", "-p", s.port, "-U", "postgres", "-d", "postgres",
		"-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-c", statements).CombinedOutput()
	if err != nil {
		s.tb.Fatalf("%s: %v\n%s", statements, err, out)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' })
}

// Terminate ends the sessions that a condition on pg_stat_activity names, as an administrator
// does. It returns how many there were.
func (s *Server) Terminate(where string) int {
	s.tb.Helper()
	return len(s.SQL(fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND (%s)", where)))
}

func (s *Server) await(what string, done func() bool) {
	s.tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-deadline:
			s.tb.Fatalf("postgrestest: it does not happen that %s:\n%s", what, s.log)
		case <-tick.C:
		}
	}
}
