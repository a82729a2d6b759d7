package faults_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/test/network"
)

// A server is one of the cluster, in this process, with a client.
type server struct {
	name   string
	srv    *sio.Server
	client *siotest.Peer
	proxy  *network.Proxy

	mu      sync.Mutex
	emitted map[int]time.Time // by this server
	slowest time.Duration     // until an event of this server reached its own client
	got     []int             // numbers of events, of the server that emits
	ended   chan struct{}     // closed when all of them are known
}

const event = "n"

// startServer starts a server whose broker is behind a proxy. It stops with the test.
func startServer(t *testing.T, name string, kind adapterKind, addr string, o cluster.Options) *server {
	t.Helper()
	s := &server{name: name, proxy: network.Start(t, addr), emitted: make(map[int]time.Time), ended: make(chan struct{})}
	o.Name = name
	opts, end, err := kind.options(s.proxy.Addr(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	opts.Logger = slog.New(slog.NewTextHandler(t.Output(), nil)).With(slog.String("server", name))
	s.srv = sio.New(opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := s.srv.Shutdown(ctx); err != nil {
			t.Errorf("stopping server %s: %v", name, err)
		}
	})
	s.client = siotest.Connect(t, s.srv, "/", nil)
	return s
}

// emit sends the next event to all clients.
func (s *server) emit(n int) error {
	s.mu.Lock()
	s.emitted[n] = time.Now()
	s.mu.Unlock()
	return s.srv.Emit(event, n)
}

// members returns how many other servers this one knows.
func (s *server) members() int { return len(s.srv.Cluster().Members) }

func (s *server) lost() (lost, gaps uint64) {
	status := s.srv.Cluster()
	return status.Lost, status.Gaps
}

// whole reports whether the server hears of all clients, within a short time.
func (s *server) whole(t *testing.T, clients int) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	n, err := s.srv.Broadcast().Count(ctx)
	return err == nil && n == clients && s.srv.Cluster().Healthy
}

// A group is the servers of a test in this process. All but the last one emit.
type group struct {
	servers []*server
	next    int
	stop    chan struct{}
	ended   chan struct{}
	refused int // calls of Emit that returned an error
}

func startGroup(t *testing.T, kind adapterKind, addr string, o cluster.Options, names ...string) *group {
	t.Helper()
	g := &group{}
	for _, name := range names {
		g.servers = append(g.servers, startServer(t, name, kind, addr, o))
	}
	g.awaitWhole(t, len(names))
	return g
}

// awaitWhole waits until all servers hear of so many clients. It returns how long that took.
func (g *group) awaitWhole(t *testing.T, clients int) time.Duration {
	t.Helper()
	start := time.Now()
	for time.Since(start) < time.Minute {
		if !slices.ContainsFunc(g.servers, func(s *server) bool { return !s.whole(t, clients) }) {
			return time.Since(start)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("the cluster is not whole after %v: %+v", time.Since(start), g.servers[0].srv.Cluster())
	return 0
}

// begin has the first server emit events, each after a pause, or none if that is 0.
func (g *group) begin(t *testing.T, pause time.Duration) {
	t.Helper()
	go g.servers[0].read(t)
	g.stop, g.ended = make(chan struct{}), make(chan struct{})
	if pause == 0 {
		close(g.ended)
		return
	}
	go func() {
		defer close(g.ended)
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				g.emit()
			case <-g.stop:
				return
			}
		}
	}()
}

func (g *group) emit() {
	if g.servers[0].emit(g.next) != nil {
		g.refused++
	}
	g.next++
}

// end ends the events and waits until all clients have received the last one.
func (g *group) end(t *testing.T) {
	t.Helper()
	close(g.stop)
	<-g.ended
	if err := g.servers[0].srv.Emit("end"); err != nil {
		t.Fatal(err)
	}
	for _, s := range g.servers[1:] {
		s.read(t)
	}
	<-g.servers[0].ended
}

// read reads what the client receives, until the end.
func (s *server) read(t *testing.T) {
	t.Helper()
	defer close(s.ended)
	for {
		e := s.client.Next()
		switch e.Name {
		case "end":
			return
		case event:
			n, err := strconv.Atoi(strings.Split(strings.Trim(e.String(), "[]"), ",")[1])
			if err != nil {
				t.Error(err)
			}
			s.mu.Lock()
			s.got = append(s.got, n)
			if at, own := s.emitted[n]; own {
				s.slowest = max(s.slowest, time.Since(at))
			}
			s.mu.Unlock()
		}
	}
}

// An outcome is what a fault has done.
type outcome struct {
	emitted  int
	arrived  []int // by server
	twice    int
	disorder int
	lost     uint64 // counted by the server that emits
	gaps     uint64 // counted by all servers
	slowest  time.Duration
	whole    time.Duration
}

// outcome checks what must hold whatever happens, and counts the rest.
func (g *group) outcome(t *testing.T, whole time.Duration) (o outcome) {
	t.Helper()
	g.end(t)
	o.emitted, o.whole = g.next, whole
	for _, s := range g.servers {
		seen := make(map[int]bool)
		last := -1
		for _, n := range s.got {
			if seen[n] {
				o.twice++
			}
			if n < last {
				o.disorder++
			}
			seen[n], last = true, n
		}
		o.arrived = append(o.arrived, len(seen))
	}
	for _, s := range g.servers {
		lost, gaps := s.lost()
		o.lost += lost
		o.gaps += gaps
	}
	o.slowest = g.servers[0].slowest
	if o.twice > 0 || o.disorder > 0 {
		t.Errorf("%d events came twice, %d too early", o.twice, o.disorder)
	}
	if o.arrived[0] != o.emitted {
		t.Errorf("the server's own client got %d of %d events", o.arrived[0], o.emitted)
	}
	for i, n := range o.arrived {
		if n < o.emitted && o.lost == 0 && o.gaps == 0 {
			t.Errorf("server %d: %d of %d events arrived, and nobody counted a loss", i, n, o.emitted)
		}
	}
	return o
}

func (o *outcome) String() string {
	var missing []string
	for _, n := range o.arrived[1:] {
		missing = append(missing, fmt.Sprint(o.emitted-n))
	}
	return fmt.Sprintf("%d | %s | %d | %d | %d | %v | %v", o.emitted, strings.Join(missing, ", "), o.twice, o.lost, o.gaps,
		o.slowest.Round(time.Millisecond), o.whole.Round(10*time.Millisecond))
}
