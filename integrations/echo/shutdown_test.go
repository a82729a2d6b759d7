package sioecho_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
)

// The server ends before Echo, which would wait for polls.
func TestShutdownTogetherWithEcho(t *testing.T) {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	left := make(chan sio.Reason, 3)
	srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { left <- r })
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	sioecho.Mount(e, srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e.Listener = l
	served := make(chan error, 1)
	go func() { served <- e.Start("") }()

	d := siotest.Dialer{URL: "http://" + l.Addr().String() + "/socket.io/"}
	polls, socket, upgraded := d.Polling(t), d.WebSocket(t), d.Polling(t)
	upgraded.Upgrade()
	var reading sync.WaitGroup
	for _, c := range []*siotest.Client{polls, socket, upgraded} {
		c.Connect("/", "")
		reading.Go(func() { // among others, with a poll that is open
			for {
				if _, err := c.TryNext(); err != nil {
					return
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := errors.Join(srv.Shutdown(ctx), e.Shutdown(ctx)); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	reading.Wait()
	for range 3 {
		if why := <-left; why != sio.ReasonServerShuttingDown {
			t.Errorf("reason %q", why)
		}
	}
}
