package sio_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestSIO_DC_7_CL_1_CL_5_Shutdown(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				why, chatWhy := reasons(srv.Namespace), reasons(srv.Of("/chat"))
				c := open(t, d)
				c.Connect("/", "")
				c.Connect("/chat", "")
				lonely := open(t, d) // joined nothing
				ended := make(chan error)
				go func() { ended <- srv.Shutdown(context.Background()) }()
				for _, c := range []*siotest.Client{c, lonely} {
					if before := c.UntilClosed(); len(before) > 0 {
						t.Errorf("got %q", before)
					}
				}
				must(t, <-ended)
				mustReason(t, why, sio.ReasonServerShuttingDown)
				mustReason(t, chatWhy, sio.ReasonServerShuttingDown)
				if n := srv.ClientsCount(); n != 0 {
					t.Errorf("%d clients left", n)
				}
				for _, transport := range []string{"polling", "websocket"} {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.Endpoint("EIO", "4", "transport", transport), http.NoBody)
					must(t, err)
					if transport == "websocket" {
						r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
					}
					res, err := d.HTTP(t).Do(r)
					if err != nil {
						t.Fatal(err)
					}
					must(t, res.Body.Close())
					if res.StatusCode != http.StatusServiceUnavailable {
						t.Errorf("%s: a new client gets status %d", transport, res.StatusCode)
					}
				}
				must(t, srv.Shutdown(context.Background())) // again
			})
		})
	}
}

func TestShutdownWithoutClients(t *testing.T) {
	must(t, newServer(t, nil).Shutdown(context.Background()))
}

func TestShutdownWaitsForHandlers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.On("event", func(c *sio.Ctx) error {
			<-c.Context().Done()
			s.add("told: %v", context.Cause(c.Context()))
			time.Sleep(3 * time.Second)
			s.add("handler returns, emit: %v", errors.Is(c.Emit("late"), sio.ErrDisconnected))
			return nil
		})
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("disconnected") })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["event"]`)
		synctest.Wait()
		go c.UntilClosed()
		start := time.Now()
		must(t, srv.Shutdown(context.Background()))
		s.add("shut down")
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		s.want(t, "told: sio: disconnected: server shutting down", "handler returns, emit: true", "disconnected", "shut down")
	})
}

func TestShutdownWaitsForConnectChains(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			<-c.Context().Done()
			time.Sleep(time.Second)
			s.add("chain returns")
			return nil
		}))
		srv.OnConnect(func(*sio.Ctx) error { s.add("connected"); return nil })
		c := d.WebSocket(t, "40")
		synctest.Wait()
		go c.UntilClosed()
		must(t, srv.Shutdown(context.Background()))
		s.add("shut down")
		s.want(t, "chain returns", "shut down")
	})
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	for name, tt := range map[string]struct {
		handler bool // ignores its context
		reads   bool // the client does
	}{
		"handler does not return": {true, true},
		"client does not read":    {false, false},
		"neither":                 {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				release := make(chan struct{})
				srv.On("event", func(*sio.Ctx) error {
					if tt.handler {
						<-release
					}
					return nil
				})
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(`42["event"]`)
				synctest.Wait()
				if tt.reads {
					go c.UntilClosed()
				}
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				start := time.Now()
				err := srv.Shutdown(ctx)
				if took := time.Since(start); took != 5*time.Second || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("after %v: %v", took, err)
				}
				close(release)
				must(t, srv.Shutdown(context.Background()))
			})
		})
	}
}
