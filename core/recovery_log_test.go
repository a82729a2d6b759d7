package sio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// A lateLog delivers on a goroutine of its own, as one behind a network does, and not
// before it is let.
type lateLog struct {
	adapter.Log

	queue chan func()
	gate  sync.Mutex // held while nothing is delivered
}

func newLateLog() *lateLog {
	l := &lateLog{Log: adapter.NewMemoryLog(adapter.MemoryLogOptions{}), queue: make(chan func(), 1000)}
	go func() { // ends with Close
		for do := range l.queue {
			l.gate.Lock()
			do()
			l.gate.Unlock()
		}
	}()
	return l
}

func (l *lateLog) Append(m *adapter.Message, deliver func(offset string)) error {
	l.queue <- func() { _ = l.Log.Append(m, deliver) } // which does not fail
	return nil
}

func (l *lateLog) Close() error {
	close(l.queue)
	return l.Log.Close()
}

func withLog(l adapter.Log) *sio.Options {
	return &sio.Options{
		Logger:                  slog.New(slog.DiscardHandler),
		ConnectionStateRecovery: &sio.Recovery{Log: func(string) adapter.Log { return l }},
	}
}

// Emit does not wait for the network of a log, and the order stays.
func TestEmitDoesNotWaitForALogThatDeliversLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLateLog()
		srv := newServer(t, withLog(l))
		d := siotest.Pipes(t, srv)
		defer shutdown(t, srv)
		sockets := make(chan *sio.Socket, 5)
		srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
		v := arrive(t, srv, d.WebSocket(t))
		s := <-sockets
		l.gate.Lock()
		must(t, s.Emit("e", 1))
		must(t, srv.Emit("e", 2))
		must(t, srv.To(v.id).Join("a"))
		must(t, srv.To("a").Emit("e", 3))
		must(t, srv.To("a").Leave("a"))
		must(t, srv.To("a").Emit("e", "not for it"))
		must(t, s.Emit("last words"))
		must(t, s.Disconnect())
		l.gate.Unlock()
		v.want(t, `42["e",1]`, `42["e",2]`, `42["e",3]`, `42["last words"]`)
		v.Want("41")
		v.Abort()
		synctest.Wait()

		v = arrive(t, srv, d.WebSocket(t))
		must(t, srv.To(v.id).Join("a"))
		synctest.Wait()
		v.Abort()
		synctest.Wait()
		must(t, srv.To("a").Emit("e", 1))
		must(t, srv.To(v.id).Leave("a"))
		must(t, srv.To("a").Emit("e", "not for it"))
		must(t, srv.Emit("e", 2))
		v.mustMiss(t, d, "", `42["e",1]`, `42["e",2]`)
	})
}

// Clients come and go while such a log delivers: each gets everything, once, in order.
func TestNothingIsMissedOrDoubledIfTheLogDeliversLater(t *testing.T) {
	srv, d := loopback(t, withLog(newLateLog()))
	const n, visitors = 400, 3
	var all sync.WaitGroup
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
	for i := range n {
		must(t, srv.Emit("e", i))
	}
	all.Wait()
}

// A wrongLog does what no log should.
type wrongLog struct {
	adapter.Log

	append func(l adapter.Log, m *adapter.Message, deliver func(string)) error
	save   func(ctx context.Context) error
	claim  func(ctx context.Context) (*adapter.Session, error)
}

func (l *wrongLog) Append(m *adapter.Message, deliver func(offset string)) error {
	if l.append == nil {
		return l.Log.Append(m, deliver)
	}
	return l.append(l.Log, m, deliver)
}

func (l *wrongLog) Save(ctx context.Context, s *adapter.Session) error {
	if l.save == nil {
		return l.Log.Save(ctx, s)
	}
	return l.save(ctx)
}

func (l *wrongLog) Claim(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	if l.claim == nil {
		return l.Log.Claim(ctx, pid, offset)
	}
	return l.claim(ctx)
}

func memoryLog() adapter.Log { return adapter.NewMemoryLog(adapter.MemoryLogOptions{}) }

// Whatever becomes of an event in the log, clients get it, once.
func TestEventsAreDeliveredWhateverTheLogDoes(t *testing.T) {
	type appending = func(l adapter.Log, m *adapter.Message, deliver func(string)) error
	for name, f := range map[string]appending{
		"error": func(adapter.Log, *adapter.Message, func(string)) error { return errors.New("full") },
		"panic": func(adapter.Log, *adapter.Message, func(string)) error { panic("a bug") },
		"panic afterwards": func(l adapter.Log, m *adapter.Message, deliver func(string)) error {
			_ = l.Append(m, deliver)
			panic("a bug")
		},
		"error afterwards": func(l adapter.Log, m *adapter.Message, deliver func(string)) error {
			return errors.Join(l.Append(m, deliver), errors.New("full"))
		},
		"twice": func(l adapter.Log, m *adapter.Message, deliver func(string)) error {
			return l.Append(m, func(o string) { deliver(o); deliver(o) })
		},
		"not kept": func(_ adapter.Log, _ *adapter.Message, deliver func(string)) error { deliver(""); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, withLog(&wrongLog{Log: memoryLog(), append: f}), func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				c := d.WebSocket(t)
				id := c.Connect("/", "")
				for i := range 3 {
					must(t, srv.Emit("e", i))
					if p, want := c.Next(), fmt.Sprintf(`42["e",%d`, i); !strings.HasPrefix(p, want) {
						t.Errorf("got %s, want %s", p, want)
					}
				}
				_ = srv.To(id).Disconnect() // an error, if it is not in the log
				c.Want("41")
			})
		})
	}
}

