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
	"github.com/sioplug/sioplug/core/siotest"
)

// grace is for how long a handler may keep those of the client's other namespaces
// waiting.
const grace = 100 * time.Millisecond

// inNamespaces returns a server's namespaces /a to /d, which acknowledge the event
// "e" with its argument.
func inNamespaces(srv *sio.Server) (names []string) {
	for _, name := range []string{"/a", "/b", "/c", "/d"} {
		srv.Of(name).On("e", sio.Reply(func(_ *sio.Ctx, n int) (int, error) { return n, nil }))
		names = append(names, name)
	}
	return names
}

// Acks of events to several namespaces came in any order.
func TestEventsOfOneClientAreHandledInItsOrderWhateverTheNamespace(t *testing.T) {
	const rounds, each = 50, 5
	for name, open := range transports() {
		for how, send := range map[string]func(c *siotest.Client, packets []string){
			"together": func(c *siotest.Client, packets []string) { c.Send(packets...) },
			"one by one": func(c *siotest.Client, packets []string) {
				for _, p := range packets {
					c.Send(p)
				}
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				srv, d := loopback(t, nil)
				names := inNamespaces(srv)
				c := open(t, d)
				for _, ns := range names {
					c.Connect(ns, "")
				}
				for range rounds {
					var packets, want []string
					for i := range each {
						for _, ns := range names {
							packets = append(packets, fmt.Sprintf(`42%s,%d["e",%d]`, ns, i, i))
							want = append(want, fmt.Sprintf(`43%s,%d[%d]`, ns, i, i))
						}
					}
					send(c, packets)
					c.Want(want...)
				}
			})
		}
	}
}

// The same for handlers that yield the processor, with load beside them.
func TestOrderUnderLoad(t *testing.T) {
	srv, d := loopback(t, nil)
	var s story
	names := []string{"/a", "/b"}
	for _, name := range names {
		srv.Of(name).On("e", sio.Bind(func(c *sio.Ctx, n int) error {
			s.add("%s%d", name, n)
			for range n % 5 {
				runtime.Gosched()
			}
			s.add("end of %s%d", name, n)
			return c.Ack()
		}))
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	defer load.Wait()
	defer close(stop)
	for range 2 * runtime.GOMAXPROCS(0) {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					runtime.Gosched()
				}
			}
		})
	}
	c := d.WebSocket(t)
	for _, name := range names {
		c.Connect(name, "")
	}
	const n = 300
	var want []string
	for i := range n {
		for _, name := range names {
			c.Send(fmt.Sprintf(`42%s,1["e",%d]`, name, i))
			want = append(want, fmt.Sprint(name, i), fmt.Sprint("end of ", name, i))
		}
	}
	for range n {
		c.Want("43/a,1[]", "43/b,1[]")
	}
	s.want(t, want...)
}

func TestConnectsOfOnePayloadAreAnsweredInOrder(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			srv, d := loopback(t, nil)
			var connect, want []string
			for i := range 30 {
				ns := srv.Of(fmt.Sprint("/", i))
				ns.UseConnect(func(next sio.Handler) sio.Handler {
					return func(c *sio.Ctx) error {
						runtime.Gosched()
						return next(c)
					}
				})
				connect, want = append(connect, fmt.Sprintf("40/%d,", i)), append(want, fmt.Sprintf("40/%d,", i))
			}
			c := open(t, d)
			c.Send(connect...)
			for _, head := range want {
				if got := c.Next(); !strings.HasPrefix(got, head) {
					t.Fatalf("got %q, want %s", got, head)
				}
			}
		})
	}
}

// OnConnect of the second socket overtook OnDisconnect of the first.
func TestLeavingAndConnectingAgainAreHandledInOrder(t *testing.T) {
	const rounds = 200
	srv, d := loopback(t, nil)
	var s story
	srv.Of("/a").OnConnect(func(*sio.Ctx) error { s.add("connected"); return nil })
	srv.Of("/a").OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("disconnected") })
	echo(srv.Namespace)
	c := d.WebSocket(t)
	c.Connect("/", "")
	c.Connect("/a", "")
	want := []string{"connected"}
	for range rounds {
		c.Send("41/a,", "40/a,")
		want = append(want, "disconnected", "connected")
		if got := c.Next(); !strings.HasPrefix(got, "40/a,") {
			t.Fatalf("got %q", got)
		}
	}
	mustEcho(t, c)
	s.want(t, want...)
}

