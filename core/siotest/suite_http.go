package siotest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// handshake tests that handlers learn about the request that opened the
// connection.
func (s *suite) handshake(t *testing.T) {
	s.transports(t, func(t *testing.T, open func(*testing.T, Dialer) *Client) {
		got := make(chan *sio.Handshake, 1)
		_, d := s.serve(t, func(srv *sio.Server) {
			srv.OnConnect(func(c *sio.Ctx) error { got <- c.Handshake(); return nil })
		})
		d.Header = http.Header{"X-Test": {"Ünïcode"}, "Cookie": {"session=abc"}}
		d.URL = d.Endpoint("room", "a b&c")
		c := open(t, d)
		c.Connect("/", `{"token":"123"}`)
		h := await(t, "the handshake", got)
		for what, pair := range map[string][2]string{
			"header":        {h.Header.Get("X-Test"), "Ünïcode"},
			"cookie":        {h.Header.Get("Cookie"), "session=abc"},
			"query":         {h.Query.Get("room"), "a b&c"},
			"EIO":           {h.Query.Get("EIO"), "4"},
			"auth":          {string(h.Auth), `{"token":"123"}`},
			"host":          {"http://" + h.Host, d.URL[:min(len(d.URL), len("http://")+len(h.Host))]},
			"path in URL":   {strconv.FormatBool(strings.HasPrefix(h.URL, "/")), "true"},
			"query in URL":  {strconv.FormatBool(strings.Contains(h.URL, "room=a")), "true"},
			"address known": {strconv.FormatBool(h.Address != ""), "true"},
			"secure":        {strconv.FormatBool(h.Secure), "false"},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
			}
		}
		if h.Host == "" {
			t.Error("no host")
		}
	})
}

// reasons keeps why sockets were disconnected.
func reasons(srv *sio.Server) <-chan sio.Reason {
	ch := make(chan sio.Reason, 10)
	srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { ch <- r })
	return ch
}

func (s *suite) clientClose(t *testing.T) {
	s.transports(t, func(t *testing.T, open func(*testing.T, Dialer) *Client) {
		var why <-chan sio.Reason
		_, d := s.serve(t, func(srv *sio.Server) { why = reasons(srv) })
		c := open(t, d)
		c.Connect("/", "")
		c.Close()
		if got := await(t, "the disconnect", why); got != sio.ReasonTransportClose {
			t.Errorf("reason %q", got)
		}
	})
}

// clientAbort tests that the server sees a client go that just goes.
func (s *suite) clientAbort(t *testing.T) {
	s.transports(t, func(t *testing.T, open func(*testing.T, Dialer) *Client) {
		var why <-chan sio.Reason
		_, d := s.serve(t, func(srv *sio.Server) { why = reasons(srv) })
		c := open(t, d)
		c.Connect("/", "")
		c.Abort()
		got := await(t, "the disconnect", why)
		if got != sio.ReasonTransportClose && got != sio.ReasonTransportError {
			t.Errorf("reason %q", got)
		}
	})
}

// largeBody tests that what is allowed gets through, and that what is not is
// refused without harm to anyone.
func (s *suite) largeBody(t *testing.T) {
	large := `42["echo","` + strings.Repeat("x", 900_000) + `"]`
	s.transports(t, func(t *testing.T, open func(*testing.T, Dialer) *Client) {
		_, d := s.serve(t, echo)
		c := open(t, d)
		c.Connect("/", "")
		c.Send(large)
		if c.Next() != large {
			t.Error("a large message was changed")
		}
	})
	t.Run("too large a POST", func(t *testing.T) {
		_, d := s.serve(t, echo)
		c := d.Polling(t)
		c.Connect("/", "")
		url := d.Endpoint("EIO", "4", "transport", "polling", "sid", c.SID())
		if code := post(t, d.HTTP(t), url, "4"+strings.Repeat("x", 10_000_000)); code != http.StatusRequestEntityTooLarge && code != 0 {
			t.Errorf("status %d", code)
		}
		c.Send(`42["echo","alive"]`)
		c.Want(`42["echo","alive"]`)
	})
	t.Run("too large a message", func(t *testing.T) {
		var why <-chan sio.Reason
		_, d := s.serve(t, func(srv *sio.Server) { why = reasons(srv) })
		c := d.WebSocket(t)
		c.Connect("/", "")
		_ = c.TrySend(large + large) // the server may cut the connection in the middle
		if got := await(t, "the disconnect", why); got != sio.ReasonTransportError {
			t.Errorf("reason %q", got)
		}
	})
}

