package siotest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// clusterNamespace is where the clients of these tests are.
const clusterNamespace = "/cluster"

// A serverGroup is a cluster of servers with clients.
type serverGroup struct {
	servers []*sio.Server
	clients map[string]*Peer // by name: the number of the server, then the rooms
	sockets map[string]*sio.Socket
}

// startServers starts n servers with a client for each name: "1ab" is on server 1, in the
// rooms a and b.
func (s clusterSuite) startServers(t *testing.T, n int, names ...string) *serverGroup {
	t.Helper()
	p := &serverGroup{clients: make(map[string]*Peer), sockets: make(map[string]*sio.Socket)}
	var dialers []Dialer
	arrived := make(chan *sio.Socket, 1)
	nickname := sio.NewDataKey[string]("nickname")
	heard := make([]chan string, n)
	for i, c := range s.connect(t, n) {
		heard[i] = make(chan string, maxReceived)
		mount := Mount(func(t *testing.T, srv *sio.Server) Dialer { t.Helper(); return Pipes(t, srv) })
		srv, d := mount.Serve(t, &sio.Options{
			Adapter: c, Logger: slog.New(testLog{t: t}),
			OnClusterError: func(error) {}, // what it tells when servers leave is up to the adapter
		}, func(srv *sio.Server) {
			ns := srv.Of(clusterNamespace)
			ns.OnConnect(func(c *sio.Ctx) error { arrived <- c.Socket; return nil })
			ns.OnServerEvent(probe, func(_ context.Context, args sio.Args) (any, error) {
				var from string
				err := args.Bind(&from)
				heard[i] <- from
				return nil, err
			})
		})
		p.servers, dialers = append(p.servers, srv), append(dialers, d)
	}
	p.awaitConnected(t, heard)
	for _, name := range names {
		number := int(name[0] - '0')
		p.clients[name] = dialers[number].Connect(t, clusterNamespace, map[string]string{"token": name})
		p.sockets[name] = await(t, "a client", arrived)
		nickname.Set(p.sockets[name], name)
		if err := p.sockets[name].Join(strings.Split(name[1:], "")...); err != nil {
			t.Fatal(err)
		}
	}
	p.awaitRooms(t)
	return p
}

// awaitRooms waits until events to the clients' rooms arrive from all servers: an adapter
// that subscribes to rooms takes a moment.
func (p *serverGroup) awaitRooms(t *testing.T) {
	t.Helper()
	const settled = probe + ": settled"
	missing := func() (room string, server int) {
		for name, client := range p.clients {
			for room := range strings.SplitSeq(name[1:], "") {
				for i := range p.servers {
					want := fmt.Sprintf("[%q,%q,%d]", probe, room, i)
					if !slices.ContainsFunc(client.inbox.unread(), func(e *Event) bool { return e.String() == want }) {
						return room, i
					}
				}
			}
		}
		return "", 0
	}
	deadline := time.After(waitLimit)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for room, server := missing(); room != ""; room, server = missing() {
		must(t, p.on(server).To(room).Emit(probe, room, server))
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("events of server %d do not arrive in room %q", server, room)
		}
	}
	for i := range p.servers {
		must(t, p.on(i).Emit(settled, i))
	}
	for _, client := range p.clients {
		for left := len(p.servers); left > 0; {
			if client.Next().Name == settled {
				left--
			}
		}
	}
}

