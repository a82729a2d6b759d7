package sio_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestSIO_EM_1_ReservedNames(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("check", func(c *sio.Ctx) error {
			for _, name := range []string{
				"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
			} {
				_, ask := c.EmitWithAck(c.Context(), name)
				for what, err := range map[string]error{
					"Socket": c.Emit(name), "volatile": c.EmitVolatile(name), "ack": ask, "Server": srv.Emit(name),
					"Broadcast": srv.To("room").Emit(name), "Socket.To": c.To("room").Emit(name, 1),
				} {
					if !errors.Is(err, sio.ErrReservedEvent) || !strings.Contains(err.Error(), `"`+name+`"`) {
						t.Errorf("%s of %s: %v", what, name, err)
					}
				}
			}
			return c.Ack()
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["check"]`)
		c.Want("431[]")
	})
}

func TestSIO_EM_2_OtherNamesAreFree(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OnUnknown(func(c *sio.Ctx) error { // On refuses these names
			if name := c.Event(); name != "connection" && name != "new_namespace" {
				t.Errorf("event %q", name)
			}
			return c.Emit(c.Event())
		})
		for _, name := range []string{"error", "message", "", "7", "ünï", `"quoted"`} {
			srv.On(name, func(c *sio.Ctx) error {
				if c.Event() != name {
					t.Errorf("event %q, want %q", c.Event(), name)
				}
				return c.Emit(name)
			})
		}
		c := d.WebSocket(t)
		c.Connect("/", "")
		for _, name := range []string{`"connection"`, `"error"`, `"message"`, `"new_namespace"`, `""`, `"ünï"`, `"\"quoted\""`} {
			c.Send("42[" + name + "]")
			c.Want("42[" + name + "]")
		}
		c.Send("42[7]") // a number as name
		c.Want(`42["7"]`)
	})
}

func TestSIO_EM_5_OrderOfEmits(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("go", func(c *sio.Ctx) error {
			must(t, c.Join("room"))
			for i := range 100 {
				must(t, c.Emit("e", i, 0))
				must(t, srv.Emit("e", i, 1))
				must(t, srv.To("room").Emit("e", i, 2))
				must(t, srv.To(c.ID()).Emit("e", i, 3, []byte{byte(i)}))
			}
			return c.Ack("end")
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["go"]`)
		for i := range 100 {
			for k := range 3 {
				c.Want(fmt.Sprintf(`42["e",%d,%d]`, i, k))
			}
			c.Want(fmt.Sprintf(`451-["e",%d,3,{"_placeholder":true,"num":0}]`, i))
			c.Next()
		}
		c.Want(`431["end"]`)
	})
}

func TestSIO_EM_6_EventsOfOneSocketInOrderAndOneAtATime(t *testing.T) {
	const n = 2000
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var running atomic.Int32
				next := 0
				done := make(chan struct{})
				// Some events take long and some do not, so that those behind
				// them could overtake.
				srv.UseEvents(sio.Guard(func(c *sio.Ctx) error {
					var i int
					must(t, c.Bind(&i))
					time.Sleep([]time.Duration{0, 0, 3 * time.Microsecond, 2 * time.Millisecond}[i%4])
					return nil
				}))
				srv.On("event", sio.Bind(func(_ *sio.Ctx, i int) error {
					if running.Add(1) != 1 {
						t.Error("two handlers at the same time")
					}
					if i != next {
						t.Errorf("event %d, want %d", i, next)
					}
					if next++; next == n {
						close(done)
					}
					running.Add(-1)
					return nil
				}))
				c := open(t, d)
				c.Connect("/", "")
				const batch = 20
				for i := 0; i < n; i += batch {
					packets := make([]string, batch)
					for k := range packets {
						packets[k] = fmt.Sprintf(`42["event",%d]`, i+k)
					}
					c.Send(packets...)
				}
				<-done
			})
		})
	}
}

// The same with real time and sockets, to give races a chance.
func TestSIO_EM_6_OrderOnARealNetwork(t *testing.T) {
	const n = 2000
	srv, d := loopback(t, nil)
	srv.On("event", sio.Bind(func(c *sio.Ctx, i int) error { return c.Emit("event", i) }))
	c := d.WebSocket(t)
	c.Connect("/", "")
	for i := range n {
		c.Send(fmt.Sprintf(`42["event",%d]`, i))
	}
	for i := range n {
		c.Want(fmt.Sprintf(`42["event",%d]`, i))
	}
}

// meet registers a handler that returns when n sockets are in it.
func meet(n int, namespaces ...*sio.Namespace) {
	var inside atomic.Int32
	all := make(chan struct{})
	for _, ns := range namespaces {
		ns.On("meet", func(c *sio.Ctx) error {
			if int(inside.Add(1)) == n {
				close(all)
			}
			<-all
			return c.Ack("met")
		})
	}
}