// post returns the status of the answer, or 0 if the server closed the
// connection before it had read everything, which is its right.
func post(t *testing.T, c *http.Client, url, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		t.Logf("the server did not want to read it all: %v", err)
		return 0
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

func (s *suite) badRequests(t *testing.T) {
	_, d := s.serve(t, echo)
	client := d.HTTP(t)
	c := d.Polling(t)
	c.Connect("/", "")
	for name, tt := range map[string]struct {
		method, url string
		want        int
	}{
		"unknown sid":       {http.MethodGet, d.Endpoint("EIO", "4", "transport", "polling", "sid", "abc"), 400},
		"unknown transport": {http.MethodGet, d.Endpoint("EIO", "4", "transport", "pigeon"), 400},
		"no transport":      {http.MethodGet, d.URL, 400},
		"old version":       {http.MethodGet, d.Endpoint("EIO", "3", "transport", "polling"), 400},
		"bad method":        {http.MethodPut, d.Endpoint("EIO", "4", "transport", "polling"), 400},
		"other transport":   {http.MethodGet, d.Endpoint("EIO", "4", "transport", "websocket", "sid", c.SID()), 400},
	} {
		t.Run(name, func(t *testing.T) {
			if got := status(t, client, tt.method, tt.url); got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
		})
	}
	c.Send(`42["echo","alive"]`)
	c.Want(`42["echo","alive"]`)
}

func (s *suite) badPackets(t *testing.T) {
	s.transports(t, func(t *testing.T, open func(*testing.T, Dialer) *Client) {
		var why <-chan sio.Reason
		_, d := s.serve(t, func(srv *sio.Server) {
			echo(srv)
			why = reasons(srv)
		})
		bystander := open(t, d)
		bystander.Connect("/", "")
		bad := open(t, d)
		bad.Connect("/", "")
		bad.Send(`42{"not":"an event"}`)
		if before := bad.UntilClosed(); len(before) > 0 {
			t.Errorf("packets before the end: %q", before)
		}
		if got := await(t, "the disconnect", why); got != sio.ReasonForcedClose {
			t.Errorf("reason %q", got)
		}
		bystander.Send(`42["echo","alive"]`)
		bystander.Want(`42["echo","alive"]`)
	})
}

// values tests what the framework knows about the request that opened the
// connection, for many users at the same time, who share its pools.
func (s *suite) values(t *testing.T) {
	register := func(srv *sio.Server) {
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			if tenant, _ := s.lookup(c.Socket); tenant != "acme" {
				return fmt.Errorf("tenant is %q", tenant)
			}
			return nil
		}))
		srv.On("who", func(c *sio.Ctx) error {
			tenant, user := s.lookup(c.Socket)
			return c.Ack(tenant, user)
		})
	}
	s.transports(t, func(t *testing.T, open func(*testing.T, Dialer) *Client) {
		_, d := s.serve(t, register)
		var users sync.WaitGroup
		for i := range 5 {
			name := fmt.Sprint("user", i)
			d := d
			d.Header = http.Header{"X-User": {name}}
			users.Go(func() {
				c := open(t, d)
				c.Connect("/", "")
				for range 10 {
					c.Send(`421["who"]`)
					c.Want(`431["acme","` + name + `"]`)
				}
			})
		}
		users.Wait()
	})
	t.Run("refused", func(t *testing.T) {
		srv, d := s.serve(t, register)
		d.Header = http.Header{"X-User": {"mallory"}}
		for _, transport := range []string{"polling", "websocket"} {
			got := status(t, d.HTTP(t), http.MethodGet, d.Endpoint("EIO", "4", "transport", transport))
			if got != http.StatusUnauthorized {
				t.Errorf("%s: status %d", transport, got)
			}
		}
		if n := srv.ClientsCount(); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

func (s *suite) shutdown(t *testing.T) {
	s.transports(t, func(t *testing.T, open func(*testing.T, Dialer) *Client) {
		var why <-chan sio.Reason
		srv, d := s.serve(t, func(srv *sio.Server) { why = reasons(srv) })
		c := open(t, d)
		c.Connect("/", "")
		ended := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			ended <- srv.Shutdown(ctx)
		}()
		if before := c.UntilClosed(); len(before) > 0 {
			t.Errorf("packets before the end: %q", before)
		}
		if got := await(t, "the disconnect", why); got != sio.ReasonServerShuttingDown {
			t.Errorf("reason %q", got)
		}
		if err := await(t, "Shutdown", ended); err != nil {
			t.Error(err)
		}
		if got := status(t, d.HTTP(t), http.MethodGet, d.Endpoint("EIO", "4", "transport", "polling")); got != http.StatusServiceUnavailable {
			t.Errorf("a new client gets status %d", got)
		}
	})
}
