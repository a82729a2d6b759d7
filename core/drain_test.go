package sio_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// drainTick is how often Drain looks at its clients.
const drainTick = 20 * time.Millisecond

// drained drains and returns how long it took.
func drained(t *testing.T, srv *sio.Server, opts *sio.DrainOptions) time.Duration {
	t.Helper()
	start := time.Now()
	must(t, srv.Drain(t.Context(), opts))
	return time.Since(start)
}

// handshake returns the status that a new client gets.
func handshake(t *testing.T, d siotest.Dialer) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.Endpoint("EIO", "4", "transport", "polling"), http.NoBody)
	must(t, err)
	res, err := d.HTTP(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	must(t, res.Body.Close())
	return res.StatusCode
}

func TestDrain(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				why := reasons(srv.Namespace)
				for range 11 {
					c := open(t, d)
					c.Connect("/", "")
					go func() {
						if before := c.UntilClosed(); len(before) > 0 { // no DISCONNECT packet, above all
							t.Errorf("got %q", before)
						}
					}()
				}
				synctest.Wait()
				start, ended := time.Now(), make(chan error)
				go func() { ended <- srv.Drain(t.Context(), nil) }()
				for i := range 11 {
					mustReason(t, why, sio.ReasonServerShuttingDown)
					turn := time.Duration(i) * 10 * time.Second / 11
					if after := time.Since(start); after < turn || after > turn+drainTick {
						t.Errorf("client %d is told after %v, want %v", i, after, turn)
					}
				}
				must(t, <-ended)
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("took %v", took)
				}
				must(t, srv.Drain(t.Context(), nil)) // again
			})
		})
	}
}

func TestDrainRefusesNewClients(t *testing.T) {
	called := false
	opts := &sio.Options{
		UseRequest:        []func(http.Header, *sio.Request) error{func(http.Header, *sio.Request) error { called = true; return nil }},
		OnConnectionError: func(sio.ConnectionError) { called = true },
	}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		why := reasons(srv.Namespace)
		if !srv.Ready() {
			t.Error("a new server is not ready")
		}
		first := d.WebSocket(t)
		first.Connect("/", "")
		go first.UntilClosed()
		ended := make(chan error)
		go func() { ended <- srv.Drain(t.Context(), &sio.DrainOptions{Delay: time.Minute}) }()
		synctest.Wait()
		if srv.Ready() {
			t.Error("a server that drains is ready")
		}
		late := d.WebSocket(t) // the load balancer has not noticed yet
		late.Connect("/", "")
		late.Send("41")
		mustReason(t, why, sio.ReasonClientNamespaceDisconnect)
		time.Sleep(time.Minute)
		mustReason(t, why, sio.ReasonServerShuttingDown)
		called = false
		if got := handshake(t, d); got != http.StatusServiceUnavailable {
			t.Errorf("a new client gets status %d", got)
		}
		if called {
			t.Error("the application was asked about a client that came too late")
		}
		go late.UntilClosed()
		must(t, <-ended)
	})
}

// An answer that the handler has in hand arrives, and so do those of events that wait.
func TestDrainWaitsForHandlers(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.On("slow", sio.Reply(func(c *sio.Ctx, n int) (int, error) {
					time.Sleep(time.Second)
					return n, c.Context().Err()
				}))
				c := open(t, d)
				c.Connect("/", "")
				c.Send(`420["slow",1]`, `421["slow",2]`)
				synctest.Wait()
				got := make(chan []string, 1)
				go func() { got <- c.UntilClosed() }()
				start := time.Now()
				must(t, srv.Drain(t.Context(), &sio.DrainOptions{Spread: -1}))
				if packets := <-got; !slices.Equal(packets, []string{"430[1]", "431[2]"}) {
					t.Errorf("got %q", packets)
				}
				if took := time.Since(start); took < 2*time.Second || took > 2*time.Second+3*drainTick {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestDrainWaitsForAcks(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				answers := make(chan string, 1)
				srv.OnConnect(func(c *sio.Ctx) error {
					go func() { // no handler runs
						answer, err := sio.EmitWithAck[string](c.Socket.Context(), c.Socket, "question")
						answers <- fmt.Sprint(answer, err)
					}()
					return nil
				})
				c := open(t, d)
				c.Connect("/", "")
				id := asked(t, c, `["question"]`)
				go func() {
					time.Sleep(2 * time.Second)
					must(t, c.TrySend("43"+id+`["answer"]`))
				}()
				go c.UntilClosed()
				took := drained(t, srv, &sio.DrainOptions{Spread: -1})
				if got := <-answers; got != "answer<nil>" {
					t.Errorf("got %s", got)
				}
				if took < 2*time.Second || took > 2*time.Second+3*drainTick {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// What does not end in time is told so: the handler by its context, the waiter by an
// error.
func TestDrainGrace(t *testing.T) {
	for name, tt := range map[string]struct{ set, want time.Duration }{
		"by default": {0, 5 * time.Second},
		"set":        {3 * time.Second, 3 * time.Second},
		"none":       {-1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var s story
				srv.On("slow", func(c *sio.Ctx) error {
					<-c.Context().Done()
					s.add("handler: %v", context.Cause(c.Context()))
					return nil
				})
				srv.On("ask", func(c *sio.Ctx) error {
					_, err := sio.EmitWithAck[string](context.WithoutCancel(c.Context()), c.Socket, "question")
					s.add("waiter: %v", err)
					return nil
				})
				for _, event := range []string{"slow", "ask"} {
					c := d.WebSocket(t)
					c.Connect("/", "")
					c.Send(`42["` + event + `"]`)
					go c.UntilClosed()
				}
				synctest.Wait()
				if took := drained(t, srv, &sio.DrainOptions{Spread: -1, Grace: tt.set}); took < tt.want || took > tt.want+drainTick {
					t.Errorf("took %v", took)
				}
				told := s.told()
				slices.Sort(told)
				if want := []string{"handler: sio: disconnected: server shutting down", "waiter: sio: disconnected: server shutting down"}; !slices.Equal(told, want) {
					t.Errorf("what happened: %q, want %q", told, want)
				}
			})
		})
	}
}

// A quarter of the time is left for Shutdown, and the rest is shared as the options say.
func TestDrainFitsIntoItsContext(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		const n = 10
		var told []time.Duration
		start := time.Now()
		srv.On("slow", func(c *sio.Ctx) error {
			<-c.Context().Done()
			told = append(told, time.Since(start))
			return nil
		})
		for range n {
			c := d.WebSocket(t)
			c.Connect("/", "")
			c.Send(`42["slow"]`)
			go c.UntilClosed()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		must(t, srv.Drain(ctx, &sio.DrainOptions{Spread: 10 * time.Second, Grace: 10 * time.Second}))
		if len(told) != n {
			t.Fatalf("%d handlers were told", len(told))
		}
		slices.Sort(told)
		for i, after := range told {
			want := time.Second + time.Duration(i)*time.Second/n
			if after < want || after > want+2*drainTick {
				t.Errorf("handler %d is told after %v, want %v", i, after, want)
			}
		}
	})
}

