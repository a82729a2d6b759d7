package sio_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// asked reads an event that wants an ack, and returns its id.
func asked(tb testing.TB, c *siotest.Client, event string) (id string) {
	tb.Helper()
	got := c.Next()
	id, ok := strings.CutSuffix(strings.TrimPrefix(got, "42"), event)
	if !ok || id == "" {
		tb.Fatalf("got %q, want %s with an id", got, event)
	}
	return id
}

// An ackCall is a running call of EmitWithAck.
type ackCall struct {
	args sio.Args
	err  error
	done chan struct{}
}

func ask(ctx context.Context, s *sio.Socket) *ackCall {
	q := &ackCall{done: make(chan struct{})}
	go func() {
		defer close(q.done)
		q.args, q.err = s.EmitWithAck(ctx, "question", 1)
	}()
	return q
}

// withSocket runs f in a bubble with a connected client and its socket.
func withSocket(t *testing.T, opts *sio.Options, f func(t *testing.T, srv *sio.Server, s *sio.Socket, c *siotest.Client)) {
	t.Helper()
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		got := make(chan *sio.Socket, 1)
		srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		f(t, srv, <-got, c)
	})
}

const theQuestion = `["question",1]`

func TestSIO_EM_9_TheServerAsks(t *testing.T) {
	withSocket(t, nil, func(t *testing.T, _ *sio.Server, s *sio.Socket, c *siotest.Client) {
		for name, tt := range map[string]struct {
			head, tail string // around the id
			attachment []string
			check      func(a sio.Args) (ok bool, err error)
		}{
			"several values": {"43", `[1,"two",{"x":3},"surplus"]`, nil, func(a sio.Args) (bool, error) {
				var n int
				var s string
				var m map[string]int
				err := a.Bind(&n, &s, &m)
				return a.Len() == 4 && n == 1 && s == "two" && m["x"] == 3, err
			}},
			"none": {"43", "[]", nil, func(a sio.Args) (bool, error) {
				return a.Len() == 0 && a.Bind(new(int)) != nil, a.Bind()
			}},
			"binary": {"461-", `[{"b":{"_placeholder":true,"num":0}}]`, []string{"bAQID"}, func(a sio.Args) (bool, error) {
				var m map[string][]byte
				err := a.Bind(&m)
				return string(m["b"]) == "\x01\x02\x03", err
			}},
			"wrong shape": {"43", `["x"]`, nil, func(a sio.Args) (bool, error) {
				return a.Bind(new(int)) != nil, nil
			}},
		} {
			q := ask(t.Context(), s)
			id := asked(t, c, theQuestion)
			c.Send(append([]string{tt.head + id + tt.tail}, tt.attachment...)...)
			<-q.done
			must(t, q.err)
			if ok, err := tt.check(q.args); !ok || err != nil {
				t.Errorf("%s: error %v", name, err)
			}
		}
	})
}

func TestSIO_EM_11_FirstValueDecoded(t *testing.T) {
	type location struct {
		City string `json:"city"`
	}
	withSocket(t, nil, func(t *testing.T, _ *sio.Server, s *sio.Socket, c *siotest.Client) {
		for answer, want := range map[string]struct {
			city string
			fail bool
		}{
			`[{"city":"Bern"},2]`: {"Bern", false}, "[]": {"", false}, `["x"]`: {"", true},
		} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				l, err := sio.EmitWithAck[location](t.Context(), s, "question", 1)
				if l.City != want.city || (err != nil) != want.fail {
					t.Errorf("%s: got %v, error %v", answer, l, err)
				}
			}()
			c.Send("43" + asked(t, c, theQuestion) + answer)
			<-done
		}
	})
}

