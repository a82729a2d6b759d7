package postgrestest_test

import (
	"net"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/internal/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAServerComesAndGoes(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	s.SQL("INSERT INTO socket_io_attachments (payload) VALUES ('a')")
	s.Stop()
	if conn, err := net.Dial("tcp", s.Addr); err == nil {
		_ = conn.Close()
		t.Error("it listens when it has been stopped")
	}
	s.Restart()
	if got := s.SQL("SELECT id, payload FROM socket_io_attachments"); !slices.Equal(got, []string{`1|\x61`}) {
		t.Errorf("got %q", got)
	}
	goOn := s.Hang()
	goOn()
	if n := s.Terminate("true"); n != 0 {
		t.Errorf("%d sessions have ended", n)
	}
}
