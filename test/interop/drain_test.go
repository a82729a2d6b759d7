package interop_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/require"
)

// TestDrain moves clients to another server, as a rolling update does: the server drains
// that they are connected to, behind a load balancer that does not know it at first.
func TestDrain(t *testing.T) {
	t.Parallel()
	node := require.Tool(t, "node")
	require.NodePackages(t, ".")
	for _, m := range mounts() {
		for _, mode := range modes("") {
			if m.name != onGin().name && mode == "upgrade" {
				continue
			}
			t.Run(m.name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				runScenarios(t, node, mode, newUpdate(t, m), nil, filepath.Join("scenarios", drainSubject+".test.js"))
			})
		}
	}
}

// TestDrainPython does it with python-socketio.
func TestDrainPython(t *testing.T) {
	t.Parallel()
	require.Tool(t, "python")
	require.Built(t, "python", "python/.venv/built", "python/requirements.txt")
	for _, mode := range modes("") {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			name := func(r result) string { return r.Test }
			run(t, mode, newUpdate(t, onGin()), []string{"INTEROP_CUT_URL="}, name, filepath.Join("python", ".venv", "bin", "python"), "python/drain.py")
		})
	}
}

const drainSubject = "drain"

// An update is two servers behind a load balancer, of which the old one is going to
// drain.
type update struct {
	t        *testing.T
	old, new *updated
	draining atomic.Bool
	refused  atomic.Int64
	turn     atomic.Int64
	ended    chan error // of the old server
}

// An updated is one of the two servers.
type updated struct {
	name      string
	srv       *sio.Server
	web       backend
	served    chan error
	proxy     *httputil.ReverseProxy
	transport *http.Transport // of the proxy
	running   atomic.Int64    // handlers of "slow" and "ask me"
	drained   chan struct{}   // closed when the server drains
}

// enough is how many clients the load balancer sends to a server that refuses them, before
// it notices.
const enough = 10

func newUpdate(t *testing.T, m mount) *app {
	t.Helper()
	u := &update{t: t, old: newUpdated(t, m, "old"), new: newUpdated(t, m, "new"), ended: make(chan error, 1)}
	u.old.proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		u.refused.Add(enough) // it has ended
		w.WriteHeader(http.StatusBadGateway)
	}
	u.old.proxy.ModifyResponse = func(res *http.Response) error {
		if res.StatusCode == http.StatusServiceUnavailable {
			u.refused.Add(1)
		}
		return nil
	}
	balancer := httptest.NewServer(u)
	mux := http.NewServeMux()
	mux.Handle("POST /drain", command(u.drain))
	mux.HandleFunc("POST /drained", func(w http.ResponseWriter, _ *http.Request) {
		err := <-u.ended
		report, _ := json.Marshal(map[string]any{"refused": u.refused.Load() > 0, "left": u.old.srv.ClientsCount()})
		answer(w, string(report), err)
	})
	control := httptest.NewServer(mux)
	t.Cleanup(func() {
		control.Close()
		balancer.Close()
	})
	return &app{url: balancer.URL, control: control}
}

func newUpdated(t *testing.T, m mount, name string) *updated {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &updated{name: name, served: make(chan error, 1), drained: make(chan struct{})}
	u.srv = sio.New(&sio.Options{
		Logger:     slog.New(slog.NewTextHandler(t.Output(), nil)),
		GenerateID: func(*sio.Request) (string, error) { return name + "-" + rand.Text(), nil },
	})
	u.listen()
	u.web = m.backend(u.srv)
	u.transport = new(http.Transport)
	go func() { u.served <- u.web.Serve(ln) }()
	u.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", ln.Addr().String()
		},
		Transport: u.transport,
		ErrorLog:  slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelInfo),
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), stopTimeout)
		defer cancel()
		if err := u.stop(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
		if err := <-u.served; err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving: %v", err)
		}
	})
	return u
}

// stop drains, and then ends the HTTP server, which has to be able to end: no poll is
// open.
func (u *updated) stop(ctx context.Context) error {
	err := u.srv.Drain(ctx, &sio.DrainOptions{Spread: time.Second})
	u.transport.CloseIdleConnections() // fasthttp would wait for those that never had a request
	return errors.Join(err, u.web.Shutdown(ctx))
}

func (u *updated) listen() {
	u.srv.On("where", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return u.name, nil }))
	u.srv.On("slow", sio.Reply(func(c *sio.Ctx, n int) (int, error) {
		u.running.Add(1)
		defer u.running.Add(-1)
		select {
		case <-u.drained:
		case <-c.Context().Done():
			return 0, c.Context().Err()
		}
		select {
		case <-time.After(500 * time.Millisecond):
			return n, nil
		case <-c.Context().Done():
			return 0, c.Context().Err()
		}
	}))
	u.srv.On("ask me", sio.Reply(func(c *sio.Ctx, n int) (int, error) {
		u.running.Add(1)
		defer u.running.Add(-1)
		return sio.EmitWithAck[int](c.Context(), c.Socket, "question", n)
	}))
}

// ServeHTTP implements [http.Handler]. It is the load balancer: the id of a session says
// which server has it.
func (u *update) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to := u.new
	switch sid := r.URL.Query().Get("sid"); {
	case strings.HasPrefix(sid, u.old.name),
		sid == "" && !u.draining.Load(),
		sid == "" && u.refused.Load() < enough && u.turn.Add(1)%2 == 1:
		to = u.old
	}
	to.proxy.ServeHTTP(w, r)
}

// busy is how many handlers the scenarios keep busy when they let a server drain.
const busy = 8

// drain begins to drain the old server when its handlers are busy. From the first moment
// it is not ready, and alive.
func (u *update) drain() error {
	ctx, cancel := context.WithTimeout(u.t.Context(), stopTimeout)
	defer cancel()
	if err := until(ctx, "handlers are busy", func() bool { return u.old.running.Load() == busy }); err != nil {
		return err
	}
	if got := probe(u.old.srv.ReadyHandler(nil)); got != http.StatusOK {
		return fmt.Errorf("readiness before: status %d", got)
	}
	u.draining.Store(true)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(u.t.Context()), scenarioTimeout)
		defer cancel()
		u.ended <- u.old.stop(ctx)
	}()
	if err := until(ctx, "the server drains", func() bool { return !u.old.srv.Ready() }); err != nil {
		return err
	}
	close(u.old.drained)
	ready, live := probe(u.old.srv.ReadyHandler(nil)), probe(u.old.srv.LiveHandler())
	if ready != http.StatusServiceUnavailable || live != http.StatusOK {
		return fmt.Errorf("readiness: status %d, liveness: status %d", ready, live)
	}
	return nil
}

func until(ctx context.Context, what string, is func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s", what)
		}
	}
	return nil
}

func probe(h http.Handler) (status int) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	return w.Code
}
