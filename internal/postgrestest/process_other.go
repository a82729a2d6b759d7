//go:build !unix

package postgrestest

import (
	"os/exec"
	"testing"
)

type owner struct{}

func newOwner(tb testing.TB) *owner {
	tb.Helper()
	tb.Skip("postgrestest: needs Unix")
	return nil
}

func (*owner) own(testing.TB, string) {}
func (*owner) run(*exec.Cmd)          {}

// Stop ends the server.
func (s *Server) Stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.done
		s.cmd = nil
	}
}

// Hang is for Unix.
func (*Server) Hang() (goOn func()) { return func() {} }
