package sio_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// A commonLog is what the servers of a cluster have in common.
type commonLog struct {
	*adapter.MemoryLog
	*adapter.Memory

	mu      sync.Mutex
	offsets map[*adapter.Message]string
}

// A provider is the cluster of one server. It notes what the server does with messages.
type provider struct {
	shared *commonLog
	saw    story
	keep   time.Duration

	mu       sync.Mutex
	unsent   map[*adapter.Message]bool // appended, to be published
	received map[*adapter.Message]bool // received, to be appended
}

func (p *provider) NewLog(namespace string, keep time.Duration) adapter.Log {
	p.saw.add("log of %s", namespace)
	p.keep = keep
	return providedLog{p.shared.MemoryLog, p}
}

func (p *provider) Join(namespace string, n adapter.Node) adapter.Adapter {
	p.saw.add("join %s", namespace)
	return providedAdapter{p.shared.Join(namespace, providedNode{n, p}), p}
}

func (p *provider) note(m *adapter.Message, list map[*adapter.Message]bool, is bool) (was bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was = list[m]
	list[m] = is
	return was
}

type providedLog struct {
	*adapter.MemoryLog

	p *provider
}

// Append appends what this server publishes. What another server has appended, it
// delivers.
func (l providedLog) Append(m *adapter.Message, deliver func(offset string)) error {
	s := l.p.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.p.note(m, l.p.received, false) {
		deliver(s.offsets[m])
		return nil
	}
	l.p.saw.add("append %s", inShort(m))
	if m.Local {
		deliver("")
		return nil
	}
	l.p.note(m, l.p.unsent, true)
	return l.MemoryLog.Append(m, func(offset string) {
		s.offsets[m] = offset
		deliver(offset)
	})
}

func (providedLog) Close() error { return nil }

type providedAdapter struct {
	adapter.Adapter

	p *provider
}

func (a providedAdapter) Publish(m *adapter.Message) error {
	if a.p.note(m, a.p.unsent, false) {
		a.p.saw.add("publish what was appended")
	} else {
		a.p.saw.add("publish %s", inShort(m))
	}
	return a.Adapter.Publish(m)
}

type providedNode struct {
	adapter.Node

	p *provider
}

func (n providedNode) Receive(m *adapter.Message) {
	n.p.note(m, n.p.received, true)
	n.Node.Receive(m)
	n.p.note(m, n.p.received, false)
}

func inShort(m *adapter.Message) string {
	s := fmt.Sprintf("%d%s", m.Kind, m.Data)
	if m.Local {
		s += " local"
	}
	if m.Pin {
		s += " pinned"
	}
	return s
}

// providers runs f with two servers that share a log.
func providers(t *testing.T, f func(t *testing.T, srv []*sio.Server, d []siotest.Dialer, p []*provider)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		shared := &commonLog{
			MemoryLog: adapter.NewMemoryLog(adapter.MemoryLogOptions{}), Memory: adapter.NewMemory(), offsets: make(map[*adapter.Message]string),
		}
		t.Cleanup(func() { must(t, shared.Close()) })
		var servers []*sio.Server
		var dialers []siotest.Dialer
		var ps []*provider
		for range 2 {
			p := &provider{shared: shared, unsent: make(map[*adapter.Message]bool), received: make(map[*adapter.Message]bool)}
			srv := newServer(t, &sio.Options{Adapter: p, ConnectionStateRecovery: &sio.Recovery{MaxDisconnectionDuration: time.Hour}})
			servers, ps, dialers = append(servers, srv), append(ps, p), append(dialers, siotest.Pipes(t, srv))
			t.Cleanup(func() { shutdown(t, srv) })
		}
		f(t, servers, dialers, ps)
	})
}

