package siotest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// fetch: a server gets descriptions of the clients of other servers.
func (s clusterSuite) fetch(t *testing.T) {
	p := s.startServers(t, 3, "0a", "1ab", "2b")
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	for server := range p.servers {
		for _, tt := range []struct {
			set  sio.Broadcast
			want []string
		}{
			{p.on(server).Broadcast(), []string{"0a", "1ab", "2b"}},
			{p.on(server).To("b"), []string{"1ab", "2b"}},
			{p.on(server).To("b").Except("a"), []string{"2b"}},
			{p.on(server).To("nobody"), nil},
			{p.on(server).Broadcast().Local(), []string{[]string{"0a", "1ab", "2b"}[server]}},
		} {
			found, err := tt.set.Fetch(ctx)
			if err != nil {
				t.Errorf("server %d: %v", server, err)
			}
			var names []string
			for _, r := range found {
				names = append(names, p.checkSocket(t, r))
			}
			if slices.Sort(names); !slices.Equal(names, tt.want) {
				t.Errorf("server %d found %q, want %q", server, names, tt.want)
			}
		}
	}
	cancel()
	found, err := p.on(0).Broadcast().Fetch(ctx)
	if len(found) < 3 && !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %d sockets, %v", len(found), err)
	}
}

// checkSocket returns the name of a client after it has checked its description.
func (p *serverGroup) checkSocket(t *testing.T, r sio.RemoteSocket) string {
	t.Helper()
	for name, socket := range p.sockets {
		if socket.ID() != r.ID {
			continue
		}
		want := socket.Handshake()
		switch {
		case !slices.Equal(sorted(slices.Clone(r.Rooms)), sorted(socket.Rooms())):
			t.Errorf("%s is in %q, want %q", name, r.Rooms, socket.Rooms())
		case string(r.Data["nickname"]) != fmt.Sprintf("%q", name):
			t.Errorf("%s is called %s", name, r.Data["nickname"])
		case string(r.Handshake.Auth) != string(want.Auth) || r.Handshake.URL != want.URL || r.Handshake.Time.UnixMilli() != want.Time.UnixMilli():
			t.Errorf("%s came with %+v, want %+v", name, r.Handshake, want)
		}
		return name
	}
	t.Errorf("a stranger: %+v", r)
	return ""
}

// acks: the ack of every client comes, with its id.
func (s clusterSuite) acks(t *testing.T) {
	p := s.startServers(t, 3, "0a", "1a", "1b", "2a")
	for name, client := range p.clients {
		client.AutoAck("ask", map[string]any{"name": name, "blob": []byte(name)})
	}
	type answer struct {
		Name string
		Blob []byte
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	for server := range p.servers {
		for _, tt := range []struct {
			set  sio.Broadcast
			want []string
		}{
			{p.on(server).Broadcast(), []string{"0a", "1a", "1b", "2a"}},
			{p.on(server).To("a"), []string{"0a", "1a", "2a"}},
			{p.on(server).To("nobody"), nil},
		} {
			var got []string
			for a := range sio.BroadcastWithAck[answer](ctx, tt.set, "ask", []byte{1}) {
				if a.Err != nil || string(a.Value.Blob) != a.Value.Name || a.Socket != "" && a.Socket != p.clients[a.Value.Name].ID() {
					t.Errorf("server %d: %+v", server, a)
				}
				got = append(got, a.Value.Name)
			}
			if slices.Sort(got); !slices.Equal(got, tt.want) {
				t.Errorf("server %d: answers of %q, want %q", server, got, tt.want)
			}
		}
		for range sio.BroadcastWithAck[answer](ctx, p.on(server).Broadcast(), "ask") {
			break // who has heard enough may go
		}
	}
}

// acksInPart: a client that disconnects is reported at once, a client that does not answer
// when the context ends.
func (s clusterSuite) acksInPart(t *testing.T) {
	p := s.startServers(t, 2, "0x", "0y", "1x", "1y", "1z")
	p.clients["0x"].AutoAck("ask", "0x")
	p.clients["1x"].AutoAck("ask", "1x")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // ends with the request, which the test checks
		for _, name := range []string{"0y", "1y", "1z"} {
			p.clients[name].inbox.takeEvent()
		}
		p.clients["1z"].Abort()
	}()
	var answers, late, gone []string
	for a := range sio.BroadcastWithAck[string](ctx, p.on(0).Broadcast(), "ask") {
		switch {
		case a.Err == nil:
			answers = append(answers, a.Value)
		case errors.Is(a.Err, sio.ErrDisconnected):
			gone = append(gone, a.Socket)
		case errors.Is(a.Err, context.Canceled):
			late = append(late, a.Socket)
		default:
			t.Errorf("%+v", a)
		}
		if len(answers)+len(gone) == 3 {
			cancel()
		}
	}
	ids := func(names ...string) (list []string) {
		for _, name := range names {
			list = append(list, p.clients[name].ID())
		}
		return sorted(list)
	}
	if !slices.Equal(sorted(answers), []string{"0x", "1x"}) ||
		!namesOrNothing(gone, ids("1z")) || !namesOrNothing(late, ids("0y", "1y")) {
		t.Errorf("answers %q, gone %q, late %q", answers, gone, late)
	}
}