func TestDrainGivesUpWithItsContext(t *testing.T) {
	for name, opts := range map[string]*sio.DrainOptions{
		"while it tells":  nil,
		"while it delays": {Delay: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				release := make(chan struct{})
				srv.On("hang", func(*sio.Ctx) error { <-release; return nil })
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(`42["hang"]`)
				synctest.Wait()
				go c.UntilClosed()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				err := srv.Drain(ctx, opts)
				if took := time.Since(start); took != 5*time.Second || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("after %v: %v", took, err)
				}
				close(release)
				if err := srv.Drain(t.Context(), nil); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the next call: %v", err)
				}
			})
		})
	}
}

func TestDrainTwice(t *testing.T) {
	idle := func(t *testing.T, srv *sio.Server, d siotest.Dialer) (ended chan error) {
		t.Helper()
		for range 2 {
			c := d.WebSocket(t)
			c.Connect("/", "")
			go c.UntilClosed()
		}
		ended = make(chan error, 2)
		go func() { ended <- srv.Drain(t.Context(), &sio.DrainOptions{Spread: time.Hour}) }()
		synctest.Wait()
		return ended
	}
	t.Run("the second call waits", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
			ended := idle(t, srv, d)
			if took := drained(t, srv, nil); took < 30*time.Minute || took > 30*time.Minute+2*drainTick {
				t.Errorf("took %v", took)
			}
			must(t, <-ended)
		})
	})
	t.Run("the context that ends first counts", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
			ended := idle(t, srv, d)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			if err := srv.Drain(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the second call: %v", err)
			}
			must(t, <-ended)
			if took := time.Since(start); took > time.Second+drainTick {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("Shutdown ends it at once", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
			ended, start := idle(t, srv, d), time.Now()
			must(t, srv.Shutdown(t.Context()))
			must(t, <-ended)
			if took := time.Since(start); took != 0 {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("after Shutdown", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, srv *sio.Server, _ siotest.Dialer) {
			must(t, srv.Shutdown(t.Context()))
			if took := drained(t, srv, &sio.DrainOptions{Delay: time.Hour}); took != 0 {
				t.Errorf("took %v", took)
			}
		})
	})
}

// Every handler that has started answers, at whatever moment the server drains. Clients
// send their next event as soon as they have an answer, so that events meet the end of
// their connections.
func TestDrainLosesNoAnswer(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			const clients = 30
			srv, d := loopback(t, nil)
			var ran atomic.Int64
			srv.On("next", sio.Reply(func(*sio.Ctx, int) (int64, error) { return ran.Add(1), nil }))
			answers, busy := make(chan int64, clients), make(chan struct{}, clients)
			for range clients {
				c := open(t, d)
				c.Connect("/", "")
				go func() {
					n := int64(0)
					defer func() { answers <- n }()
					for c.TrySend(`420["next",0]`) == nil {
						if _, err := c.TryNext(); err != nil {
							return
						}
						if n++; n == 3 {
							busy <- struct{}{}
						}
					}
				}()
			}
			for range clients {
				await(t, "answers", busy)
			}
			must(t, srv.Drain(t.Context(), &sio.DrainOptions{Spread: 200 * time.Millisecond, Grace: patience}))
			var got int64
			for range clients {
				got += await(t, "the end of a client", answers)
			}
			if want := ran.Load(); got != want {
				t.Errorf("%d handlers ran, and clients got %d answers", want, got)
			}
		})
	}
}
