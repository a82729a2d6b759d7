package redistest_test

import (
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAServerComesAndGoes(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	if !listens(s.Addr) {
		t.Error("it does not listen")
	}
	s.Kill()
	if listens(s.Addr) {
		t.Error("it listens when it has been killed")
	}
	s.Restart()
	if !listens(s.Addr) {
		t.Error("it does not listen when it has been started again")
	}
}

func listens(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func TestACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 0)
	from := c.Owner(0)
	if from != c.Masters[0] {
		t.Error("slot 0 is not at the first master")
	}
	c.Migrate(0, c.Masters[1])
	if _, err := from.Do("SPUBLISH", "{06S}", "x"); err == nil { // slot 0
		t.Error("the slot has not moved")
	}
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	s.Master.Kill()
	s.AwaitFailover()
}