// Whatever becomes of a session, the socket ends, and its client gets another one.
func TestSocketsEndWhateverTheLogDoesWithTheirSessions(t *testing.T) {
	for name, l := range map[string]*wrongLog{
		"saving fails":     {save: func(context.Context) error { return errors.New("full") }},
		"saving panics":    {save: func(context.Context) error { panic("a bug") }},
		"saving exits":     {save: func(context.Context) error { runtime.Goexit(); return nil }},
		"saving waits":     {save: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		"claiming fails":   {claim: func(context.Context) (*adapter.Session, error) { return nil, errors.New("away") }},
		"claiming panics":  {claim: func(context.Context) (*adapter.Session, error) { panic("a bug") }},
		"claiming exits":   {claim: func(context.Context) (*adapter.Session, error) { runtime.Goexit(); return nil, errors.New("") }},
		"claiming nothing": {claim: func(context.Context) (*adapter.Session, error) { return nil, nil }}, //nolint:nilnil // wrong, as it says
		"claiming waits":   {claim: func(ctx context.Context) (*adapter.Session, error) { <-ctx.Done(); return nil, ctx.Err() }},
	} {
		t.Run(name, func(t *testing.T) {
			l.Log = memoryLog()
			bubble(t, withLog(l), func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				left := reasons(srv.Namespace)
				v := arrive(t, srv, d.WebSocket(t))
				v.Abort()
				mustReason(t, left, sio.ReasonTransportClose)
				time.Sleep(10 * time.Second)
				id := v.id
				if missed := v.connect(t, d.WebSocket(t)); len(missed) > 0 || v.id == id {
					t.Errorf("missed %q, same id: %v", missed, v.id == id)
				}
				must(t, srv.Emit("e"))
				v.want(t, `42["e"]`)
			})
		})
	}
}

// A log that ignores its context keeps nobody longer than that.
func TestALogThatNeverReturnsDoesNotHoldUpASocket(t *testing.T) {
	for _, when := range []string{"saving", "claiming"} {
		t.Run(when, func(t *testing.T) {
			l := &wrongLog{Log: memoryLog()}
			bubble(t, withLog(l), func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				release := make(chan struct{})
				if when == "saving" {
					l.save = func(context.Context) error { <-release; return nil }
				} else {
					l.claim = func(context.Context) (*adapter.Session, error) { <-release; return nil, adapter.ErrUnknownSession }
				}
				v := arrive(t, srv, d.WebSocket(t))
				v.Abort()
				start, id := time.Now(), v.id
				if v.connect(t, d.WebSocket(t)); v.id == id || time.Since(start) > time.Minute {
					t.Errorf("same id: %v, after %v", v.id == id, time.Since(start))
				}
				must(t, srv.Shutdown(t.Context()))
				close(release)
			})
		})
	}
}

// A session that the log gives out too late is not lost.
func TestASessionThatIsClaimedTooLateIsKept(t *testing.T) {
	l := &slowLog{Log: memoryLog()}
	bubble(t, withLog(l), func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		claims := make(chan struct{})
		l.claims = claims
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		must(t, srv.Emit("missed"))
		late := *v
		if late.connect(t, d.WebSocket(t)); late.id == v.id {
			t.Fatal("recovered, but the log had not returned")
		}
		close(claims)
		synctest.Wait()
		v.mustMiss(t, d, "", `42["missed"]`)
	})
}

// What a broadcast costs a log is bounded by bytes, and names of rooms are bytes.
func TestNamesOfRoomsCountInTheLog(t *testing.T) {
	l := adapter.NewMemoryLog(adapter.MemoryLogOptions{MaxBytes: 1 << 20})
	bubble(t, withLog(l), func(t *testing.T, srv *sio.Server, _ siotest.Dialer) {
		many := slices.Repeat([]string{strings.Repeat("x", 1000)}, 100)
		begin := l.End()
		for range 20 {
			must(t, srv.To(many...).Except(many...).Emit("e"))
			must(t, srv.To("a").Leave(many...))
		}
		_, err := l.Replay(t.Context(), begin, 1, func(*adapter.Message, string) {}, nil)
		if !errors.Is(err, adapter.ErrUnknownOffset) {
			t.Errorf("6 MB of names are kept where 1 MB may be: %v", err)
		}
	})
}
