package forward_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/cluster/forward"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// patience bounds every wait. Nothing takes that long unless it fails.
const patience = time.Minute

const secret = "a secret of the servers of this test"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A registry knows the servers of a cluster that has no broker.
type registry struct {
	mu      sync.Mutex
	members map[string]*member // by prefix
}

// A member is one of them. It implements [forward.Members].
type member struct {
	registry   *registry
	id, prefix string
	address    string
	gone       chan struct{}
	relay      *relay
}

func (r *registry) join(n int) *member {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members == nil {
		r.members = make(map[string]*member)
	}
	m := &member{registry: r, id: fmt.Sprintf("go%014d", n), prefix: fmt.Sprintf("no_%d", n), gone: make(chan struct{}), relay: new(relay)}
	r.members[m.prefix] = m
	return m
}

func (m *member) Announce(address string) {
	m.registry.mu.Lock()
	defer m.registry.mu.Unlock()
	m.address = address
}

func (m *member) ServerID() string { return m.id }
func (m *member) Prefix() string   { return m.prefix }

func (m *member) Locate(prefix string) (cluster.Location, bool) {
	m.registry.mu.Lock()
	defer m.registry.mu.Unlock()
	o := m.registry.members[prefix]
	if o == nil || o == m {
		return cluster.Location{}, false
	}
	return cluster.Location{Server: o.id, Address: o.address, Gone: o.gone}, true
}

// leave takes the member out of the cluster.
func (m *member) leave() {
	m.registry.mu.Lock()
	defer m.registry.mu.Unlock()
	if m.registry.members[m.prefix] == m {
		delete(m.registry.members, m.prefix)
		close(m.gone)
	}
}

// A node is a server of the cluster.
type node struct {
	*member
	*sio.Server

	router *forward.Router
	web    *httptest.Server
	log    *log
	once   sync.Once
}

// A log is what a server has logged above Debug.
type log struct {
	slog.Handler

	mu   *sync.Mutex
	loud *[]string
}

func (log) Enabled(context.Context, slog.Level) bool { return true }

func (l log) Handle(_ context.Context, r slog.Record) error {
	if r.Level > slog.LevelDebug {
		l.mu.Lock()
		defer l.mu.Unlock()
		*l.loud = append(*l.loud, r.Message)
	}
	return nil
}

func (l log) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := *l.loud
	*l.loud = nil
	return all
}

// startOptions are those of a node.
type startOptions struct {
	broker  bool // it forwards over the broker
	forward forward.Options
	server  sio.Options
	wrap    func(http.Handler) http.Handler // around the server, as middleware
}

// start starts a node, which ends with the test. It must log nothing above Debug.
func start(tb testing.TB, r *registry, n int, o startOptions) *node {
	tb.Helper()
	s := &node{member: r.join(n), log: &log{slog.DiscardHandler, new(sync.Mutex), new([]string)}}
	if o.forward.Listen == "" && !o.broker {
		o.forward.Listen = "127.0.0.1:0"
	}
	if o.forward.Secret == "" {
		o.forward.Secret = secret
	}
	var err error
	if s.router, err = forward.New(s.member, o.forward); err != nil {
		tb.Fatal(err)
	}
	o.server.SessionRouter = s.router
	o.server.Logger = slog.New(s.log)
	s.Server = sio.New(&o.server)
	echo(s.Server)
	var h http.Handler = s.Server
	if o.wrap != nil {
		h = o.wrap(h)
	}
	s.web = httptest.NewServer(h)
	tb.Cleanup(func() {
		s.stop(tb)
		s.relay.close()
		for _, line := range s.log.take() {
			tb.Errorf("logged: %s", line)
		}
	})
	return s
}

func (s *node) stop(tb testing.TB) {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			tb.Errorf("shutting down: %v", err)
		}
		s.web.CloseClientConnections()
		s.web.Close()
		if s.address == "" {
			s.leave() // whoever forwards over the broker learns it there
		}
	})
}

// dialer is the way to the node.
func (s *node) dialer() siotest.Dialer { return siotest.Dialer{URL: s.web.URL + "/socket.io/"} }

// echo has the server answer events.
func echo(srv *sio.Server) {
	srv.On("echo", sio.Reply(func(_ *sio.Ctx, v any) (any, error) { return v, nil }))
	srv.On("count", sio.Bind(func(c *sio.Ctx, n int) error { return c.Emit("counted", n) }))
	srv.On("address", func(c *sio.Ctx) error { return c.Ack(c.Address()) })
}

// cluster starts nodes of one cluster.
func startCluster(tb testing.TB, n int, o startOptions) []*node {
	tb.Helper()
	r := new(registry)
	all := make([]*node, n)
	for i := range all {
		all[i] = start(tb, r, i, o)
	}
	return all
}
