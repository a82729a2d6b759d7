package sioecho_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
)

// serveEcho returns a server behind Echo; build mounts it.
func serveEcho(t *testing.T, opts *sio.Options, build func(e *echo.Echo, srv *sio.Server)) siotest.Dialer {
	t.Helper()
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := newEcho()
		build(e, srv)
		return siotest.Loopback(t, e)
	})
	_, d := mount.Serve(t, opts, func(*sio.Server) {})
	return d
}

// ownContext is an application's own, as Echo's documentation proposes it.
type ownContext struct {
	echo.Context

	db string
}

func TestValuesOfAnApplicationsOwnContext(t *testing.T) {
	d := serveEcho(t, nil, func(e *echo.Echo, srv *sio.Server) {
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

func TestContextGetTellsWhatIsWrong(t *testing.T) {
	d := serveEcho(t, nil, func(e *echo.Echo, srv *sio.Server) {
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
