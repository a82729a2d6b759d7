package siotest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// A Mount serves srv until the test ends, and returns a Dialer for it.
type Mount func(t *testing.T, srv *sio.Server) Dialer

// Serve makes a server, calls register with it, and mounts it. opts may be nil. When the
// test ends, the server is shut down before the functions that the mount has passed to
// t.Cleanup are called. Unless opts has a Logger, the test fails if the server logs
// anything above Debug.
func (m Mount) Serve(t *testing.T, opts *sio.Options, register func(srv *sio.Server)) (*sio.Server, Dialer) {
	t.Helper()
	var o sio.Options
	if opts != nil {
		o = *opts
	}
	if o.Logger == nil {
		o.Logger = slog.New(testLog{t: t})
	}
	srv := sio.New(&o)
	register(srv)
	d := m(t, srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("siotest: shutdown: %v", err)
		}
	})
	return srv, d
}

// An Opener connects a client: by polling, by WebSocket, or with an upgrade.
type Opener func(tb testing.TB, d Dialer) *Client

// Transports runs a test three times: with clients that use polling, with clients that use
// WebSocket, and with clients that have upgraded.
func Transports(t *testing.T, run func(t *testing.T, open Opener)) {
	t.Helper()
	for _, way := range []struct {
		name string
		open Opener
	}{
		{"polling", func(tb testing.TB, d Dialer) *Client { tb.Helper(); return d.Polling(tb) }},
		{"websocket", func(tb testing.TB, d Dialer) *Client { tb.Helper(); return d.WebSocket(tb) }},
		{"upgraded", func(tb testing.TB, d Dialer) *Client {
			tb.Helper()
			c := d.Polling(tb)
			c.Upgrade()
			return c
		}},
	} {
		t.Run(way.name, func(t *testing.T) { run(t, way.open) })
	}
}

// An Option changes what [Run] tests.
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

// Proxied makes [Run] expect that the mount's framework takes the client's
// address from the header X-Forwarded-For, because it was told to trust this
// machine as a proxy. Without it, Run expects that it does not.
func Proxied() Option {
	return func(s *suite) { s.proxied = true }
}

// Brief makes [Run] leave out the tests that do not depend on middleware around a mount.
func Brief() Option {
	return func(s *suite) { s.brief = true }
}

// Run tests a way of mounting a server. It calls mount for every subtest with a
// server of its own.
func Run(t *testing.T, mount Mount, opts ...Option) {
	t.Helper()
	s := &suite{mount: mount}
	for _, o := range opts {
		o(s)
	}
	for _, tt := range []struct {
		name  string
		run   func(*suite, *testing.T)
		leave bool
	}{
		{"events", (*suite).events, false},
		{"upgrade", (*suite).upgrade, false},
		{"binary", (*suite).binary, false},
		{"acks", (*suite).acks, s.brief},
		{"refusal", (*suite).refusal, s.brief},
		{"handshake", (*suite).handshake, s.brief},
		{"parameters", (*suite).parameters, s.brief},
		{"client close", (*suite).clientClose, s.brief},
		{"client abort", (*suite).clientAbort, false},
		{"large body", (*suite).largeBody, false},
		{"bad requests", (*suite).badRequests, s.brief},
		{"bad packets", (*suite).badPackets, s.brief},
		{"proxies", (*suite).proxies, s.brief},
		{"ahead", (*suite).ahead, s.brief},
		{"CORS", (*suite).cors, s.brief},
		{"compression", (*suite).compression, false},
		{"values", (*suite).values, s.lookup == nil}, // the mount has no lookup
		{"keep-alive", (*suite).keepAlive, s.lookup == nil},
		{"shutdown", (*suite).shutdown, false},
	} {
		if tt.leave {
			continue
		}
		t.Run(tt.name, func(t *testing.T) { tt.run(s, t) })
	}
}

type suite struct {
	mount   Mount
	lookup  func(*sio.Socket) (tenant, user string)
	proxied bool
	brief   bool
}

// serve mounts a new server with the default options.
func (s *suite) serve(t *testing.T, register func(srv *sio.Server)) (*sio.Server, Dialer) {
	t.Helper()
	return s.mount.Serve(t, nil, register)
}

// await waits for a value from a handler.
func await[T any](t *testing.T, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(waitLimit):
		t.Fatalf("siotest: waited in vain for %s", what)
	}
	return v
}

// An answer is the response to a request of fetch.
type answer struct {
	status int
	header http.Header
	body   string
}

// fetch sends a request and reads the response.
func fetch(t *testing.T, c *http.Client, method, url string, h http.Header) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if h != nil {
		r.Header = h
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
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
