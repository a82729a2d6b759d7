package ratelimit_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// The flood: 50 clients send 20,000 events, as fast as they can, and 10 others want
// answers meanwhile. bench/flood measures what that costs the others.
const (
	attackers = 50
	flood     = 20_000
	honest    = 10
	questions = 50 // of each honest client
	share     = 100
)

func TestFlood(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]ratelimit.Option{
		"refused": nil,
		"dropped": {ratelimit.Drop()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, nil, siotest.Loopback)
			m := ratelimit.NewMemory(0)
			n.srv.UseEvents(ratelimit.PerSocket(share, 24*time.Hour, append(opts, ratelimit.In(m, "all"))...))
			var handled atomic.Int64
			n.srv.On("post", sio.Reply(func(*sio.Ctx, struct{}) (string, error) {
				handled.Add(1)
				return "ok", nil
			}))
			n.attack(t, func(int) string { return "post" })
			if got, want := handled.Load(), int64(attackers*share+honest*questions); got != want {
				t.Errorf("%d events handled, want %d", got, want)
			}
			if keys := m.Len(); keys > attackers+honest {
				t.Errorf("%d buckets for %d clients", keys, attackers+honest)
			}
		})
	}
}

// Clients that make up names of events have a bucket for each of them, and must not
// have as many as they like.
func TestFloodOfMadeUpEvents(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, nil, siotest.Loopback)
	const most = 2000
	m := ratelimit.NewMemory(most)
	n.srv.UseEvents(ratelimit.PerEvent(share, 24*time.Hour, ratelimit.In(m, "names")))
	n.srv.On("post", answer)
	var peak atomic.Int64
	n.srv.OnUnknown(func(*sio.Ctx) error {
		peak.Store(max(peak.Load(), int64(m.Len())))
		return nil
	})
	n.attack(t, func(i int) string { return fmt.Sprint("made up ", i) })
	if got := peak.Load(); got > most || got < most/4 {
		t.Errorf("%d buckets at the same time, want up to %d", got, most)
	}
}

// attack has the attackers send events of these names, while honest clients get
// answers to all of theirs.
func (n network) attack(t *testing.T, name func(i int) string) {
	t.Helper()
	var left sync.WaitGroup
	left.Add(attackers)
	n.srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) {
		if r == sio.ReasonClientNamespaceDisconnect {
			left.Done()
		}
	})
	var wg sync.WaitGroup
	for range attackers {
		c := n.WebSocket(t)
		c.Connect("/", "")
		go func() { // reads what it is told, until the test ends
			for {
				if _, err := c.TryNext(); err != nil {
					return
				}
			}
		}()
		wg.Go(func() {
			for i := range flood / attackers {
				if err := c.TrySend(fmt.Sprintf(`42[%q]`, name(i))); err != nil {
					t.Error(err)
					return
				}
			}
			// Events of a socket are handled in order, so then all of them are.
			if err := c.TrySend(`41`); err != nil {
				t.Error(err)
			}
		})
	}
	for range honest {
		c := n.WebSocket(t)
		c.Connect("/", "")
		wg.Go(func() {
			for range questions {
				if err := c.TrySend(`421["post"]`); err != nil {
					t.Error(err)
					return
				}
				if got, err := c.TryNext(); err != nil || got != `431["ok"]` {
					t.Errorf("an honest client got %q, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	left.Wait()
}
