package siotest

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// A Mount serves srv until the test ends, and returns the URL to give to
// clients, such as "http://127.0.0.1:3000/socket.io/".
type Mount func(t *testing.T, srv *sio.Server) (url string)

// An Option tells [Run] about what not every mount has.
type Option func(*suite)

// Values makes [Run] test that handlers find the values of their framework. For
// that, the mount has to have
//
//   - a route parameter, for which its URL has "acme",
//   - middleware that keeps the header X-User among the framework's values,
//   - and refuses a request whose X-User is "mallory" with 401.
//
// lookup returns the parameter and the value as a handler finds them.
func Values(lookup func(s *sio.Socket) (tenant, user string)) Option {
	return func(s *suite) { s.lookup = lookup }
}

// Run tests a way of mounting a server. It calls mount for every subtest with a
// server of its own, and shuts that down before what mount gave to t.Cleanup is
// called.
func Run(t *testing.T, mount Mount, opts ...Option) {
	t.Helper()
	s := &suite{mount: mount}
	for _, o := range opts {
		o(s)
	}
	for _, tt := range []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"events", (*suite).events},
		{"upgrade", (*suite).upgrade},
		{"binary", (*suite).binary},
		{"acks", (*suite).acks},
		{"refusal", (*suite).refusal},
		{"handshake", (*suite).handshake},
		{"client close", (*suite).clientClose},
		{"client abort", (*suite).clientAbort},
		{"large body", (*suite).largeBody},
		{"bad requests", (*suite).badRequests},
		{"bad packets", (*suite).badPackets},
		{"proxies", (*suite).proxies},
		{"ahead", (*suite).ahead},
		{"CORS", (*suite).cors},
		{"compression", (*suite).compression},
		{"values", (*suite).values},
		{"keep-alive", (*suite).keepAlive},
		{"shutdown", (*suite).shutdown},
	} {
		if (tt.name == "values" || tt.name == "keep-alive") && s.lookup == nil {
			continue // nobody said how to find them
		}
		t.Run(tt.name, func(t *testing.T) { tt.run(s, t) })
	}
}

type suite struct {
	mount   Mount
	lookup  func(*sio.Socket) (tenant, user string)
	proxied bool
}

// serve mounts a new server on which register was called.
func (s *suite) serve(t *testing.T, register func(srv *sio.Server)) (*sio.Server, Dialer) {
	t.Helper()
	return s.serveWith(t, sio.Options{}, register)
}

func (s *suite) serveWith(t *testing.T, opts sio.Options, register func(srv *sio.Server)) (*sio.Server, Dialer) {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(testLog{t: t})
	}
	srv := sio.New(&opts)
	register(srv)
	url := s.mount(t, srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("siotest: shutdown: %v", err)
		}
	})
	return srv, Dialer{URL: url}
}

// transports runs a test with clients that poll, use WebSocket, or have
// upgraded.
func (s *suite) transports(t *testing.T, run func(t *testing.T, open func(t *testing.T, d Dialer) *Client)) {
	t.Helper()
	t.Run("polling", func(t *testing.T) {
		run(t, func(t *testing.T, d Dialer) *Client { t.Helper(); return d.Polling(t) })
	})
	t.Run("websocket", func(t *testing.T) {
		run(t, func(t *testing.T, d Dialer) *Client { t.Helper(); return d.WebSocket(t) })
	})
	t.Run("upgraded", func(t *testing.T) {
		run(t, func(t *testing.T, d Dialer) *Client {
			t.Helper()
			c := d.Polling(t)
			c.Upgrade()
			return c
		})
	})
}

// await waits for a value from a handler.
func await[T any](t *testing.T, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("siotest: waited in vain for %s", what)
	}
	return v
}

// status sends a request by hand and returns the status of the answer.
func status(t *testing.T, c *http.Client, method, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode
}

// testLog makes everything above Debug a failure: no test here makes the server
// do something wrong.
type testLog struct {
	t     *testing.T
	but   string // what a message begins with that is expected, if not empty
	attrs []slog.Attr
}

func (l testLog) Enabled(_ context.Context, level slog.Level) bool { return level > slog.LevelDebug }

func (l testLog) Handle(_ context.Context, r slog.Record) error {
	if l.but != "" && strings.HasPrefix(r.Message, l.but) {
		return nil
	}
	r.AddAttrs(l.attrs...)
	var attrs []slog.Attr
	r.Attrs(func(a slog.Attr) bool { attrs = append(attrs, a); return true })
	l.t.Errorf("siotest: the server logs at %v: %s %v", r.Level, r.Message, attrs)
	return nil
}

func (l testLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	l.attrs = slices.Concat(l.attrs, attrs)
	return l
}

func (l testLog) WithGroup(string) slog.Handler { return l }
