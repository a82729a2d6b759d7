package engine_test

import (
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// stillFor is for how long the timers of these tests stand still.
const stillFor = 30 * time.Second

// A stopper is the handler of a session that keeps the timers of all others from going off:
// it does not return. It stands for a process that stands still.
type stopper struct {
	ended chan time.Time
	pings bool // stop the timers for pings
	pongs bool // stop those for pongs
	once  sync.Once
}

// Message implements [engine.Handler].
func (*stopper) Message(bool, []byte) {}

// ReadOn implements [engine.Reader].
func (s *stopper) ReadOn() {
	if s.pings {
		s.once.Do(func() { time.Sleep(stillFor) })
	}
}

// Close implements [engine.Handler].
func (s *stopper) Close(engine.Reason, error) {
	s.ended <- time.Now()
	if s.pongs {
		time.Sleep(stillFor)
	}
}

// standingStill runs a test with a session that stops timers, and one that was opened a
// second later.
func standingStill(t *testing.T, name string, s *stopper, query string, f func(t *testing.T, c *enginetest.Conn, other *stopper)) {
	t.Helper()
	opts := engine.Options{AllowEIO3: true}
	inBubble(t, name, opts, func(t *testing.T, k *enginetest.Kit) {
		other := &stopper{ended: make(chan time.Time, 1)}
		s.ended = make(chan time.Time, 1)
		handlers := []*stopper{s, other}
		k.Server = engine.NewServer(opts, func(session *engine.Session) engine.Handler {
			h := handlers[0]
			handlers = handlers[1:]
			if h.pings {
				session.Hold()
			}
			return h
		})
		first := k.Dial(query)
		first.Resume()
		time.Sleep(time.Second)
		c := k.Dial(query)
		c.Resume()
		if got := c.Next(); got[0] != '0' {
			t.Fatalf("open packet: %q", got)
		}
		f(t, c, other)
	})
}

// A server that stood still when a ping was due sends it late. It ended the session at the
// same moment, because the time for the pong was over as well.
func TestServerThatStoodStillDidNotWaitForThePong(t *testing.T) {
	standingStill(t, "the client answers", &stopper{pings: true}, websocket, func(t *testing.T, c *enginetest.Conn, other *stopper) {
		opened := time.Now()
		same(t, "ping after", pinged(t, c).Sub(opened), interval-time.Second+stillFor)
		time.Sleep(timeout - 1)
		c.Text("3")
		same(t, "next ping", c.Next(), "2")
		same(t, "ended", len(other.ended), 0)
	})
	standingStill(t, "the client has gone", &stopper{pings: true}, websocket, func(t *testing.T, c *enginetest.Conn, other *stopper) {
		at := pinged(t, c)
		same(t, "ended after", (<-other.ended).Sub(at), timeout)
	})
}

// The pong came in time, but the server stood still and has not read it when its timer goes
// off. The client has as much time again, once.
func TestServerThatStoodStillDidNotReadThePong(t *testing.T) {
	standingStill(t, "the client answers", &stopper{pongs: true}, websocket, func(t *testing.T, c *enginetest.Conn, other *stopper) {
		at := pinged(t, c)
		time.Sleep(timeout + stillFor) // in which others' timers go off
		c.Text("3")
		same(t, "next ping", pinged(t, c).Sub(at), timeout+stillFor+interval)
		same(t, "ended", len(other.ended), 0)
	})
	standingStill(t, "the client has gone", &stopper{pongs: true}, websocket, func(t *testing.T, c *enginetest.Conn, other *stopper) {
		at := pinged(t, c)
		same(t, "ended after", (<-other.ended).Sub(at), timeout+stillFor-time.Second+timeout)
	})
	standingStill(t, "revision 3", &stopper{pongs: true}, "EIO=3&transport=websocket", func(t *testing.T, c *enginetest.Conn, other *stopper) {
		time.Sleep(interval + timeout + stillFor)
		c.Text("2")
		same(t, "pong", c.Next(), "3")
		at := time.Now()
		same(t, "ended after", (<-other.ended).Sub(at), interval+timeout)
	})
}
