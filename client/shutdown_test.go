package sioclient_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// shutdownWithin calls Shutdown with a context that ends after d of fake time, and checks
// that it takes as long as it should.
func shutdownWithin(t *testing.T, s *sioclient.Socket, d, want time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	start := time.Now()
	err := s.Manager().Shutdown(ctx)
	if took := time.Since(start); took != want {
		t.Errorf("Shutdown took %v, want %v", took, want)
	}
	if s.Active() {
		t.Error("the socket is active after Shutdown")
	}
	return err
}

// retrier returns a socket that the test shuts down itself.
func retrier(t *testing.T, d siotest.Dialer, o sioclient.Options) *sioclient.Socket {
	t.Helper()
	s, err := sioclient.New(d.At("/").URL, options(d, o))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// checkLeft checks that an error says how many events are left.
func checkLeft(t *testing.T, err error, left string) {
	t.Helper()
	if !errors.Is(err, sioclient.ErrUnacknowledged) || !strings.Contains(err.Error(), left+" left") {
		t.Errorf("%v, want %s events left", err, left)
	}
}

// emitMany emits events, and returns an error of the first that fails.
func emitMany(t *testing.T, s *sioclient.Socket, event string, n int) {
	t.Helper()
	for i := range n {
		if err := s.Emit(event, i); err != nil {
			t.Fatal(err)
		}
	}
}

// Events that wait behind others, or for the connection, are sent and acknowledged before
// Shutdown closes the connection.
func TestShutdownWaitsForRetriedEvents(t *testing.T) {
	t.Parallel()
	for name, connectFirst := range map[string]bool{"connected": true, "connecting": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(nil)
				var got atomic.Int64
				srv.On("slow", func(c *sio.Ctx) error {
					time.Sleep(time.Second)
					got.Add(1)
					return c.Ack()
				})
				s := retrier(t, siotest.Pipes(t, srv), sioclient.Options{Retries: 1})
				if s.Open(); connectFirst {
					if err := s.Connect(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				emitMany(t, s, "slow", 5)
				if err := shutdownWithin(t, s, time.Minute, 5*time.Second); err != nil || got.Load() != 5 {
					t.Errorf("%v, %d events", err, got.Load())
				}
			})
		})
	}
}

// A server that never acknowledges: Shutdown ends with its context, or when the last event
// was given up, and says how many events are left.
func TestShutdownWithAServerThatNeverAcknowledges(t *testing.T) {
	t.Parallel()
	const tries = 3 * 3 * time.Second // of each of the three events
	for name, limit := range map[string]time.Duration{"the context ends": 7 * time.Second, "the events are given up": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(nil)
				srv.On("lost", func(*sio.Ctx) error { return nil })
				s := retrier(t, siotest.Pipes(t, srv), sioclient.Options{Retries: 2, AckTimeout: 3 * time.Second})
				if err := s.Connect(t.Context()); err != nil {
					t.Fatal(err)
				}
				emitMany(t, s, "lost", 3)
				err := shutdownWithin(t, s, limit, min(limit, 3*tries))
				checkLeft(t, err, "3")
				if errors.Is(err, context.DeadlineExceeded) != (limit < 3*tries) {
					t.Error(err)
				}
			})
		})
	}
}

// Nothing is waited for that cannot come: the client was never connected, has disconnected, or was refused.
func TestShutdownDoesNotWaitWithoutAConnection(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(t *testing.T, s *sioclient.Socket){
		"never connected":    func(*testing.T, *sioclient.Socket) {},
		"Socket.Disconnect":  func(t *testing.T, s *sioclient.Socket) { connectIn(t, s); s.Disconnect() },
		"Manager.Disconnect": func(t *testing.T, s *sioclient.Socket) { connectIn(t, s); s.Manager().Disconnect() },
		"the server": func(t *testing.T, s *sioclient.Socket) {
			connectIn(t, s)
			if err := s.EmitVolatile("leave"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := retrier(t, siotest.Pipes(t, newServer(nil)), sioclient.Options{Retries: 2})
				leave(t, s)
				emitMany(t, s, "echo", 4)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				checkLeft(t, s.Manager().Shutdown(ctx), "4")
				if time.Since(start) > 0 {
					t.Errorf("Shutdown took %v", time.Since(start))
				}
				if err := s.Connect(ctx); err != nil { // what is left stays, and is sent now
					t.Fatal(err)
				}
				if err := s.Manager().Shutdown(ctx); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func connectIn(t *testing.T, s *sioclient.Socket) {
	t.Helper()
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// While the client connects again, Shutdown waits. If the client gives up, Shutdown ends.
func TestShutdownWhileConnectingAgain(t *testing.T) {
	t.Parallel()
	gone := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("the server is away") }
	for name, o := range map[string]sioclient.Options{
		"for ever":  {},
		"giving up": {ReconnectionAttempts: 2},
		"not again": {DisableReconnection: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o.Retries, o.RandomizationFactor = 2, -1
				s := retrier(t, siotest.Dialer{URL: "http://server", Dial: gone}, o)
				s.Open()
				emitMany(t, s, "echo", 2)
				want := map[string]time.Duration{"for ever": time.Minute, "giving up": 3 * time.Second}[name]
				err := shutdownWithin(t, s, time.Minute, want)
				checkLeft(t, err, "2")
				if errors.Is(err, context.DeadlineExceeded) != (name == "for ever") {
					t.Error(err)
				}
			})
		})
	}
}

// The server comes back while Shutdown waits: the events that were on their way, and those
// behind them, arrive.
func TestShutdownSendsWhenTheServerIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(nil)
		var got atomic.Int64
		srv.On("count", sio.Reply(func(_ *sio.Ctx, n int) (int, error) { got.Add(1); return n, nil }))
		d := siotest.Pipes(t, srv)
		dial := d.Dial
		var away atomic.Bool
		conns := make(chan net.Conn, 2)
		d.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if away.Load() {
				return nil, errors.New("the server is away")
			}
			c, err := dial(ctx, network, address)
			conns <- c
			return c, err
		}
		s := retrier(t, d, sioclient.Options{Retries: 2})
		connectIn(t, s)
		away.Store(true)
		if err := (<-conns).Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		emitMany(t, s, "count", 3)
		time.AfterFunc(20*time.Second, func() { away.Store(false) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Manager().Shutdown(ctx); err != nil || got.Load() != 3 {
			t.Errorf("%v, %d events", err, got.Load())
		}
	})
}

// A caller that has given up on its event was told so. Shutdown waits for it no more, and
// events that are emitted while it waits do not prolong it.
func TestShutdownWaitsOnlyForWhatIsOwed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(nil)
		srv.On("lost", func(*sio.Ctx) error { return nil })
		s := retrier(t, siotest.Pipes(t, srv), sioclient.Options{Retries: 1 << 20, AckTimeout: time.Hour})
		connectIn(t, s)
		a, err := sioclient.Ask[int](s, "lost")
		if err != nil {
			t.Fatal(err)
		}
		emitMany(t, s, "echo", 1)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		go func() { _, _ = a.Wait(ctx) }() // ends with ctx
		time.AfterFunc(time.Second, func() { _ = s.Emit("lost") })
		if err := shutdownWithin(t, s, time.Minute, 5*time.Second); err != nil {
			t.Error(err)
		}
	})
}
