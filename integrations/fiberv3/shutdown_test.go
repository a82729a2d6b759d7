package siofiberv3_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
)

// A running application has a client that polls, one with a WebSocket, and one
// that has upgraded, and sees how they end.
type running struct {
	app     *fiber.App
	srv     *sio.Server
	served  chan error
	left    chan sio.Reason
	clients int
	reading sync.WaitGroup
}

func start(t *testing.T, open ...siotest.Opener) *running {
	t.Helper()
	r := &running{
		app: newApp(), srv: sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)}),
		served: make(chan error, 1), left: make(chan sio.Reason, len(open)), clients: len(open),
	}
	r.srv.OnDisconnect(func(_ *sio.Socket, why sio.Reason) { r.left <- why })
	siofiberv3.Mount(r.app, r.srv)
	l := listen(t)
	go func() { r.served <- r.app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true}) }()
	d := siotest.Dialer{URL: "http://" + l.Addr().String() + "/socket.io/"}
	for _, open := range open {
		c := open(t, d)
		c.Connect("/", "")
		r.reading.Go(func() { // which is to poll, for one of them
			for {
				if _, err := c.TryNext(); err != nil {
					return
				}
			}
		})
	}
	return r
}

// ended waits for the end of everything, and for the clients to have been told.
func (r *running) ended(t *testing.T) {
	t.Helper()
	if err := <-r.served; err != nil {
		t.Errorf("Fiber: %v", err)
	}
	r.reading.Wait()
	for range r.clients {
		if why := <-r.left; why != sio.ReasonServerShuttingDown {
			t.Errorf("reason %q", why)
		}
	}
}

func polling(tb testing.TB, d siotest.Dialer) *siotest.Client { tb.Helper(); return d.Polling(tb) }

func webSocket(tb testing.TB, d siotest.Dialer) *siotest.Client { tb.Helper(); return d.WebSocket(tb) }

func upgraded(tb testing.TB, d siotest.Dialer) *siotest.Client {
	tb.Helper()
	c := d.Polling(tb)
	c.Upgrade()
	return c
}

// This is the right order: polls end with the server, and Fiber has nothing to
// wait for.
func TestShutdownBeforeFibers(t *testing.T) {
	r := start(t, polling, webSocket, upgraded)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := errors.Join(r.srv.Shutdown(ctx), r.app.ShutdownWithContext(ctx)); err != nil {
		t.Error(err)
	}
	r.ended(t)
}

// Fiber waits for polls, and new ones come over the same connections. So its
// Shutdown does not return before the server's was called, on another goroutine.
func TestShutdownAfterFibers(t *testing.T) {
	r := start(t, polling, webSocket, upgraded)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	fiber := make(chan error, 1)
	stopping := make(chan struct{})
	go func() {
		close(stopping)
		fiber <- r.app.ShutdownWithContext(ctx)
	}()
	<-stopping
	if err := errors.Join(r.srv.Shutdown(ctx), <-fiber); err != nil {
		t.Error(err)
	}
	r.ended(t)
}

// WebSockets are not Fiber's any more: it neither waits for them nor ends them.
func TestWebSocketsOutliveFiber(t *testing.T) {
	r := start(t, webSocket, upgraded)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.app.ShutdownWithContext(ctx); err != nil {
		t.Error(err)
	}
	if n := r.srv.ClientsCount(); n != 2 {
		t.Errorf("%d sessions", n)
	}
	if err := r.srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	r.ended(t)
}