func TestSIO_EM_10_DeadlineIsExactAndLateAnswersAreIgnored(t *testing.T) {
	withSocket(t, nil, func(t *testing.T, _ *sio.Server, s *sio.Socket, c *siotest.Client) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		q := ask(ctx, s)
		id := asked(t, c, theQuestion)
		<-q.done
		if took := time.Since(start); took != 5*time.Second || !errors.Is(q.err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", took, q.err)
		}
		if errors.Is(q.err, sio.ErrDisconnected) {
			t.Error("matches ErrDisconnected")
		}
		c.Send("43" + id + "[1]")
		mustEcho(t, c)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		q = ask(canceled, s)
		asked(t, c, theQuestion)
		if <-q.done; !errors.Is(q.err, context.Canceled) {
			t.Errorf("canceled before: %v", q.err)
		}
	})
}

// The reference counts from 0.
func TestSIO_EM_7_IDsAreCountedByNamespace(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		root, chat := newCrowd(t, srv, d, "/", "a", "b"), newCrowd(t, srv, d, "/chat", "c")
		ask(t.Context(), root.sockets["a"])
		root.clients["a"].Want(`421["question",1]`)
		ask(t.Context(), root.sockets["b"])
		root.clients["b"].Want(`422["question",1]`)
		go func() {
			for range sio.BroadcastWithAck[int](t.Context(), srv.To("a"), "question", 1) {
			}
		}()
		root.clients["a"].Want(`423["question",1]`)
		ask(t.Context(), chat.sockets["c"])
		chat.clients["c"].Want(`42/chat,1["question",1]`)
	})
}

func TestSIO_EM_12_BAD_6_AnswersAreMatchedByIDAndSocket(t *testing.T) {
	withSocket(t, nil, func(t *testing.T, srv *sio.Server, s *sio.Socket, c *siotest.Client) {
		first := ask(t.Context(), s)
		firstID := asked(t, c, theQuestion)
		second := ask(t.Context(), s)
		secondID := asked(t, c, theQuestion)
		srv.Of("/other")
		c.Connect("/other", "")
		c.Send("439999[0]", "43[0]", "43"+secondID+"0[0]", "43/other,"+firstID+"[0]") // none of these is for anybody
		mustEcho(t, c)
		c.Send("43"+secondID+"[2]", "43"+secondID+"[0]", "43"+firstID+"[1]", "43"+firstID+"[0]")
		for want, q := range map[int]*ackCall{1: first, 2: second} {
			<-q.done
			got := 0
			if must(t, q.err); q.args.Bind(&got) != nil || got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		}
		mustEcho(t, c)
	})
}

func TestSIO_DC_16_DisconnectWakesWhoeverWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(t *testing.T, srv *sio.Server, s *sio.Socket, c *siotest.Client)
		want sio.Reason
	}{
		"client leaves": {func(_ *testing.T, _ *sio.Server, _ *sio.Socket, c *siotest.Client) { c.Send("41") }, sio.ReasonClientNamespaceDisconnect},
		"client gone":   {func(_ *testing.T, _ *sio.Server, _ *sio.Socket, c *siotest.Client) { c.Abort() }, sio.ReasonTransportClose},
		"disconnect":    {func(t *testing.T, _ *sio.Server, s *sio.Socket, _ *siotest.Client) { must(t, s.Disconnect()) }, sio.ReasonServerNamespaceDisconnect},
		"broken packet": {func(_ *testing.T, _ *sio.Server, _ *sio.Socket, c *siotest.Client) { c.Send("4abc") }, sio.ReasonForcedClose},
		"shutdown": {func(t *testing.T, srv *sio.Server, _ *sio.Socket, c *siotest.Client) {
			go func() { must(t, srv.Shutdown(context.Background())) }()
			c.UntilClosed()
		}, sio.ReasonServerShuttingDown},
		"no pong": {func(*testing.T, *sio.Server, *sio.Socket, *siotest.Client) {}, sio.ReasonPingTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			withSocket(t, nil, func(t *testing.T, srv *sio.Server, s *sio.Socket, c *siotest.Client) {
				// One has a context that ends together with the socket.
				questions := []*ackCall{ask(context.Background(), s), ask(s.Context(), s)}
				for range questions {
					asked(t, c, theQuestion)
				}
				tt.end(t, srv, s, c)
				for _, q := range questions {
					<-q.done
					why, ok := errors.AsType[*sio.DisconnectError](q.err)
					if !errors.Is(q.err, sio.ErrDisconnected) || !ok || why.Reason != tt.want {
						t.Errorf("error %v, want reason %q", q.err, tt.want)
					}
				}
			})
		})
	}
}

