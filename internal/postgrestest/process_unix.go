//go:build unix

package postgrestest

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"testing"
)

// An owner is the user who owns the data. PostgreSQL refuses to run as root.
type owner struct{ credential *syscall.Credential }

func newOwner(tb testing.TB) *owner {
	tb.Helper()
	if os.Getuid() != 0 {
		return new(owner)
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			tb.Fatal(err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			tb.Fatal(err)
		}
		return &owner{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	tb.Fatal("postgrestest: PostgreSQL refuses to run as root, and there is no user postgres or nobody")
	return nil
}

func (o *owner) own(tb testing.TB, dir string) {
	tb.Helper()
	if o.credential == nil {
		return
	}
	if err := os.Chown(dir, int(o.credential.Uid), int(o.credential.Gid)); err != nil {
		tb.Fatal(err)
	}
}

func (o *owner) run(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Credential: o.credential} }

// Stop ends the server and all its sessions at once, without saving anything.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGQUIT)
	<-s.done
	s.cmd = nil
}

// Hang lets the server stop in the middle of what it does, with all sessions, until the function
// that is returned is called.
func (s *Server) Hang() (goOn func()) {
	s.tb.Helper()
	processes := []int{s.cmd.Process.Pid}
	for _, line := range s.SQL("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()") {
		pid, err := strconv.Atoi(line)
		if err != nil {
			s.tb.Fatal(err)
		}
		processes = append(processes, pid)
	}
	signal := func(sig syscall.Signal) {
		for _, pid := range processes {
			_ = syscall.Kill(pid, sig) // a session may have ended
		}
	}
	signal(syscall.SIGSTOP)
	resumed := false
	goOn = func() {
		if !resumed {
			resumed = true
			signal(syscall.SIGCONT)
		}
	}
	s.tb.Cleanup(goOn) // it could not be stopped otherwise
	return goOn
}
