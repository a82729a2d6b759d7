package sioechov5_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
)

// The server ends before Echo, which would wait for polls.
func TestShutdownTogetherWithEcho(t *testing.T) {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	left := make(chan sio.Reason, 3)
	srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { left <- r })
	e := echo.New()
	sioechov5.Mount(e, srv)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	go func() {
		served <- echo.StartConfig{Listener: l, HideBanner: true, HidePort: true, GracefulTimeout: time.Minute}.Start(running, e)
	}()

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
	if err := srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	reading.Wait()
	for range 3 {
		if why := <-left; why != sio.ReasonServerShuttingDown {
			t.Errorf("reason %q", why)
		}
	}
}