// What waits for a database must not stop the client's other namespaces for longer.
func TestASlowHandlerHoldsUpOtherNamespacesForTheGraceAlone(t *testing.T) {
	for name, open := range transports() {
		for at, blocked := range map[string]string{"event": `42/slow,["wait"]`, "connect": "40/refuses,"} {
			t.Run(name+" "+at, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					release := make(chan struct{})
					srv.Of("/slow").On("wait", func(*sio.Ctx) error { <-release; return nil })
					srv.Of("/slow").On("next", func(c *sio.Ctx) error { return c.Emit("next") })
					srv.Of("/refuses").UseConnect(sio.Guard(func(*sio.Ctx) error { <-release; return &sio.Error{Message: "no"} }))
					echo(srv.Namespace)
					c := open(t, d)
					c.Connect("/", "")
					c.Connect("/slow", "")
					start := time.Now()
					c.Send(blocked, `42["echo",1]`)
					c.Want(`42["echo",1]`)
					if took := time.Since(start); took > 2*grace {
						t.Errorf("the other namespace waited for %v", took)
					}
					start = time.Now()
					c.Send(`42["echo",2]`) // nobody is in the way any more
					c.Want(`42["echo",2]`)
					if took := time.Since(start); took != 0 {
						t.Errorf("the other namespace waited for %v again", took)
					}
					if at == "event" { // the socket's own order holds
						c.Send(`42/slow,["next"]`, `42["echo",3]`)
						c.Want(`42["echo",3]`)
						close(release)
						c.Want(`42/slow,["next"]`)
					} else {
						close(release)
					}
				})
			})
		}
	}
}

// A handler that waits for its client, or another one, is passed at once.
func TestAHandlerThatAsksLetsOtherNamespacesGoOnAtOnce(t *testing.T) {
	type asking func(c *sio.Ctx) error
	for name, open := range transports() {
		for how, do := range map[string]asking{
			"method": func(c *sio.Ctx) error {
				_, err := c.EmitWithAck(context.Background(), "q")
				return err
			},
			"function": func(c *sio.Ctx) error {
				ctx, cancel := context.WithTimeout(c.Context(), time.Hour)
				defer cancel()
				_, err := sio.EmitWithAck[int](ctx, c.Socket, "q")
				return err
			},
			"broadcast": func(c *sio.Ctx) error {
				for a := range sio.BroadcastWithAck[int](c.Context(), c.Self(), "q") {
					return a.Err
				}
				return errors.New("nobody was asked")
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					srv.Of("/asks").On("ask", func(c *sio.Ctx) error {
						if err := do(c); err != nil {
							return err
						}
						return c.Emit("done")
					})
					echo(srv.Namespace)
					c := open(t, d)
					c.Connect("/", "")
					c.Connect("/asks", "")
					start := time.Now()
					c.Send(`42/asks,["ask"]`, `42["echo",1]`)
					got := []string{c.Next(), c.Next()}
					slices.Sort(got)
					id, ok := strings.CutSuffix(strings.TrimPrefix(got[0], "42/asks,"), `["q"]`)
					if !ok || got[1] != `42["echo",1]` {
						t.Fatalf("got %q", got)
					}
					c.Send("43/asks," + id + "[1]")
					c.Want(`42/asks,["done"]`)
					if took := time.Since(start); took != 0 {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// A goroutine beside the handlers that asks has no turn to give up.
func TestAQuestionFromElsewhereDoesNotPassAHandler(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		got := make(chan *sio.Socket, 1)
		running, release := make(chan struct{}), make(chan struct{})
		srv.OnConnect(func(c *sio.Ctx) error { got <- c.Socket; return nil })
		srv.On("wait", func(*sio.Ctx) error { close(running); <-release; return nil })
		echo(srv.Of("/other"))
		c := d.WebSocket(t)
		c.Connect("/other", "")
		c.Connect("/", "")
		s := <-got
		start := time.Now()
		c.Send(`42["wait"]`, `42/other,["echo",1]`)
		<-running
		q := ask(t.Context(), s)
		id := asked(t, c, theQuestion)
		c.Send("43" + id + "[1]")
		<-q.done
		must(t, q.err)
		c.Want(`42/other,["echo",1]`)
		if took := time.Since(start); took < grace {
			t.Errorf("the other namespace's handler began %v after the first one, which runs on", took)
		}
		close(release)
	})
}

// An event of another goroutine came before the answer to CONNECT, or one that the
// client sent upon it was taken for one without a socket.
func TestNothingOvertakesTheAnswerToConnect(t *testing.T) {
	const rounds, emitters = 1000, 8
	srv, d := loopback(t, nil)
	var emitting sync.WaitGroup
	srv.Of("/a").UseConnect(func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			s := c.Socket
			for range emitters {
				emitting.Go(func() {
					for errors.Is(s.Emit("early"), sio.ErrNotConnected) {
						runtime.Gosched()
					}
				})
			}
			return next(c)
		}
	})
	c := d.WebSocket(t)
	for range rounds {
		c.Connect("/a", "") // fails if anything else comes before
		for range emitters {
			c.Want(`42/a,["early"]`)
		}
		c.Send("41/a,")
	}
	emitting.Wait()
}

func TestAConnectThatMeetsTheEndOfItsSessionIsNoViolation(t *testing.T) {
	l := new(logbook)
	bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		sockets := make(chan *sio.Socket, 1)
		srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
		srv.OfFunc(func(string, *sio.Handshake) bool { return (<-sockets).Close() == nil })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send("40/child,")
		c.UntilClosed()
		synctest.Wait()
		for _, line := range l.all() {
			if strings.Contains(line, "broke the protocol") {
				t.Errorf("logged: %s", line)
			}
		}
	})
}
