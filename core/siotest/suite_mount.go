package siotest

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// proxies tests whose address handlers get to know.
func (s *suite) proxies(t *testing.T) {
	want := `431["127.0.0.1"]`
	if s.proxied {
		want = `431["203.0.113.7"]`
	}
	Transports(t, func(t *testing.T, open Opener) {
		_, d := s.serve(t, func(srv *sio.Server) {
			srv.On("address", func(c *sio.Ctx) error { return c.Ack(c.Handshake().Address) })
		})
		d.Header = http.Header{"X-Forwarded-For": {"203.0.113.7"}}
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["address"]`)
		c.Want(want)
	})
}

// ahead tests that what a client sends before it has the answer to its
// handshake is not lost on the way out of the HTTP server: what fits into that
// server's buffer, and what does not.
func (s *suite) ahead(t *testing.T) {
	t.Run("new session", func(t *testing.T) {
		_, d := s.serve(t, func(srv *sio.Server) {
			for _, name := range []string{"/", "/small", "/large"} {
				srv.Of(name).OnConnect(func(c *sio.Ctx) error { return c.Emit("auth", c.Handshake().Auth) })
			}
		})
		large := `{"token":"` + strings.Repeat("x", 50_000) + `"}`
		c := d.WebSocket(t, `40{"n":1}`, `40/small,{"n":2}`, `40/large,`+large)
		got := make(map[string]bool)
		for range 3 { // namespaces accept in any order
			got[c.untilEvent()] = true
		}
		for _, want := range []string{`42["auth",{"n":1}]`, `42/small,["auth",{"n":2}]`, `42/large,["auth",` + large + `]`} {
			if !got[want] {
				t.Errorf("no %s", abridge([]string{want}))
			}
		}
	})
	t.Run("upgrade", func(t *testing.T) {
		_, d := s.serve(t, echo)
		c := d.Polling(t)
		c.Connect("/", "")
		w, err := dialWebSocket(d, c.SID(), []string{"2probe"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.abort)
		if got, err := w.receive(d.deadline()); err != nil || !slices.Equal(got, []string{"3probe"}) {
			t.Errorf("answer to the probe: %q, %v", got, err)
		}
	})
}

// untilEvent returns the next packet that is no answer to a CONNECT.
func (c *Client) untilEvent() string {
	c.tb.Helper()
	for {
		if p := c.Next(); !strings.HasPrefix(p, "40") {
			return p
		}
	}
}

// cors tests that what the server says to pages of other origins reaches them.
func (s *suite) cors(t *testing.T) {
	const page = "http://page.test"
	_, d := s.mount.Serve(t, &sio.Options{
		CORS:   &sio.CORS{Origins: []string{page}, Credentials: true},
		Logger: slog.New(testLog{t: t, but: "a page of another origin"}),
	}, echo)
	client := d.HTTP(t)
	polling := d.Endpoint("EIO", "4", "transport", "polling")
	for _, tt := range []struct {
		name, method, url, origin string
		status                    int
	}{
		{"preflight", http.MethodOptions, polling, page, http.StatusNoContent},
		{"poll", http.MethodGet, polling, page, http.StatusOK},
		{"error", http.MethodGet, d.Endpoint("EIO", "4", "transport", "polling", "sid", "unknown"), page, http.StatusBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{"Origin": {tt.origin}, "Access-Control-Request-Method": {"POST"}}
			res := fetch(t, client, tt.method, tt.url, h)
			if res.status != tt.status {
				t.Errorf("status %d, want %d", res.status, tt.status)
			}
			for k, want := range map[string]string{
				"Access-Control-Allow-Origin":      page,
				"Access-Control-Allow-Credentials": "true",
			} {
				if got := strings.Join(res.header[k], " and "); got != want {
					t.Errorf("%s: %q, want %q", k, got, want)
				}
			}
		})
	}
	d.Header = http.Header{"Origin": {page}}
	c := d.WebSocket(t)
	c.Connect("/", "")
	d.Header = http.Header{"Origin": {"http://other.test"}}
	if w, err := dialWebSocket(d, "", nil); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a WebSocket of another origin: %v, %v; want status 403", w, err)
	}
}

// compression tests that a large answer arrives compressed, and only once, also
// where middleware does that as well.
func (s *suite) compression(t *testing.T) {
	large := `42["echo","` + strings.Repeat("x", 10_000) + `"]`
	_, d := s.serve(t, echo)
	c := d.Polling(t)
	c.Connect("/", "")
	c.Send(large)
	url := d.Endpoint("EIO", "4", "transport", "polling", "sid", c.SID())
	res := fetch(t, d.HTTP(t), http.MethodGet, url, http.Header{"Accept-Encoding": {"gzip"}})
	if got := res.header.Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("Content-Encoding %q, status %d", got, res.status)
	}
	r, err := gzip.NewReader(strings.NewReader(res.body))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); string(text) != large || err != nil {
		t.Errorf("the answer was changed: %d bytes instead of %d, %v", len(text), len(large), err)
	}
}

// keepAlive tests that users whose requests come one after the other on the same
// connections are not mixed up: a framework uses the memory of one for the next.
func (s *suite) keepAlive(t *testing.T) {
	const users, rounds = 10, 20
	_, d := s.serve(t, func(srv *sio.Server) {
		srv.On("who", func(c *sio.Ctx) error {
			tenant, user := s.lookup(c.Socket)
			h := c.Handshake()
			return c.Ack(tenant, user, h.Header.Get("X-User"), h.Query.Get("user"), strings.Contains(h.URL, "user="+user), h.Host)
		})
	})
	// A few connections for all, as behind a proxy.
	few := &http.Transport{MaxConnsPerHost: 3, TLSClientConfig: d.TLS, DialContext: d.Dial}
	t.Cleanup(few.CloseIdleConnections)
	client := &http.Client{Transport: few, Timeout: waitLimit}
	request := func(user, method, url, body string) (string, error) {
		return exchange(t.Context(), client, user, method, url, body)
	}
	var all sync.WaitGroup
	for i := range users {
		all.Go(func() {
			user := fmt.Sprint("user", i)
			opening := d.Endpoint("EIO", "4", "transport", "polling", "user", user)
			open, err := request(user, http.MethodGet, opening, "")
			sid, _, ok := strings.Cut(strings.TrimPrefix(open, `0{"sid":"`), `"`)
			if err != nil || !ok {
				t.Errorf("opening: %q, %v", open, err)
				return
			}
			url := d.Endpoint("EIO", "4", "transport", "polling", "user", "XXXXX", "sid", sid)
			_, err1 := request(user, http.MethodPost, url, "40")
			got, err2 := request(user, http.MethodGet, url, "")
			if err := errors.Join(err1, err2); err != nil || !strings.HasPrefix(got, "40{") {
				t.Errorf("connecting: %q, %v", got, err)
				return
			}
			host := strings.Split(d.URL, "/")[2]
			want := fmt.Sprintf(`431["acme",%q,%q,%q,true,%q]`, user, user, user, host)
			for range rounds {
				// The other requests of a session do not count, from any client.
				_, err1 := request("XXXXX", http.MethodPost, url, `421["who"]`)
				got, err2 := request("XXXXX", http.MethodGet, url, "")
				if err := errors.Join(err1, err2); err != nil || got != want {
					t.Errorf("got %s, want %s, error %v", got, want, err)
				}
			}
		})
	}
	all.Wait()
}

// exchange sends a request in the name of a user and returns the answer.
func exchange(ctx context.Context, c *http.Client, user, method, url, body string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("X-User", user)
	res, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return string(answer), err
}
