package users_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/users"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Error(err)
	}
}

// A logbook keeps what is logged, at any level.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// A diary keeps the calls of OnOnline and OnOffline, of one server or of several.
type diary struct {
	mu    sync.Mutex
	calls []string
}

func (d *diary) note(call string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, call)
}

// take returns the calls since the last time.
func (d *diary) take() (calls []string) {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	calls, d.calls = d.calls, nil
	return calls
}

// want fails unless these are the calls since the last time, in any order.
func (d *diary) want(t *testing.T, calls ...string) {
	t.Helper()
	got := d.take()
	slices.Sort(got)
	slices.Sort(calls)
	if !slices.Equal(got, calls) {
		t.Errorf("calls %q, want %q", got, calls)
	}
}

// A server is one of a cluster.
type server struct {
	*sio.Server
	siotest.Dialer

	people *users.Users
	log    *logbook
}

// userOf returns the user that the client says it is.
func userOf(s *sio.Socket) string {
	if id, ok := userKey.Get(s); ok {
		return id
	}
	var auth struct {
		User string `json:"user"`
	}
	_ = json.Unmarshal(s.Handshake().Auth, &auth)
	return auth.User
}

var userKey = sio.NewKey[string]("user")

func as(user string) map[string]string { return map[string]string{"user": user} }

func newServer(t *testing.T, cluster adapter.Cluster, d *diary, o users.Options, opts sio.Options) server {
	t.Helper()
	s := server{log: new(logbook)}
	opts.Adapter, opts.Logger = cluster, s.log.logger()
	s.Server = sio.New(&opts)
	o.Logger = s.log.logger()
	if d != nil {
		o.OnOnline = func(id string) { d.note("+" + id) }
		o.OnOffline = func(id string) { d.note("-" + id) }
	}
	s.people = users.New(s.Namespace, userOf, &o)
	s.On("become", sio.Bind(func(c *sio.Ctx, id string) error {
		userKey.Set(c.Socket, id)
		return s.people.Update(c.Socket)
	}))
	s.Dialer = siotest.Pipes(t, s.Server)
	t.Cleanup(func() { must(t, s.Shutdown(context.Background())) })
	return s
}

func (s server) mustBeQuiet(t *testing.T) {
	t.Helper()
	if text := s.log.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "level=WARN") {
		t.Errorf("a client made the server log above Debug:\n%s", text)
	}
}

// servers runs f with servers of one cluster, when they have learned of each other.
func servers(t *testing.T, n int, f func(t *testing.T, d *diary, nodes []server, cluster adapter.Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cluster, d := adapter.NewMemory(), new(diary)
		var nodes []server
		for range n {
			nodes = append(nodes, newServer(t, cluster, d, users.Options{}, sio.Options{}))
		}
		settle()
		f(t, d, nodes, cluster)
		for _, s := range nodes {
			s.mustBeQuiet(t)
		}
	})
}