func TestSocketsRunInParallel(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		meet(3, srv.Namespace)
		clients := []*siotest.Client{d.WebSocket(t), d.Polling(t), d.WebSocket(t)}
		for _, c := range clients {
			c.Connect("/", "")
			c.Send(`421["meet"]`)
		}
		for _, c := range clients {
			c.Want(`431["met"]`)
		}
	})
}

func TestSocketsOfOneClientRunInParallel(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				meet(3, srv.Namespace, srv.Of("/a"), srv.Of("/b"))
				c := open(t, d)
				c.Connect("/", "")
				c.Connect("/a", "")
				c.Connect("/b", "")
				synctest.Wait() // nothing is left to do from connecting
				start := time.Now()
				c.Send(`421["meet"]`, `42/a,1["meet"]`, `42/b,1["meet"]`) // in one payload
				got := map[string]bool{c.Next(): true, c.Next(): true, c.Next(): true}
				for _, want := range []string{`431["met"]`, `43/a,1["met"]`, `43/b,1["met"]`} {
					if !got[want] {
						t.Errorf("no %s in %v", want, got)
					}
				}
				if took := time.Since(start); took > time.Second { // it was up to the next pong
					t.Errorf("they waited for each other for %v", took)
				}
			})
		})
	}
}

func TestSIO_EM_13_VolatileIsDroppedForAClientThatDoesNotRead(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var socket *sio.Socket
		srv.OnConnect(func(c *sio.Ctx) error { socket = c.Socket; return nil })
		for name, volatile := range map[string]func(event string, args ...any) error{
			"Socket":    func(e string, args ...any) error { return socket.EmitVolatile(e, args...) },
			"Broadcast": func(e string, args ...any) error { return srv.To().Volatile().Emit(e, args...) },
		} {
			c := d.WebSocket(t)
			c.Connect("/", "")
			synctest.Wait()
			must(t, volatile("alone"))
			c.Want(`42["alone"]`)
			synctest.Wait()
			must(t, socket.Emit("regular")) // nobody reads it, so the pipe is full
			synctest.Wait()
			must(t, volatile("dropped"))
			must(t, volatile("dropped", []byte{1}))
			must(t, socket.Emit("regular"))
			synctest.Wait()
			c.Want(`42["regular"]`, `42["regular"]`)
			synctest.Wait()
			must(t, volatile(name, []byte{1}))
			c.Want(`451-["`+name+`",{"_placeholder":true,"num":0}]`, "bAQ==")
			c.Close()
			c.UntilClosed()
			synctest.Wait()
		}
	})
}

func TestSIO_EM_13_VolatileIsDroppedBetweenPolls(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var socket *sio.Socket
		srv.OnConnect(func(c *sio.Ctx) error { socket = c.Socket; return nil })
		c := d.Polling(t)
		c.Connect("/", "")
		synctest.Wait()
		must(t, socket.EmitVolatile("dropped"))
		go func() {
			time.Sleep(time.Second) // the poll is there
			must(t, socket.EmitVolatile("arrives"))
		}()
		c.Want(`42["arrives"]`)
	})
}

func TestSIO_EM_16_EM_17_TextIsIntact(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		echo(srv.Namespace)
		for _, open := range []func() *siotest.Client{
			func() *siotest.Client { return d.WebSocket(t) }, func() *siotest.Client { return d.Polling(t) },
		} {
			c := open()
			c.Connect("/", "")
			for _, text := range []string{
				"cash 🤑 €uro", "\u2028\u2029", `<a href=\"x&y\">`, `\u0000\\\n`, strings.Repeat("日本語", 100_000),
			} {
				c.Send(`42["echo","` + text + `"]`)
				c.Want(`42["echo","` + text + `"]`)
			}
		}
	})
}

func TestSIO_EM_3_ENC_9_EmitOfWhatHasNoJSON(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		type ring struct{ Next *ring }
		circle := &ring{}
		circle.Next = circle
		srv.On("check", func(c *sio.Ctx) error {
			for what, v := range map[string]any{
				"channel": make(chan int), "NaN": math.NaN(), "circle": circle, "function": func() {}, // SIO-ENC-9
			} {
				_, ask := c.EmitWithAck(c.Context(), "x", v)
				for how, err := range map[string]error{
					"Emit": c.Emit("x", v), "Ack": c.Ack(v), "EmitWithAck": ask, "Broadcast": srv.Emit("x", 1, v),
				} {
					if err == nil || errors.Is(err, sio.ErrAckSent) {
						t.Errorf("%s of %s: %v", how, what, err)
					}
				}
			}
			return c.Ack("fine") // the failed ones do not count
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["check"]`)
		c.Want(`431["fine"]`)
	})
}
