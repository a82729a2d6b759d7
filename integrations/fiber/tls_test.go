package siofiber_test

import (
	"testing"

	sio "github.com/sioplug/sioplug/core"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
)

// Over TLS a connection stays with fasthttp, which closes it when its handler
// returns. That must not be when another goroutine reads on, as one does here
// while the first event is being handled.
func TestConnectionOverTLSEndedWhenAnotherGoroutineReadOn(t *testing.T) {
	srv := sio.New(nil)
	released := make(chan struct{})
	srv.On("wait", func(c *sio.Ctx) error { <-released; return c.Ack() })
	other := srv.Of("/other")
	other.On("release", func(c *sio.Ctx) error {
		defer close(released)
		return c.Ack()
	})
	app := newApp()
	siofiber.Mount(app, srv)

	d := serveTLS(t, app)
	c := d.WebSocket(t)
	c.Connect("/", "")
	c.Connect("/other", "")
	c.Send(`421["wait"]`)
	c.Send(`42/other,2["release"]`)
	c.Want(`43/other,2[]`, `431[]`)
	c.Send(`42/other,3["unknown"]`, `422["wait"]`)
	c.Want(`432[]`)
	c.Close()
}
