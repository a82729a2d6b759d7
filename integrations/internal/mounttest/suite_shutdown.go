package mounttest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// patience is how long what should happen at once may take.
const patience = time.Minute

// Running is an application that serves by the framework's own server.
type Running struct {
	// Dialer reaches the server.
	Dialer siotest.Dialer

	// Stop stops the framework's server. It need not wait for its end.
	Stop func(ctx context.Context) error

	// Served has what the framework's server returned at its end: nil if it was stopped.
	Served <-chan error
}

// clients are some that wait for the end of a server.
type clients struct {
	*Running

	srv     *sio.Server
	count   int
	reasons chan sio.Reason
	reading sync.WaitGroup
}

// start runs an application to which clients connect in these ways.
func (f Framework) start(t *testing.T, open ...siotest.Opener) *clients {
	t.Helper()
	c := &clients{
		srv: sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)}), count: len(open), reasons: make(chan sio.Reason, len(open)),
	}
	c.srv.OnDisconnect(func(_ *sio.Socket, reason sio.Reason) { c.reasons <- reason })
	c.Running = f.Start(t, c.srv)
	for _, open := range open {
		client := open(t, c.Dialer)
		client.Connect("/", "")
		c.reading.Go(func() { // one of them with a poll that is open
			for {
				if _, err := client.TryNext(); err != nil {
					return
				}
			}
		})
	}
	return c
}

// ended waits for the end of the application, and checks that clients were told why.
func (c *clients) ended(t *testing.T) {
	t.Helper()
	if err := <-c.Served; err != nil {
		t.Errorf("the framework's server: %v", err)
	}
	c.reading.Wait()
	for range c.count {
		if reason := <-c.reasons; reason != sio.ReasonServerShuttingDown {
			t.Errorf("reason %q", reason)
		}
	}
}

func polling(tb testing.TB, d siotest.Dialer) *siotest.Client { tb.Helper(); return d.Polling(tb) }

func overWebSocket(tb testing.TB, d siotest.Dialer) *siotest.Client {
	tb.Helper()
	return d.WebSocket(tb)
}

func upgraded(tb testing.TB, d siotest.Dialer) *siotest.Client {
	tb.Helper()
	c := d.Polling(tb)
	c.Upgrade()
	return c
}

// ShutdownFirst tests the right order: polls end with the server, so the framework's
// server has nothing to wait for.
func (f Framework) ShutdownFirst(t *testing.T) {
	t.Helper()
	c := f.start(t, polling, overWebSocket, upgraded)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := errors.Join(c.srv.Shutdown(ctx), c.Stop(ctx)); err != nil {
		t.Error(err)
	}
	c.ended(t)
}

// ShutdownLast tests a framework that waits for polls while new ones come over the same
// connections. So its Stop returns only when the server has ended, too.
func (f Framework) ShutdownLast(t *testing.T) {
	t.Helper()
	c := f.start(t, polling, overWebSocket, upgraded)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stopped := make(chan error, 1)
	stopping := make(chan struct{})
	go func() {
		close(stopping)
		stopped <- c.Stop(ctx)
	}()
	<-stopping
	if err := errors.Join(c.srv.Shutdown(ctx), <-stopped); err != nil {
		t.Error(err)
	}
	c.ended(t)
}

// WebSocketsStay tests that a framework neither waits for WebSockets nor ends them.
func (f Framework) WebSocketsStay(t *testing.T) {
	t.Helper()
	c := f.start(t, overWebSocket, upgraded)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
	if n := c.srv.ClientsCount(); n != 2 {
		t.Errorf("%d sessions", n)
	}
	if err := c.srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	c.ended(t)
}

// Listen returns a listener on a port of this machine, and how to reach a server that
// uses it.
func Listen(t *testing.T) (net.Listener, siotest.Dialer) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, siotest.Dialer{URL: "http://" + l.Addr().String() + "/socket.io/"}
}

// StartHTTP runs a handler by a server of net/http.
func StartHTTP(t *testing.T, h http.Handler) *Running {
	t.Helper()
	l, d := Listen(t)
	hs := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	served := make(chan error, 1)
	go func() { served <- Stopped(hs.Serve(l)) }()
	return &Running{Dialer: d, Stop: hs.Shutdown, Served: served}
}

// Stopped returns what a server of net/http returned, or nil if it was stopped.
func Stopped(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