// awaitConnected waits until all servers are connected with each other.
func (p *serverGroup) awaitConnected(t *testing.T, heard []chan string) {
	t.Helper()
	var all sync.WaitGroup
	settled := make(chan struct{})
	for i := range heard {
		all.Go(func() {
			for from := map[string]bool{}; len(from) < len(heard)-1; {
				from[await(t, "a word from other servers", heard[i])] = true
			}
		})
	}
	go func() {
		all.Wait()
		close(settled)
	}()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		for i := range p.servers {
			if err := p.on(i).ServerSideEmit(probe, strconv.Itoa(i)); err != nil {
				t.Errorf("server %d: %v", i, err)
			}
		}
		select {
		case <-settled:
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// on returns the namespace of one server.
func (p *serverGroup) on(server int) *sio.Namespace { return p.servers[server].Of(clusterNamespace) }

// mustReachOnly fails unless exactly these clients get the event that send emits, each
// once.
func (p *serverGroup) mustReachOnly(t *testing.T, what string, server int, send func() error, names ...string) {
	t.Helper()
	must(t, send())
	must(t, p.on(server).Emit("end")) // takes the same way, and arrives later
	for name, client := range p.clients {
		got := 0
		for client.Next().Name != "end" {
			got++
		}
		want := 0
		if slices.Contains(names, name) {
			want = 1
		}
		if got != want {
			t.Errorf("%s: %s got %d events, want %d", what, name, got, want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s clusterSuite) broadcasts(t *testing.T) {
	p := s.startServers(t, 3, "0a", "0b", "1a", "1ab", "2b", "2c")
	for server := range p.servers {
		on := p.on(server)
		all := []string{"0a", "0b", "1a", "1ab", "2b", "2c"}
		reach := func(what string, b sio.Broadcast, names ...string) {
			p.mustReachOnly(t, fmt.Sprintf("server %d, %s", server, what), server, func() error { return b.Emit("e", "x", []byte{1}) }, names...)
		}
		reach("all", on.Broadcast(), all...)
		reach("a room", on.To("a"), "0a", "1a", "1ab")
		reach("two rooms", on.To("a", "b"), "0a", "0b", "1a", "1ab", "2b")
		reach("no room", on.To("nobody"))
		reach("all but a room", on.Except("a"), "0b", "2b", "2c")
		reach("a room but another one", on.To("a").Except("b"), "0a", "1a")
		reach("one client", on.To(p.sockets["2c"].ID()), "2c")
		reach("all but one client", on.Except(p.sockets["1ab"].ID()), "0a", "0b", "1a", "2b", "2c")
		var local []string
		for _, name := range all {
			if name[0] == byte('0'+server) {
				local = append(local, name)
			}
		}
		reach("local", on.Broadcast().Local(), local...)
	}
	p.mustReachOnly(t, "a client's broadcast", 1, func() error { return p.sockets["1ab"].Broadcast().Emit("e") }, "0a", "0b", "1a", "2b", "2c")
	p.mustReachOnly(t, "a client's room", 1, func() error { return p.sockets["1ab"].To("b").Emit("e") }, "0b", "2b")
	must(t, p.on(0).Emit("binary", map[string]any{"deep": []any{[]byte{1, 2}, "text", nil}}, 1.5))
	var v any
	var f float64
	p.clients["2c"].Expect("binary", &v, &f)
	if got := fmt.Sprint(v, f); got != "map[deep:[[1 2] text <nil>]] 1.5" {
		t.Errorf("got %s", got)
	}
}

// broadcastOrder: what one server emits arrives everywhere in that order.
func (s clusterSuite) broadcastOrder(t *testing.T) {
	const n = 200
	p := s.startServers(t, 3, "0a", "1a", "2a")
	var all sync.WaitGroup
	for server := range p.servers {
		all.Go(func() {
			for i := range n {
				target := []sio.Broadcast{p.on(server).Broadcast(), p.on(server).To("a"), p.on(server).Except("b")}[i%3]
				if err := target.Emit("e", server, i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for name, client := range p.clients {
		next := make([]int, len(p.servers))
		for range n * len(p.servers) {
			var server, i int
			client.Expect("e", &server, &i)
			if i != next[server] {
				t.Fatalf("%s got event %d of server %d, want %d", name, i, server, next[server])
			}
			next[server]++
		}
	}
}

// sets: Join, Leave, Disconnect and Close of a Broadcast reach the clients of all servers,
// in order.
func (s clusterSuite) sets(t *testing.T) {
	p := s.startServers(t, 3, "0a", "0b", "1a", "1b", "2a", "2b")
	do := func(what string, act func(b sio.Broadcast) error, b sio.Broadcast, room string, names ...string) {
		p.mustReachOnly(t, what, 0, func() error { return errors.Join(act(b), p.on(0).To(room).Emit("e")) }, names...)
	}
	on := p.on(0)
	do("join", func(b sio.Broadcast) error { return b.Join("x", "y") }, on.To("a"), "x", "0a", "1a", "2a")
	do("both rooms", func(b sio.Broadcast) error { return b.Leave("x") }, on.To("a").Except(p.sockets["2a"].ID()), "y", "0a", "1a", "2a")
	do("leave", func(sio.Broadcast) error { return nil }, on.Broadcast(), "x", "2a")
	do("local", func(b sio.Broadcast) error { return b.Local().Join("z") }, on.Broadcast(), "z", "0a", "0b")

	must(t, on.Emit("last"))
	must(t, on.To("b").Disconnect())
	must(t, on.To("a").Close())
	for name, client := range p.clients {
		client.Expect("last") // SIO-CU-4
		if why := client.Disconnected(); why != ServerDisconnect {
			t.Errorf("%s: %s", name, why)
		}
	}
}

// roomsThatComeAndGo: an adapter that subscribes to rooms follows their creation and
// deletion. A broker takes a moment, so the first events to a room may be lost.
func (s clusterSuite) roomsThatComeAndGo(t *testing.T) {
	p := s.startServers(t, 2, "1a")
	client, socket := p.clients["1a"], p.sockets["1a"]
	for i := range 20 {
		room := fmt.Sprint("room ", i)
		must(t, socket.Join(room))
		for tick := time.NewTicker(10 * time.Millisecond); len(client.inbox.unread()) == 0; <-tick.C {
			must(t, p.on(0).To(room).Emit("e", i))
		}
		must(t, socket.Leave(room))
		must(t, p.on(0).To(room).Emit("e", "after leaving"))
		must(t, p.on(0).Emit("end"))
		for e := client.Next(); e.Name != "end"; e = client.Next() {
			if got := e.String(); got != fmt.Sprintf(`["e",%d]`, i) {
				t.Errorf("in %s: %s", room, got)
			}
		}
	}
}
