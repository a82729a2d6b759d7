package sio_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// around returns middleware that tells when it is entered and left.
func around(s *story, name string) sio.Middleware {
	return func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			s.add("%s in", name)
			err := next(c)
			s.add("%s out: %v", name, err)
			return err
		}
	}
}

func TestSIO_PM_1_MiddlewareOrder(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.On("event", sio.Reply(func(_ *sio.Ctx, n int) (int, error) {
			s.add("handler %d", n)
			return n + 1, nil
		}), around(&s, "own 1"), sio.Guard(func(c *sio.Ctx) error { s.add("guard, %d arguments", c.Len()); return nil }), around(&s, "own 2"))
		srv.UseEvents(around(&s, "all 1"), around(&s, "all 2")) // also for what was registered before
		srv.UseEvents(around(&s, "all 3"))
		c := d.WebSocket(t)
		c.Connect("/", "") // UseEvents does not run for this
		c.Send(`421["event",7]`)
		c.Want("431[8]")
		synctest.Wait()
		s.want(t, "all 1 in", "all 2 in", "all 3 in", "own 1 in", "guard, 1 arguments", "own 2 in", "handler 7",
			"own 2 out: <nil>", "own 1 out: <nil>", "all 3 out: <nil>", "all 2 out: <nil>", "all 1 out: <nil>")
	})
}

func TestSIO_PM_2_MiddlewareMayRefuse(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.On("event", func(*sio.Ctx) error { s.add("handler"); return nil },
			sio.Guard(func(*sio.Ctx) error { return &sio.Error{Message: "not you"} }), around(&s, "behind"))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431[{"error":{"message":"not you"}}]`)
		s.want(t)
	})
}

func TestMiddlewareMayHandleErrors(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		errStale := errors.New("stale")
		srv.UseEvents(func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error {
				err := next(c)
				if errors.Is(err, errStale) {
					return &sio.Error{Message: "try again", Err: err}
				}
				return err
			}
		})
		srv.On("event", func(*sio.Ctx) error { return errStale })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431[{"error":{"message":"try again"}}]`)
	})
}

func TestEventMiddlewareRunsForUnknownEventsToo(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseEvents(func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error { s.add("%s", c.Event()); return next(c) }
		})
		srv.Of("/other").UseEvents(around(&s, "other"))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["nobody knows",1]`, `431[]`) // and an ack, for which it does not
		synctest.Wait()
		s.want(t, "nobody knows")
		srv.OnUnknown(func(c *sio.Ctx) error { return c.Ack(c.Event(), c.Len()) })
		c.Send(`421["still",1,2]`)
		c.Want(`431["still",2]`)
	})
}

func TestWithContextReachesTheHandlerAndNobodyElse(t *testing.T) {
	type key struct{}
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var outer *sio.Ctx
		srv.UseEvents(func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error {
				outer = c
				ctx, cancel := context.WithCancel(context.WithValue(c.Context(), key{}, "inner"))
				defer cancel()
				return next(c.WithContext(ctx))
			}
		})
		var inner *sio.Ctx
		srv.On("event", func(c *sio.Ctx) error {
			inner = c
			if outer == c || outer.Context().Value(key{}) != nil {
				t.Error("WithContext changed the original")
			}
			return c.Ack(c.Context().Value(key{}), c.Event())
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431["inner","event"]`)
		synctest.Wait()
		if inner.Context().Err() == nil || outer.Context().Err() != nil {
			t.Errorf("inner context: %v, outer: %v", inner.Context().Err(), outer.Context().Err())
		}
		if err := outer.Ack(); !errors.Is(err, sio.ErrAckSent) {
			t.Errorf("the copy's ack is unknown to the original: %v", err)
		}
	})
}

func TestHandlersWithStructAsInput(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("none", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "fine", nil }))
		srv.On("pointer", sio.Reply(func(_ *sio.Ctx, n *int) (bool, error) { return n == nil, nil }))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["none"]`, `422["none","surplus"]`, `423["pointer",null]`, `424["pointer",1]`)
		c.Want(`431["fine"]`, `432["fine"]`, `433[true]`, `434[false]`)
	})
}
