//go:build unix

package redistest

import "syscall"

// Hang lets the server stop in the middle of what it does, connections and all,
// until the function that is returned is called.
func (s *Server) Hang() (goOn func()) {
	s.tb.Helper()
	s.signal(syscall.SIGSTOP)
	return func() {
		s.tb.Helper()
		s.signal(syscall.SIGCONT)
	}
}

func (s *Server) signal(sig syscall.Signal) {
	s.tb.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.tb.Fatal(err)
	}
}
