package fibertest

import (
	"context"
	"net/http"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/integrations/internal/mounttest"
)

type account struct{ name string }

type (
	accountKey struct{}
	userKey    struct{}
)

// use returns a server in an application with middleware.
func (f Framework[C]) use(t *testing.T, opts *sio.Options, middleware func(c C), register func(srv *sio.Server)) siotest.Dialer {
	t.Helper()
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		t.Helper()
		return f.Use(t, srv, middleware)
	})
	_, d := mount.Serve(t, opts, register)
	return d
}

// LocalValues tests values of all kinds that middleware leaves, under keys of all kinds.
func (f Framework[C]) LocalValues(t *testing.T) {
	t.Helper()
	ada := &account{"ada"}
	d := f.use(t, nil, func(c C) {
		f.SetLocal(c, accountKey{}, ada)
		f.SetLocal(c, "bytes", f.RequestCtx(c).Request.Header.Peek("X-User"))
		f.SetLocal(c, "number", 7)
		f.SetLocal(c, "nothing", nil)
		f.SetLocal(c, "fiber's own", c)
		f.SetLocal(c, "fasthttp's own", &f.RequestCtx(c).Request)
	}, func(srv *sio.Server) {
		srv.On("event", func(c *sio.Ctx) error {
			s := c.Socket
			if got := f.Locals.Any(s, accountKey{}); got != ada {
				t.Errorf("account %v", got)
			}
			for _, key := range []string{"fiber's own", "fasthttp's own"} {
				if got := f.Locals.Any(s, key); got != nil {
					t.Errorf("%s: %T", key, got)
				}
			}
			return c.Ack(
				string(f.Locals.Bytes(s, "bytes")), f.Locals.Int(s, "number"),
				f.Locals.String(s, "number"), f.Locals.Any(s, "nothing"), f.Locals.Int(s, "missing"),
			)
		})
	})
	d.Header = http.Header{"X-User": {"ann"}}
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		c := open(t, d)
		c.Connect("/", "")
		for range 3 { // requests that use the memory of the first one
			open(t, siotest.Dialer{URL: d.URL, Header: http.Header{"X-User": {"XXX"}}})
		}
		c.Send(`421["event"]`)
		c.Want(`431["ann",7,"",null,0]`)
	})
}

// ApplicationContext tests that what middleware has put into a context of its own is in
// the handshake's; but not by way of fasthttp's, which would be another request's soon.
func (f Framework[C]) ApplicationContext(t *testing.T) {
	t.Helper()
	canceled, cancel := context.WithCancel(context.Background())
	cancel() // as many are when their request is over
	for name, parent := range map[string]func(c C) context.Context{
		"its own":    func(C) context.Context { return canceled },
		"fasthttp's": func(c C) context.Context { return f.RequestCtx(c) },
	} {
		t.Run(name, func(t *testing.T) {
			var log mounttest.Log
			opts := &sio.Options{Logger: log.Logger()}
			d := f.use(t, opts, func(c C) {
				f.SetContext(c, context.WithValue(parent(c), userKey{}, "ann"))
			}, func(srv *sio.Server) {
				srv.On("event", func(c *sio.Ctx) error {
					ctx := c.Handshake().Context
					user, _ := ctx.Value(userKey{}).(string)
					return c.Ack(user, ctx.Err() == nil)
				})
			})
			want := `431["ann",true]`
			if name == "fasthttp's" {
				want = `431["",true]`
			}
			siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
				c := open(t, d)
				c.Connect("/", "")
				c.Send(`421["event"]`)
				c.Want(want)
			})
			if got := strings.Contains(log.String(), "leave copies"); got != (name == "fasthttp's") {
				t.Errorf("log:\n%s", log.String())
			}
		})
	}
}

// ReadOn tests a connection over TLS. It stays with fasthttp, which closes it when its
// handler returns. That must not be when another goroutine reads on, as one does here
// while the first event is being handled.
func (f Framework[C]) ReadOn(t *testing.T) {
	t.Helper()
	srv := sio.New(nil)
	released := make(chan struct{})
	srv.On("wait", func(c *sio.Ctx) error { <-released; return c.Ack() })
	other := srv.Of("/other")
	other.On("release", func(c *sio.Ctx) error {
		defer close(released)
		return c.Ack()
	})
	c := f.Serve(t, srv, mounttest.App{TLS: true}).WebSocket(t)
	c.Connect("/", "")
	c.Connect("/other", "")
	c.Send(`421["wait"]`)
	c.Send(`42/other,2["release"]`)
	c.Want(`43/other,2[]`, `431[]`)
	c.Send(`42/other,3["unknown"]`, `422["wait"]`)
	c.Want(`432[]`)
	c.Close()
}
