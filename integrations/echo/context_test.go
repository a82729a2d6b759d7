package sioecho_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
)

// serve returns a server behind Echo; build mounts it.
func serve(t *testing.T, opts *sio.Options, build func(e *echo.Echo, srv *sio.Server)) (*sio.Server, siotest.Dialer) {
	t.Helper()
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := newEcho(echo.ExtractIPDirect())
		build(e, srv)
		return siotest.Loopback(t, e)
	})
	return mount.Serve(t, opts, func(*sio.Server) {})
}

func TestContextHasWhatTheRequestHad(t *testing.T) {
	type seen struct{ user, tenant, cookie, header, query, route, path, ip string }
	look := func(s *sio.Socket) seen {
		c := sioecho.Context(s)
		user, _ := sioecho.ContextGet[string](s, "user")
		cookie, err := c.Cookie("session")
		if err != nil {
			t.Error(err)
			return seen{}
		}
		return seen{
			user, c.Param("tenant"), cookie.Value, c.Request().Header.Get("X-Test"), c.QueryParam("room"),
			c.Path(), c.Request().URL.Path, c.RealIP(),
		}
	}
	want := seen{"ann", "acme", "abc", "yes", "7", "/t/:tenant/socket.io/", "/t/acme/socket.io/", "127.0.0.1"}
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		left := make(chan seen, 1)
		_, d := serve(t, nil, func(e *echo.Echo, srv *sio.Server) {
			check := func(where string, s *sio.Socket) {
				if got := look(s); got != want {
					t.Errorf("%s: got %+v", where, got)
				}
			}
			srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { check("connecting", c.Socket); return nil }))
			srv.On("event", func(c *sio.Ctx) error {
				check("event", c.Socket)
				runtime.GC() // nobody has it now, and it is made again
				check("later", c.Socket)
				return c.Ack(c.Handshake().Address)
			})
			srv.OnDisconnect(func(s *sio.Socket, _ sio.Reason) { left <- look(s) })
			sioecho.Mount(e.Group("/t/:tenant", signIn), srv)
		})
		d = d.At("/t/acme/socket.io/")
		d.URL = d.Endpoint("room", "7")
		d.Header = http.Header{"X-User": {"ann"}, "X-Test": {"yes"}, "Cookie": {"session=abc"}}
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431["127.0.0.1"]`)
		c.Close()
		if got := <-left; got != want {
			t.Errorf("disconnecting: got %+v", got)
		}
	})
}

func TestContextHoldsNothingOfTheConnection(t *testing.T) {
	_, d := serve(t, nil, func(e *echo.Echo, srv *sio.Server) {
		srv.On("event", func(c *sio.Ctx) error {
			ctx := sioecho.Context(c.Socket)
			body, err := io.ReadAll(ctx.Request().Body)
			if len(body) > 0 || err != nil {
				t.Errorf("body %q, %v", body, err)
			}
			if got := ctx.Param("*"); got != "" {
				t.Errorf("a parameter of the mount: %q", got)
			}
			if err := ctx.Request().Context().Err(); err != nil {
				t.Errorf("the request's context: %v", err)
			}
			return c.Ack()
		})
		sioecho.Mount(e, srv)
	})
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want("431[]")
	})
}

// Sockets of one client share the context, and their handlers run at the same
// time; Echo parses a query when it is asked for it.
func TestContextIsReadByManyAtOnce(t *testing.T) {
	const namespaces = 5
	var all sync.WaitGroup
	all.Add(namespaces)
	_, d := serve(t, nil, func(e *echo.Echo, srv *sio.Server) {
		for i := range namespaces {
			srv.Of(fmt.Sprint("/", i)).OnConnect(func(c *sio.Ctx) error {
				all.Done()
				all.Wait()
				ctx := sioecho.Context(c.Socket)
				user, err := sioecho.ContextGet[string](c.Socket, "user")
				return errors.Join(err, c.Emit("got", ctx.QueryParams().Get("room"), ctx.RealIP(), user))
			})
		}
		sioecho.Mount(e.Group("", signIn), srv)
	})
	d.URL = d.Endpoint("room", "7")
	d.Header = http.Header{"X-User": {"ann"}}
	c := d.WebSocket(t)
	packets := make([]string, namespaces)
	for i := range packets {
		packets[i] = fmt.Sprintf("40/%d,", i)
	}
	c.Send(packets...)
	for range namespaces {
		got := c.Next()
		for strings.HasPrefix(got, "40") { // the answer to a CONNECT
			got = c.Next()
		}
		if _, event, _ := strings.Cut(got, ","); event != `["got","7","127.0.0.1","ann"]` {
			t.Errorf("got %s", got)
		}
	}
}

func TestTLSStateIsThere(t *testing.T) {
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := echo.New()
		sioecho.Mount(e, srv)
		return siotest.LoopbackTLS(t, e)
	})
	_, d := mount.Serve(t, nil, func(srv *sio.Server) {
		srv.On("tls", func(c *sio.Ctx) error {
			ctx := sioecho.Context(c.Socket)
			return c.Ack(c.Handshake().Secure, ctx.IsTLS(), ctx.Scheme(), ctx.Request().TLS.HandshakeComplete)
		})
	})
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["tls"]`)
		c.Want(`431[true,true,"https",true]`)
	})
}

// ownContext is an application's own, as Echo's documentation proposes it.
type ownContext struct {
	echo.Context

	db string
}

func TestValuesOfAnApplicationsOwnContext(t *testing.T) {
	_, d := serve(t, nil, func(e *echo.Echo, srv *sio.Server) {
		e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error { return next(&ownContext{c, "db"}) }
		})
		srv.On("event", func(c *sio.Ctx) error {
			user, err := sioecho.ContextGet[string](c.Socket, "user")
			return errors.Join(err, c.Ack(user, sioecho.Context(c.Socket).Param("tenant")))
		})
		sioecho.Mount(e.Group("/t/:tenant", signIn), srv)
	})
	d = d.At("/t/acme/socket.io/")
	d.Header = http.Header{"X-User": {"ann"}}
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431["ann","acme"]`)
	})
}

func TestContextOfASocketFromAnotherMountIsNil(t *testing.T) {
	srv := sio.New(nil)
	srv.On("event", func(c *sio.Ctx) error {
		_, err := sioecho.ContextGet[string](c.Socket, "user")
		return c.Ack(sioecho.Context(c.Socket) == nil, errors.Is(err, sioecho.ErrNonExistentKey))
	})
	c := siotest.Loopback(t, srv).WebSocket(t)
	c.Connect("/", "")
	c.Send(`421["event"]`)
	c.Want("431[true,true]")
}

func TestContextGetTellsWhatIsWrong(t *testing.T) {
	_, d := serve(t, nil, func(e *echo.Echo, srv *sio.Server) {
		srv.On("event", func(c *sio.Ctx) error {
			_, missing := sioecho.ContextGet[string](c.Socket, "no user")
			_, other := sioecho.ContextGet[int](c.Socket, "user")
			return c.Ack(errors.Is(missing, sioecho.ErrNonExistentKey), errors.Is(other, sioecho.ErrInvalidKeyType))
		})
		sioecho.Mount(e.Group("", signIn), srv)
	})
	c := d.WebSocket(t)
	c.Connect("/", "")
	c.Send(`421["event"]`)
	c.Want("431[true,true]")
}
