package sioechov5_test

import (
	"errors"
	"testing"

	"github.com/labstack/echo/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
)

// serveEcho returns a server behind Echo; build mounts it.
func serveEcho(t *testing.T, opts *sio.Options, build func(e *echo.Echo, srv *sio.Server)) siotest.Dialer {
	t.Helper()
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := echo.New()
		build(e, srv)
		return siotest.Loopback(t, e)
	})
	_, d := mount.Serve(t, opts, func(*sio.Server) {})
	return d
}

func TestContextGetTellsWhatIsWrong(t *testing.T) {
	d := serveEcho(t, nil, func(e *echo.Echo, srv *sio.Server) {
		srv.On("event", func(c *sio.Ctx) error {
			_, missing := sioechov5.ContextGet[string](c.Socket, "no user")
			_, other := sioechov5.ContextGet[int](c.Socket, "user")
			return c.Ack(errors.Is(missing, echo.ErrNonExistentKey), errors.Is(other, echo.ErrInvalidKeyType))
		})
		sioechov5.Mount(e.Group("", signIn), srv)
	})
	c := d.WebSocket(t)
	c.Connect("/", "")
	c.Send(`421["event"]`)
	c.Want("431[true,true]")
}
