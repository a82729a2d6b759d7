package sio_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// What handlers emit to a client that has just lost its connection is not lost.
func TestEmitsToAClientThatIsAwayAreKept(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s *sio.Socket
		srv.OnConnect(func(c *sio.Ctx) error { s = c.Socket; return nil })
		srv.OnDisconnect(func(s *sio.Socket, r sio.Reason) {
			if err := s.Emit("while leaving"); (err == nil) != (r == sio.ReasonTransportClose) {
				t.Errorf("%s: %v", r, err)
			}
		})
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		must(t, s.Emit("afterwards"))
		if missed := v.connect(t, d.WebSocket(t)); !slices.Equal(missed, []string{`42["while leaving"]`, `42["afterwards"]`}) {
			t.Errorf("missed %q", missed)
		}
		v.Send("41")
		synctest.Wait()
		if err := s.Emit("to nobody"); err == nil {
			t.Error("emitted to a client that will not come back")
		}
	})
}

func TestSIO_CL_7_ShutdownKeepsSessions(t *testing.T) {
	l := new(sharedLog)
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{Log: l.open}}
	var v *visitor
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OnConnect(func(c *sio.Ctx) error { nick.Set(c.Socket, "Ann"); return nil })
		v = arrive(t, srv, d.WebSocket(t))
		must(t, srv.Shutdown(t.Context()))
		v.UntilClosed()
	})
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) { // another process, as it were
		srv.OnConnect(func(c *sio.Ctx) error {
			name, _ := nick.Get(c.Socket)
			return c.Emit("welcome", name, c.Recovered())
		})
		old := v.id
		v.connect(t, d.WebSocket(t))
		v.want(t, `42["welcome","Ann",true]`)
		if v.id != old {
			t.Error("another id")
		}
	})
}

// Clients come and go while events are emitted: each gets all of them, once, in
// order.
func TestNothingIsMissedOrDoubled(t *testing.T) {
	srv, d := loopback(t, recovering)
	const n, visitors = 600, 4
	var all, ready sync.WaitGroup
	ready.Add(visitors)
	srv.OnConnect(func(c *sio.Ctx) error {
		if c.Recovered() {
			return nil
		}
		defer ready.Done()
		return c.Join("a")
	})
	for range visitors {
		v := new(visitor)
		v.connect(t, d.WebSocket(t))
		all.Go(func() {
			got := 0
			check := func(p string) {
				if want := fmt.Sprintf(`42["e",%d]`, got); p != want {
					t.Errorf("got %s, want %s", p, want)
				}
				got++
			}
			for got < n {
				if v.offset != "" && got%100 == 50 {
					v.Abort()
					for _, p := range v.connect(t, d.WebSocket(t)) {
						check(p)
					}
				}
				if got < n {
					check(v.event(t, v.Next()))
				}
			}
		})
	}
	ready.Wait()
	for i := range n {
		must(t, srv.To("a").Emit("e", i))
	}
	all.Wait()
}

// A sharedLog is one that outlives the servers that use it, as one behind a
// network would, and like that cannot keep what is no data.
type sharedLog struct {
	adapter.Log

	once sync.Once
}

func (l *sharedLog) open(string) adapter.Log {
	l.once.Do(func() { l.Log = adapter.NewMemoryLog(adapter.MemoryLogOptions{}) })
	return l
}

func (l *sharedLog) Save(ctx context.Context, s *adapter.Session) error {
	c := *s
	c.Local = nil
	return l.Log.Save(ctx, &c)
}

func (*sharedLog) Close() error { return nil }