// namesOrNothing compares ids. Those of a broker may be empty strings.
func namesOrNothing(got, want []string) bool {
	if len(got) != len(want) {
		return false
	}
	for _, id := range got {
		if id != "" && !slices.Contains(want, id) {
			return false
		}
	}
	return true
}

// serverEvents: the other servers receive and answer them.
func (s clusterSuite) serverEvents(t *testing.T) {
	p := s.startServers(t, 3)
	heard := make([]chan string, len(p.servers))
	for i := range p.servers {
		heard[i] = make(chan string, maxReceived)
		p.on(i).OnServerEvent("tell", func(_ context.Context, args sio.Args) (any, error) {
			var v any
			var blob []byte
			err := args.Bind(&v, &blob)
			heard[i] <- fmt.Sprintf("%v %v", v, blob)
			return nil, err
		})
		p.on(i).OnServerEvent("ask", func(_ context.Context, args sio.Args) (any, error) {
			var n int
			if err := args.Bind(&n); err != nil {
				return nil, err
			}
			if i == 2 {
				return nil, &sio.Error{Message: "not here"}
			}
			return map[string]any{"server": i, "n": n + 1, "blob": []byte{byte(n + i)}}, nil //nolint:gosec // small
		})
	}
	must(t, p.on(0).ServerSideEmit("tell", map[string]any{"a": 1}, []byte{1}))
	for i := range 10 {
		must(t, p.on(0).ServerSideEmit("tell", i, nil))
	}
	must(t, p.on(1).ServerSideEmit("tell", "end", nil))
	if got := await(t, "an event", heard[0]); got != "end []" {
		t.Errorf("a server hears itself: %s", got)
	}
	for i := 1; i < len(p.servers); i++ {
		ended := i == 1 // "end" is from another server, and may come at any time
		for n := -1; n < 10; {
			got, want := await(t, "an event", heard[i]), fmt.Sprintf("%d []", n)
			if n < 0 {
				want = "map[a:1] [1]"
			}
			if got == "end []" && !ended {
				ended = true
				continue
			}
			if got != want {
				t.Fatalf("server %d heard %s, want %s", i, got, want)
			}
			n++
		}
	}
	p.askServers(t)
}

func (p *serverGroup) askServers(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	type answer struct {
		Server, N int
		Blob      []byte
	}
	var got []string
	for a := range sio.ServerSideEmitWithAck[answer](ctx, p.on(0), "ask", 41) {
		if problem, ok := errors.AsType[*sio.Error](a.Err); ok {
			got = append(got, problem.Message)
			continue
		}
		got = append(got, fmt.Sprint(a.Value, a.Err))
	}
	if want := []string{"not here", "{1 42 [42]} <nil>"}; !slices.Equal(sorted(got), want) {
		t.Errorf("answers %q, want %q", got, want)
	}
}

// shutdownOfOne: the other servers go on after the shutdown of one.
func (s clusterSuite) shutdownOfOne(t *testing.T) {
	p := s.startServers(t, 3, "0a", "1a", "2a")
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	must(t, p.servers[2].Shutdown(ctx))
	if why := p.clients["2a"].Disconnected(); why != TransportClose {
		t.Errorf("the client of the server is disconnected by %s", why)
	}
	delete(p.clients, "2a")
	p.mustReachOnly(t, "after the shutdown of one", 0, func() error { return p.on(0).Emit("e") }, "0a", "1a")
	found, err := p.on(0).Broadcast().Fetch(ctx)
	if err != nil || len(found) != 2 {
		t.Errorf("found %d sockets, %v", len(found), err)
	}
	p.clients["0a"].AutoAck("ask", 1)
	p.clients["1a"].AutoAck("ask", 2)
	sum := 0
	for a := range sio.BroadcastWithAck[int](ctx, p.on(1).Broadcast(), "ask") {
		if a.Err != nil {
			t.Error(a.Err)
		}
		sum += a.Value
	}
	if sum != 3 {
		t.Errorf("the sum of the answers is %d", sum)
	}
}
