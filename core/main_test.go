package sio_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// Tests carry the ids of the rows of the reference that they show, such as
// SIO-CN-3. Most run in a bubble of testing/synctest, over pipes: there, "and
// nothing else happens" and "after exactly 45 seconds" can be said.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is what clients of tests send as tokens and texts. No log may have it.
const secret = "hunter2"

// patience is how long a test outside of a bubble waits for what has to happen
// before it fails instead of hanging.
const patience = time.Minute

// bubble runs f with a server over pipes, in fake time. Whatever the server
// logs above Debug, or with a payload in it, is a failure, unless opts has a
// logger of its own.
func bubble(t *testing.T, opts *sio.Options, f func(t *testing.T, srv *sio.Server, d siotest.Dialer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, opts)
		d := siotest.Pipes(t, srv)
		t.Cleanup(func() { shutdown(t, srv) })
		f(t, srv, d)
	})
}

// loopback returns a server on a port of this machine.
func loopback(tb testing.TB, opts *sio.Options) (*sio.Server, siotest.Dialer) {
	tb.Helper()
	srv := newServer(tb, opts)
	d := siotest.Loopback(tb, srv)
	tb.Cleanup(func() { shutdown(tb, srv) })
	return srv, d
}

func newServer(tb testing.TB, opts *sio.Options) *sio.Server {
	tb.Helper()
	var o sio.Options
	if opts != nil {
		o = *opts
	}
	if o.Logger == nil {
		l := new(logbook)
		o.Logger = slog.New(l)
		tb.Cleanup(func() { l.mustBeQuiet(tb) })
	}
	return sio.New(&o)
}

func shutdown(tb testing.TB, srv *sio.Server) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		tb.Errorf("shutdown: %v", err)
	}
}

// await waits for a value outside of a bubble; inside, receiving is enough.
func await[T any](tb testing.TB, what string, ch <-chan T) (v T) {
	tb.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		tb.Fatalf("waited in vain for %s", what)
	}
	return v
}

// eventually looks again and again whether something is so.
func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain until %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// A story is what happened, in order.
type story struct {
	mu    sync.Mutex
	parts []string
}

func (s *story) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, fmt.Sprintf(format, args...))
}

func (s *story) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.parts)
}

// want fails unless exactly this happened.
func (s *story) want(tb testing.TB, parts ...string) {
	tb.Helper()
	if got := s.told(); !slices.Equal(got, parts) {
		tb.Errorf("what happened:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(parts, "\n  "))
	}
}

// A logbook keeps what was logged, one line a record.
type logbook struct {
	mu    sync.Mutex
	lines []string
}

func (*logbook) Enabled(context.Context, slog.Level) bool { return true }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

func (l *logbook) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *logbook) WithGroup(string) slog.Handler      { return l }

// above returns the records above Debug.
func (l *logbook) above() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.lines), func(s string) bool { return strings.HasPrefix(s, "DEBUG ") })
}

func (l *logbook) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func (l *logbook) mustBeQuiet(tb testing.TB) {
	tb.Helper()
	for _, line := range l.above() {
		tb.Errorf("logged above Debug: %s", line)
	}
	l.mustNotTell(tb)
}

// mustNotTell fails if something that clients sent was logged.
func (l *logbook) mustNotTell(tb testing.TB) {
	tb.Helper()
	for _, line := range l.all() {
		if strings.Contains(line, secret) {
			tb.Errorf("a payload was logged: %s", line)
		}
	}
}

// one returns the only line with that word in it.
func (l *logbook) one(tb testing.TB, word string) string {
	tb.Helper()
	found := slices.DeleteFunc(l.all(), func(s string) bool { return !strings.Contains(s, word) })
	if len(found) != 1 {
		tb.Fatalf("%d records have %q, want one: %q of %q", len(found), word, found, l.all())
	}
	return found[0]
}

// echo registers an event "echo" whose arguments come back.
func echo(n *sio.Namespace) {
	n.On("echo", sio.Bind(func(c *sio.Ctx, v any) error { return c.Emit("echo", v) }))
}

// mustEcho shows that a client is connected, and that nothing was sent to it
// that it has not read.
func mustEcho(tb testing.TB, c *siotest.Client) {
	tb.Helper()
	c.Send(`42["echo","` + secret + `"]`)
	c.Want(`42["echo","` + secret + `"]`)
}

// reasons tells why sockets of the namespace were disconnected.
func reasons(n *sio.Namespace) <-chan sio.Reason {
	ch := make(chan sio.Reason, 100)
	n.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { ch <- r })
	return ch
}

func mustReason(tb testing.TB, ch <-chan sio.Reason, want sio.Reason) {
	tb.Helper()
	if got := await(tb, "a disconnect", ch); got != want {
		tb.Errorf("reason %q, want %q", got, want)
	}
}

// must fails the test on an error. It may be called on any goroutine.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Error(err)
	}
}

// transports are the ways in which clients come.
func transports() map[string]func(testing.TB, siotest.Dialer) *siotest.Client {
	return map[string]func(testing.TB, siotest.Dialer) *siotest.Client{
		"polling":   func(tb testing.TB, d siotest.Dialer) *siotest.Client { tb.Helper(); return d.Polling(tb) },
		"websocket": func(tb testing.TB, d siotest.Dialer) *siotest.Client { tb.Helper(); return d.WebSocket(tb) },
		"upgraded": func(tb testing.TB, d siotest.Dialer) *siotest.Client {
			tb.Helper()
			c := d.Polling(tb)
			c.Upgrade()
			return c
		},
	}
}
