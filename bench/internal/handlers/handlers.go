// Package handlers has what sioplug does in the benchmark: it answers the events
// that bench/README.md lists.
package handlers

import (
	"strings"

	"github.com/sioplug/sioplug/bench/internal/app"
	sio "github.com/sioplug/sioplug/core"
)

// Register registers the handlers on the root namespace.
func Register(srv *sio.Server) {
	srv.On("echo", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("echo", s) }))
	srv.On("echoAck", sio.Reply(func(_ *sio.Ctx, s string) (string, error) { return s, nil }))
	srv.On("bin", sio.Bind(func(c *sio.Ctx, b []byte) error { return c.Emit("bin", b) }))
	srv.On("json", sio.Bind(func(c *sio.Ctx, o app.Order) error { return c.Emit("json", o) }))
	srv.On("join", sio.Bind(func(c *sio.Ctx, room string) error {
		if err := c.Join(room); err != nil {
			return err
		}
		return c.Ack()
	}))
	srv.On("bcast", func(c *sio.Ctx) error {
		var n, size int
		if err := c.Bind(&n, &size); err != nil {
			return err
		}
		return burst(srv.To(), n, size)
	})
	srv.On("room", func(c *sio.Ctx) error {
		var room string
		var n, size int
		if err := c.Bind(&room, &n, &size); err != nil {
			return err
		}
		return burst(srv.To(room), n, size)
	})
}

func burst(to sio.Broadcast, n, size int) error {
	pad := strings.Repeat("x", size)
	for i := range n {
		if err := to.Emit("b", i, pad); err != nil {
			return err
		}
	}
	return nil
}
