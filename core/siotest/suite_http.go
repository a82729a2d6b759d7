package siotest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// handshake tests that handlers learn about the request that opened the
// connection.
func (s *suite) handshake(t *testing.T) {
	Transports(t, func(t *testing.T, open Opener) {
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
			"host":          {h.Host, strings.Split(d.URL, "/")[2]},
			"path in URL":   {strconv.FormatBool(strings.HasPrefix(h.URL, "/")), "true"},
			"query in URL":  {strconv.FormatBool(strings.Contains(h.URL, "room=a")), "true"},
			"address known": {strconv.FormatBool(h.Address != ""), "true"},
			"secure":        {strconv.FormatBool(h.Secure), strconv.FormatBool(strings.HasPrefix(d.URL, "https:"))},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
			}
		}
	})
}

// parameters tests that the query comes as it was sent, also by clients that
// escape less than browsers do.
func (s *suite) parameters(t *testing.T) {
	got := make(chan *sio.Handshake, 1)
	_, d := s.serve(t, func(srv *sio.Server) {
		srv.OnConnect(func(c *sio.Ctx) error { got <- c.Handshake(); return nil })
	})
	const raw = "&a=50%&b=1;2&c=ü&d=x+y&e=%zz&f=%C3%BC"
	web, endpoint := d.HTTP(t), d.Endpoint("EIO", "4", "transport", "polling")+raw
	res, err := web.Get(endpoint) //nolint:noctx // the client has a timeout
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	var open struct{ Sid string }
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body[1:], &open)
	}
	if err != nil || open.Sid == "" {
		t.Fatalf("handshake: %d %s %v", res.StatusCode, body, err)
	}
	res, err = web.Post(endpoint+"&sid="+open.Sid, "text/plain", strings.NewReader("40")) //nolint:noctx // likewise
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	h := await(t, "the handshake", got)
	for key, want := range map[string]string{"a": "50%", "b": "1;2", "c": "ü", "d": "x y", "e": "%zz", "f": "ü"} {
		if v := h.Query.Get(key); v != want {
			t.Errorf("%s: %q, want %q", key, v, want)
		}
	}
}

// reasons keeps why sockets were disconnected.
func reasons(srv *sio.Server) <-chan sio.Reason {
	ch := make(chan sio.Reason, 10)
	srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { ch <- r })
	return ch
}

func (s *suite) clientClose(t *testing.T) {
	Transports(t, func(t *testing.T, open Opener) {
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
	Transports(t, func(t *testing.T, open Opener) {
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
	Transports(t, func(t *testing.T, open Opener) {
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
		if code := post(t, d.HTTP(t), url, "4"+strings.Repeat("x", 5_000_000)); code != http.StatusRequestEntityTooLarge && code != 0 {
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
			if got := fetch(t, client, tt.method, tt.url, nil).status; got != tt.want {
				t.Errorf("status %d, want %d", got, tt.want)
			}
		})
	}
	c.Send(`42["echo","alive"]`)
	c.Want(`42["echo","alive"]`)
}

func (s *suite) badPackets(t *testing.T) {
	Transports(t, func(t *testing.T, open Opener) {
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
// connection, for several users, who share its pools: while they connect, later,
// and when they leave.
func (s *suite) values(t *testing.T) {
	left := make(chan string, 10)
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
		srv.OnDisconnect(func(socket *sio.Socket, _ sio.Reason) {
			_, user := s.lookup(socket)
			left <- user
		})
	}
	Transports(t, func(t *testing.T, open Opener) {
		_, d := s.serve(t, register)
		users := []string{"ann", "bob", "cleo", "dan", "eve"}
		clients := make([]*Client, len(users))
		for i, name := range users {
			d.Header = http.Header{"X-User": {name}}
			clients[i] = open(t, d)
			clients[i].Connect("/", "")
		}
		for range 10 {
			for _, c := range clients {
				c.Send(`421["who"]`)
			}
			for i, c := range clients {
				c.Want(`431["acme","` + users[i] + `"]`)
			}
		}
		for i, c := range clients {
			c.Close()
			if got := await(t, "the disconnect", left); got != users[i] {
				t.Errorf("%s left, not %s", got, users[i])
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		srv, d := s.serve(t, register)
		d.Header = http.Header{"X-User": {"mallory"}}
		for _, transport := range []string{"polling", "websocket"} {
			got := fetch(t, d.HTTP(t), http.MethodGet, d.Endpoint("EIO", "4", "transport", transport), nil).status
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
	Transports(t, func(t *testing.T, open Opener) {
		var why <-chan sio.Reason
		srv, d := s.serve(t, func(srv *sio.Server) { why = reasons(srv) })
		c := open(t, d)
		c.Connect("/", "")
		ended := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
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
		if got := fetch(t, d.HTTP(t), http.MethodGet, d.Endpoint("EIO", "4", "transport", "polling"), nil).status; got != http.StatusServiceUnavailable {
			t.Errorf("a new client gets status %d", got)
		}
	})
}