// Answers do not wait for handlers, so a handler may ask its own client.
func TestHandlerAsksItsOwnClient(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, &sio.Options{MaxPendingEvents: 4}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var s story
				srv.On("ask me", func(c *sio.Ctx) error {
					for range 3 {
						n, err := sio.EmitWithAck[int](c.Context(), c.Socket, "question", 1)
						if err != nil {
							return err
						}
						s.add("answer %d", n)
					}
					return c.Ack()
				})
				srv.On("other", sio.Bind(func(_ *sio.Ctx, n int) error { s.add("other %d", n); return nil }))
				c := open(t, d)
				c.Connect("/", "")
				// The answers are behind more events than may wait.
				packets := []string{`421["ask me"]`}
				for range 10 {
					packets = append(packets, `42["other",1]`)
				}
				c.Send(packets...)
				for i := range 3 {
					c.Send("43" + asked(t, c, theQuestion) + "[" + string(rune('1'+i)) + "]")
				}
				c.Want("431[]")
				synctest.Wait()
				want := []string{"answer 1", "answer 2", "answer 3"}
				for range 10 {
					want = append(want, "other 1")
				}
				s.want(t, want...)
			})
		})
	}
}

func TestOnConnectAsksItsOwnClient(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OnConnect(func(c *sio.Ctx) error {
			_, err := c.EmitWithAck(c.Context(), "question", 1)
			return err
		})
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send("43" + asked(t, c, theQuestion) + "[]")
		mustEcho(t, c)
	})
}

// More events than may wait came before the answer: nobody read it, and the client
// was disconnected for not answering pings.
func TestAnAnswerBehindThousandsOfEventsIsFound(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				for who, f := range askers(srv) {
					n := 600
					if who == "handler" {
						n = 5000
					}
					var s story
					ns := srv.Of("/" + who)
					handled := 0
					ns.On("event", func(*sio.Ctx) error { handled++; return nil })
					ns.On("ask", func(c *sio.Ctx) error {
						err := f(c)
						s.add("%v, %d handled", err, handled)
						return c.Ack()
					})
					c := open(t, d)
					c.Connect("/"+who, "")
					start := time.Now()
					prefix := "42/" + who + ","
					c.Send(append([]string{prefix + `1["ask"]`}, slices.Repeat([]string{prefix + `["event"]`}, n)...)...)
					id, _ := strings.CutSuffix(strings.TrimPrefix(c.Next(), prefix), theQuestion)
					c.Send("43/" + who + "," + id + "[1]")
					c.Want("43/" + who + ",1[]")
					synctest.Wait()
					s.want(t, "<nil>, 0 handled")
					if took := time.Since(start); handled != n || took > grace {
						t.Errorf("%s: %d of %d events handled, after %v", who, handled, n, took)
					}
				}
			})
		})
	}
}

// askers are ways for a handler to wait for its own client.
func askers(srv *sio.Server) map[string]func(c *sio.Ctx) error {
	broadcast := func(ctx context.Context, b sio.Broadcast) error {
		err := errors.New("nobody was asked")
		for a := range sio.BroadcastWithAck[int](ctx, b, "question", 1) {
			err = a.Err
		}
		return err
	}
	return map[string]func(c *sio.Ctx) error{
		"handler": func(c *sio.Ctx) error {
			_, err := c.EmitWithAck(context.Background(), "question", 1)
			return err
		},
		"before": func(c *sio.Ctx) error {
			a, err := c.Ask("question", 1)
			if err != nil {
				return err
			}
			_, err = a.Wait(c.Context())
			return err
		},
		"goroutine": func(c *sio.Ctx) error {
			err := make(chan error)
			go func() {
				_, e := sio.EmitWithAck[int](context.Background(), c.Socket, "question", 1)
				err <- e
			}()
			return <-err
		},
		"broadcast":  func(c *sio.Ctx) error { return broadcast(c.Context(), c.Namespace().To()) },
		"background": func(c *sio.Ctx) error { return broadcast(context.Background(), srv.Of(c.Namespace().Name()).To()) },
	}
}