// Each message of a server that others have to get is appended, and then published, with
// the same pointer. What is for this server alone is only appended.
func TestLogsOfTheCluster(t *testing.T) {
	providers(t, func(t *testing.T, servers []*sio.Server, d []siotest.Dialer, p []*provider) {
		srv := servers[0]
		p[0].saw.want(t, "log of /", "join /")
		if p[0].keep != time.Hour {
			t.Errorf("sessions are to be kept for %v", p[0].keep)
		}
		sockets := make(chan *sio.Socket, 1)
		srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
		v := arrive(t, srv, d[0].WebSocket(t))
		s := <-sockets

		for _, step := range []struct {
			do   func() error
			want []string
		}{
			{func() error { return srv.Emit("all") }, []string{`append 1["all"]`, "publish what was appended"}},
			{func() error { return srv.Broadcast().Join("a") }, []string{"append 2", "publish what was appended"}},
			{func() error { return srv.To("a").Leave("a") }, []string{"append 3", "publish what was appended"}},
			{func() error { return srv.To("nobody").Disconnect() }, []string{"append 4", "publish what was appended"}},
			{func() error { return srv.Broadcast().Volatile().Emit("v") }, []string{`publish 1["v"]`}},
			{func() error { return srv.ServerSideEmit("s") }, []string{`publish 5["s"]`}},
			{func() error { return srv.Broadcast().Local().Emit("l") }, []string{`append 1["l"] local`}},
			{func() error { return srv.To("a").Local().Join("b") }, []string{"append 2 local"}},
			// One client may come back to any server.
			{func() error { return s.Emit("one") }, []string{`append 1["one"]`, "publish what was appended"}},
			{func() error { return s.Self().Emit("one") }, []string{`append 1["one"]`, "publish what was appended"}},
			{func() error { return s.Self().Local().Emit("x") }, []string{`append 1["x"] local`}},
			{func() error { return s.Self().To("a").Emit("x") }, []string{`append 1["x"] local`}},
			{func() error { return s.EmitVolatile("x") }, nil},
			{func() error { return s.Self().Volatile().Emit("x") }, nil},
			{func() error { return s.Join("c") }, nil}, // is in the session
		} {
			before := len(p[0].saw.told())
			must(t, step.do())
			if got := p[0].saw.told()[before:]; !slices.Equal(got, step.want) {
				t.Errorf("got %q, want %q", got, step.want)
			}
		}
		p[1].saw.want(t, "log of /", "join /") // it appends only what it has received
		v.Abort()
		synctest.Wait()
		before := len(p[0].saw.told())
		must(t, s.Pin("p"))
		if got := p[0].saw.told()[before:]; !slices.Equal(got, []string{"append 2 pinned", "publish what was appended"}) {
			t.Errorf("for a client that is away: %q", got)
		}
	})
}

// SIO-CSR-12: a client comes back to another server and misses nothing.
func TestSIO_CSR_12_ClientsComeBackToAnotherServer(t *testing.T) {
	providers(t, func(t *testing.T, servers []*sio.Server, d []siotest.Dialer, _ []*provider) {
		sockets := make(chan *sio.Socket, 1)
		servers[0].OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
		v := arrive(t, servers[0], d[0].WebSocket(t))
		s := <-sockets
		must(t, s.Join("room"))
		must(t, s.Emit("live"))
		v.want(t, `42["live"]`)
		id := v.id
		v.Abort()
		synctest.Wait()
		must(t, s.Emit("personal"))
		must(t, servers[1].To("room").Emit("from there"))
		must(t, servers[0].To("room").Emit("from here"))
		must(t, s.Pin("pinned"))
		must(t, servers[1].To("pinned").Emit("to the pinned room"))
		missed := v.connect(t, d[1].WebSocket(t))
		want := []string{`42["personal"]`, `42["from there"]`, `42["from here"]`, `42["to the pinned room"]`}
		if v.id != id || !slices.Equal(missed, want) {
			t.Errorf("missed %q, same id: %t", missed, v.id == id)
		}
		must(t, servers[0].To("room").Emit("live again"))
		v.want(t, `42["live again"]`)
	})
}
