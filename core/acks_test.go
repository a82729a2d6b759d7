package sio_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// These are the acks that clients ask for; those that the server asks for are
// in questions_test.go.

func TestSIO_EM_8_Ack(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("ack", func(c *sio.Ctx) error {
			if !c.WantsAck() {
				t.Error("WantsAck is false")
			}
			must(t, c.Ack(1, "two", []int{3}, nil))
			if c.WantsAck() {
				t.Error("WantsAck is true afterwards")
			}
			if err := c.Ack(2); !errors.Is(err, sio.ErrAckSent) {
				t.Errorf("second ack: %v", err)
			}
			return nil
		})
		srv.On("empty", func(c *sio.Ctx) error { return c.Ack() })
		srv.On("binary", func(c *sio.Ctx) error { return c.Ack([]byte{1, 2}) })
		srv.On("reply", sio.Reply(func(_ *sio.Ctx, n int) (map[string]int, error) { return map[string]int{"n": n}, nil }))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`420["ack"]`, `429007199254740991["empty"]`, `425["binary"]`, `426["reply",7]`)
		c.Want(`430[1,"two",[3],null]`, `439007199254740991[]`)
		c.Want(`461-5[{"_placeholder":true,"num":0}]`, "bAQI=", `436[{"n":7}]`)
	})
}

func TestBindAcknowledgesSuccess(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		late := make(chan *sio.Ctx, 2)
		srv.On("done", sio.Bind(func(*sio.Ctx, string) error { return nil }))
		srv.On("nothing", sio.Bind(func(*sio.Ctx, struct{}) error { return nil }))
		srv.On("own", sio.Bind(func(c *sio.Ctx, s string) error { return c.Ack(s, 2) }))
		srv.On("own and fails", sio.Bind(func(c *sio.Ctx, s string) error {
			_ = c.Ack(s) // without an ack wanted, it fails
			return &sio.Error{Message: "no"}
		}))
		srv.On("fails", sio.Bind(func(*sio.Ctx, string) error { return &sio.Error{Message: "no"} }))
		srv.On("later", sio.Bind(func(c *sio.Ctx, _ struct{}) error { late <- c; return nil }))
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		for event, want := range map[string]string{
			`["done","a"]`: `[]`, `["nothing"]`: `[]`, `["own","a"]`: `["a",2]`, `["own and fails","a"]`: `["a"]`,
			`["fails","a"]`: `[{"error":{"message":"no"}}]`, `["done"]`: `[{"error":{"message":"invalid payload"}}]`,
			`["later"]`: `[]`,
		} {
			c.Send("42"+event, "421"+event)
			c.Want("431" + want)
			if event == `["later"]` {
				if err := (<-late).Ack(); !errors.Is(err, sio.ErrNoAck) {
					t.Errorf("no ack was asked for: %v", err)
				}
				if err := (<-late).Ack("late"); !errors.Is(err, sio.ErrAckSent) {
					t.Errorf("an ack after Bind's: %v", err)
				}
			}
			mustEcho(t, c)
		}
	})
}

// An ack from a goroutine may come before Bind's or afterwards, but one is sent, and it
// is no error of the handler.
func TestBindAndAGoroutineAcknowledge(t *testing.T) {
	srv, d := loopback(t, nil)
	srv.On("race", sio.Bind(func(c *sio.Ctx, _ struct{}) error {
		go func() { _ = c.Ack() }() // it may be too late
		return nil
	}))
	echo(srv.Namespace)
	c := d.WebSocket(t)
	c.Connect("/", "")
	for range 200 {
		c.Send(`421["race"]`)
		c.Want("431[]")
	}
	mustEcho(t, c)
}

func TestSIO_EM_8_NoAckWanted(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		replied := false
		srv.On("ack", func(c *sio.Ctx) error {
			if err := c.Ack(1); !errors.Is(err, sio.ErrNoAck) || c.WantsAck() {
				t.Errorf("Ack: %v, wants one: %v", err, c.WantsAck())
			}
			return nil
		})
		srv.On("reply", sio.Reply(func(*sio.Ctx, struct{}) (int, error) { replied = true; return 1, nil }))
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["ack"]`, `42["reply"]`)
		mustEcho(t, c)
		if !replied {
			t.Error("Reply's function did not run")
		}
	})
}

func TestAckLaterFromAnotherGoroutine(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("later", func(c *sio.Ctx) error {
			go func() {
				time.Sleep(time.Second)
				must(t, c.Ack(c.Event()))
			}()
			return nil
		})
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["later"]`)
		mustEcho(t, c) // meanwhile others are handled
		c.Want(`431["later"]`)
	})
}

func TestAckFromManyGoroutinesIsSentOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		results := make(chan error, 10)
		srv.On("event", func(c *sio.Ctx) error {
			for range cap(results) {
				go func() { results <- c.Ack(1) }()
			}
			return nil
		})
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want("431[1]")
		sent := 0
		for range cap(results) {
			switch err := <-results; {
			case err == nil:
				sent++
			case !errors.Is(err, sio.ErrAckSent):
				t.Error(err)
			}
		}
		if sent != 1 {
			t.Errorf("%d acks sent", sent)
		}
		mustEcho(t, c)
	})
}

func TestHandlerThatAcksAndFailsHasAnswered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("event", func(c *sio.Ctx) error {
			must(t, c.Ack("done"))
			return &sio.Error{Message: "but"}
		})
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431["done"]`)
		mustEcho(t, c)
	})
}

func TestBindOfArguments(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("event", func(c *sio.Ctx) error {
			var n int
			var s string
			var list []float64
			if err := c.Bind(&n, nil, &s, &list); err != nil {
				return err
			}
			return c.Ack(c.Len(), n, s, list)
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["event",1,{"skipped":true},"three",[4.5],"surplus"]`)
		c.Want(`431[5,1,"three",[4.5]]`)
		c.Send(`422["event",1,2,"three"]`)
		c.Want(`432[{"error":{"message":"invalid payload"}}]`)
	})
}

func TestCtxMayBeKept(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var kept []*sio.Ctx
		srv.OnUnknown(func(c *sio.Ctx) error { kept = append(kept, c); return nil })
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Connect("/", "")
		const n = 50
		for i := range n {
			c.Send(fmt.Sprintf(`42%d["event %d",%d,"%d"]`, i, i, i, i))
		}
		mustEcho(t, c)
		for i, k := range kept {
			var number int
			var text string
			must(t, k.Bind(&number, &text))
			if number != i || text != fmt.Sprint(i) || k.Event() != fmt.Sprint("event ", i) {
				t.Fatalf("event %d became %q, %d, %q", i, k.Event(), number, text)
			}
			must(t, k.Ack(number))
			c.Want(fmt.Sprintf("43%d[%d]", i, i))
		}
	})
}

func TestSocketContext(t *testing.T) {
	type key struct{}
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var before, after context.Context
		var socket *sio.Socket
		srv.OnConnect(func(c *sio.Ctx) error { socket = c.Socket; return nil })
		srv.UseEvents(func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error {
				return next(c.WithContext(context.WithValue(c.Context(), key{}, c.Event())))
			}
		})
		srv.On("event", func(c *sio.Ctx) error { return c.Ack(c.Context().Value(key{})) })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431["event"]`)
		before = socket.Context()
		if err := before.Err(); err != nil || before.Value(key{}) != nil {
			t.Errorf("the socket's context: %v, value %v", err, before.Value(key{}))
		}
		c.Send("41")
		synctest.Wait()
		after = socket.Context()
		for when, ctx := range map[string]context.Context{"taken before": before, "taken after": after} {
			why, ok := errors.AsType[*sio.DisconnectError](context.Cause(ctx))
			if ctx.Err() == nil || !ok || why.Reason != sio.ReasonClientNamespaceDisconnect {
				t.Errorf("%s: %v, cause %v", when, ctx.Err(), context.Cause(ctx))
			}
		}
	})
}

func TestContextIsNotTheRequests(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("alive", func(c *sio.Ctx) error { return c.Ack(c.Context().Err() == nil, c.Handshake().Context.Err() == nil) })
		for _, open := range []func() *siotest.Client{
			func() *siotest.Client { return d.WebSocket(t) }, func() *siotest.Client { return d.Polling(t) },
		} {
			c := open()
			c.Connect("/", "")
			synctest.Wait() // the request that opened the connection is over
			c.Send(`421["alive"]`)
			c.Want("431[true,true]")
		}
	})
}