// Beyond what may be read ahead, who waits is told why, nothing is lost, and the
// client stays.
func TestAnAnswerThatCannotBeReadIsAnErrorAtOnce(t *testing.T) {
	const n, bytes = 500, 10_000
	for name, open := range transports() {
		for who := range askers(nil) {
			t.Run(name+" "+who, func(t *testing.T) {
				opts := &sio.Options{MaxPendingEvents: 4, MaxPendingBytes: bytes}
				bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					why := reasons(srv.Namespace)
					errs := make(chan error, 10)
					handled := 0
					srv.On("event", func(*sio.Ctx) error { handled++; return nil })
					srv.On("ask", func(c *sio.Ctx) error { errs <- askers(srv)[who](c); return c.Ack() })
					echo(srv.Namespace)
					c := open(t, d)
					c.Connect("/", "")
					start := time.Now()
					go func() {
						_ = c.TrySend(append([]string{`421["ask"]`}, slices.Repeat([]string{`42["event"]`}, n)...)...)
					}()
					if err := <-errs; !errors.Is(err, sio.ErrAckBlocked) {
						t.Errorf("error %v", err)
					}
					id := asked(t, c, theQuestion)
					c.Want("431[]")
					c.Send("43" + id + "[1]") // too late, and no harm
					mustEcho(t, c)
					synctest.Wait()
					if took := time.Since(start); took > grace || handled != n {
						t.Errorf("%d of %d events handled, after %v", handled, n, took)
					}
					if len(why) != 0 {
						t.Errorf("disconnected: %s", <-why)
					}
				})
			})
		}
	}
}

// The events that are in the way are another namespace's.
func TestAnAnswerBehindEventsOfAnotherNamespaceIsFound(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, &sio.Options{MaxPendingEvents: 4}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				release := make(chan struct{})
				srv.Of("/stuck").On("event", func(*sio.Ctx) error { <-release; return nil })
				got := make(chan *sio.Socket, 1)
				srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
				c := open(t, d)
				c.Connect("/stuck", "")
				c.Connect("/", "")
				s := <-got
				c.Send(slices.Repeat([]string{`42/stuck,["event"]`}, 3)...)
				q := ask(t.Context(), s)
				id := asked(t, c, theQuestion)
				c.Send(append(slices.Repeat([]string{`42/stuck,["event"]`}, 1000), "43"+id+"[1]")...)
				<-q.done
				must(t, q.err)
				close(release)
			})
		})
	}
}

// Whoever asks when nothing can be read any more learns that, too.
func TestAskingWhenNothingIsReadAnyMore(t *testing.T) {
	bubble(t, &sio.Options{MaxPendingEvents: 4, MaxPendingBytes: 1000}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		got := make(chan *sio.Socket, 1)
		release := make(chan struct{})
		srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
		srv.On("event", func(*sio.Ctx) error { <-release; return nil })
		c := d.WebSocket(t)
		c.Connect("/", "")
		s := <-got
		go func() { _ = c.TrySend(slices.Repeat([]string{`42["event"]`}, 1000)...) }()
		synctest.Wait()
		for range 3 {
			q := ask(t.Context(), s)
			asked(t, c, theQuestion)
			if <-q.done; !errors.Is(q.err, sio.ErrAckBlocked) {
				t.Errorf("error %v", q.err)
			}
		}
		close(release)
	})
}

func TestAConnectMiddlewareCannotAskASocketThatIsNotConnected(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		errs := make(chan error, 1)
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			_, err := c.EmitWithAck(context.Background(), "question", 1)
			errs <- err
			return nil
		}))
		d.WebSocket(t).Connect("/", "")
		if err := <-errs; !errors.Is(err, sio.ErrNotConnected) {
			t.Errorf("error %v", err)
		}
	})
}
