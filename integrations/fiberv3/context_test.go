package siofiberv3_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
)

// serveSio returns a server behind Fiber; build mounts it.
func serveSio(t *testing.T, opts *sio.Options, build func(app *fiber.App, srv *sio.Server)) (*sio.Server, siotest.Dialer) {
	t.Helper()
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := newApp()
		build(app, srv)
		return serve(t, app)
	})
	return mount.Serve(t, opts, func(*sio.Server) {})
}

func TestHandlersKnowWhatTheRequestHad(t *testing.T) {
	type seen struct{ user, tenant, cookie, header, query, ip string }
	look := func(s *sio.Socket) seen {
		h := s.Handshake()
		return seen{
			siofiberv3.Locals[string](s, "user"), siofiberv3.Params(s, "tenant"), siofiberv3.Cookies(s, "session"),
			h.Header.Get("X-Test"), h.Query.Get("room"), h.Address,
		}
	}
	want := seen{"ann", "acme", "abc", "yes", "7", "127.0.0.1"}
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		left := make(chan seen, 1)
		_, d := serveSio(t, nil, func(app *fiber.App, srv *sio.Server) {
			check := func(where string, s *sio.Socket) {
				if got := look(s); got != want {
					t.Errorf("%s: got %+v", where, got)
				}
			}
			srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { check("connecting", c.Socket); return nil }))
			srv.On("event", func(c *sio.Ctx) error {
				check("event", c.Socket)
				return c.Ack(siofiberv3.Params(c.Socket, "*1"), siofiberv3.Params(c.Socket, "other"), siofiberv3.Cookies(c.Socket, "other"))
			})
			srv.OnDisconnect(func(s *sio.Socket, _ sio.Reason) { left <- look(s) })
			siofiberv3.Mount(app.Group("/t/:tenant", signIn), srv)
		})
		d = d.At("/t/acme/socket.io/")
		d.URL = d.Endpoint("room", "7")
		d.Header = http.Header{"X-User": {"ann"}, "X-Test": {"yes"}, "Cookie": {"first=1; session=abc"}}
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431["","",""]`) // what is the mount's own, or is not there
		c.Close()
		if got := <-left; got != want {
			t.Errorf("disconnecting: got %+v", got)
		}
	})
}

type account struct{ name string }

type accountKey struct{}

// Middleware leaves values of all kinds, under keys of all kinds.
func TestLocals(t *testing.T) {
	ada := &account{"ada"}
	_, d := serveSio(t, nil, func(app *fiber.App, srv *sio.Server) {
		app.Use(func(c fiber.Ctx) error {
			c.Locals(accountKey{}, ada)
			c.Locals("bytes", c.Request().Header.Peek("X-User"))
			c.Locals("number", 7)
			c.Locals("nothing", nil)
			c.Locals("fiber's own", c)
			c.Locals("fasthttp's own", c.Request())
			return c.Next()
		})
		srv.On("event", func(c *sio.Ctx) error {
			s := c.Socket
			if got := siofiberv3.Locals[*account](s, accountKey{}); got != ada {
				t.Errorf("account %v", got)
			}
			if got := siofiberv3.Locals[any](s, "fiber's own"); got != nil {
				t.Errorf("kept of Fiber: %T", got)
			}
			if got := siofiberv3.Locals[any](s, "fasthttp's own"); got != nil {
				t.Errorf("kept of fasthttp: %T", got)
			}
			return c.Ack(
				string(siofiberv3.Locals[[]byte](s, "bytes")), siofiberv3.Locals[int](s, "number"),
				siofiberv3.Locals[string](s, "number"), siofiberv3.Locals[any](s, "nothing"), siofiberv3.Locals[int](s, "missing"),
			)
		})
		siofiberv3.Mount(app, srv)
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

type userKey struct{}

// What middleware put into a context of its own is in the handshake's; but not
// by way of fasthttp's, which would be another request's soon.
func TestContextOfTheApplication(t *testing.T) {
	canceled, cancel := context.WithCancel(context.Background())
	cancel() // as many are when their request is over
	for name, parent := range map[string]func(c fiber.Ctx) context.Context{
		"its own":    func(fiber.Ctx) context.Context { return canceled },
		"fasthttp's": func(c fiber.Ctx) context.Context { return c.RequestCtx() },
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			opts := &sio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
			_, d := serveSio(t, opts, func(app *fiber.App, srv *sio.Server) {
				app.Use(func(c fiber.Ctx) error {
					c.SetContext(context.WithValue(parent(c), userKey{}, "ann"))
					return c.Next()
				})
				srv.On("event", func(c *sio.Ctx) error {
					ctx := c.Handshake().Context
					user, _ := ctx.Value(userKey{}).(string)
					return c.Ack(user, ctx.Err() == nil)
				})
				siofiberv3.Mount(app, srv)
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

// The state of TLS, with a client's certificate for example, is a local value
// like others.
func TestTLSStateIsThere(t *testing.T) {
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := newApp()
		app.Use(func(c fiber.Ctx) error {
			c.Locals("tls", c.RequestCtx().TLSConnectionState())
			return c.Next()
		})
		siofiberv3.Mount(app, srv)
		return serveTLS(t, app)
	})
	_, d := mount.Serve(t, nil, func(srv *sio.Server) {
		srv.On("tls", func(c *sio.Ctx) error {
			return c.Ack(c.Handshake().Secure, siofiberv3.Locals[*tls.ConnectionState](c.Socket, "tls").HandshakeComplete)
		})
	})
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["tls"]`)
		c.Want(`431[true,true]`)
	})
}

func TestNothingIsKnownOfASocketFromAnotherMount(t *testing.T) {
	srv := sio.New(nil)
	srv.On("event", func(c *sio.Ctx) error {
		return c.Ack(siofiberv3.Locals[string](c.Socket, "user"), siofiberv3.Params(c.Socket, "tenant"), siofiberv3.Cookies(c.Socket, "session"))
	})
	d := siotest.Loopback(t, srv)
	d.Header = http.Header{"Cookie": {"session=abc"}} // of which the handshake knows everywhere
	c := d.WebSocket(t)
	c.Connect("/", "")
	c.Send(`421["event"]`)
	c.Want(`431["","","abc"]`)
}
