package cluster_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
)

// answersOf returns the answers of clients to an event with values.
func answersOf(clients []string, values ...any) []string {
	list := []string{}
	for _, name := range clients {
		list = append(list, canonical(map[string]any{"client": name, "got": append([]any{}, values...)}))
	}
	slices.Sort(list)
	return list
}

// wantValues checks the answers, in any order.
func wantValues(t *testing.T, r result, want []string) {
	t.Helper()
	got := []string{}
	for _, v := range r.Values {
		got = append(got, canonical(v))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("answers %s (%s), want %s", got, r.Failed, want)
	}
}

// long is a time limit that nothing reaches, in milliseconds.
const long = 50_000

// testAcks asks clients, all of whom answer.
func (c *cluster) testAcks(t *testing.T, m member) {
	question := []any{nil, "why", map[string]any{"n": 1}, blob{1, 2}}
	for _, q := range []struct {
		name, ns, want string
		to, except     []any
	}{
		{name: "all", ns: "/", want: "1 2 3"},
		{name: "room", ns: "/", to: []any{"r1"}, want: "1 2"},
		{name: "rooms except one", ns: "/", to: []any{"r1", "r2"}, except: []any{"r2"}, want: "1"},
		{name: "nobody", ns: "/", to: []any{"nobody"}},
		{name: "another namespace", ns: "/chat", want: "chat"},
	} {
		t.Run(q.name, func(t *testing.T) {
			do := command{Op: "ask", NS: q.ns, To: q.to, Except: q.except, Timeout: long, Args: append([]any{"ask"}, question...)}
			r := c.must(t, m, do)
			if r.Failed != "" {
				t.Errorf("it failed: %s", r.Failed)
			}
			wantValues(t, r, answersOf(each(c.members, q.want), question...))
		})
	}
	t.Run("one client", func(t *testing.T) {
		for _, at := range c.members {
			cl := c.clients[at.name()+"1"]
			r := c.must(t, m, command{Op: "ask", NS: "/", To: []any{cl.id}, Timeout: long, Args: []any{"ask", 1}})
			wantValues(t, r, answersOf([]string{cl.name}, 1))
		}
	})
	t.Run("bytes", func(t *testing.T) {
		r := c.must(t, m, command{Op: "ask", NS: "/", To: []any{"r2"}, Timeout: long, Args: []any{"ask for bytes"}})
		var want []string
		for _, name := range each(c.members, "2") {
			want = append(want, canonical(blob(name)))
		}
		slices.Sort(want)
		wantValues(t, r, want)
	})
	c.mark(t, m)
}

// A question is a request that gets no full answer.
type question struct {
	by      member
	do      command
	want    []string // the answers that come
	missing int      // how many do not

	result result
	err    error
}

// questions returns requests of a server to clients and servers of which some do not
// answer.
func (c *cluster) questions(t *testing.T, m member) (list []*question) {
	t.Helper()
	const limit = 3_000 // milliseconds: official servers wait that long for clients, and 5 s for servers
	list = append(list,
		&question{
			by: m, want: answersOf(each(c.members, "1 3")), missing: len(c.members),
			do: command{Op: "ask", NS: "/", Timeout: limit, Args: []any{"ask some"}, Enough: 2 * len(c.members)},
		},
		&question{
			by: m, want: []string{}, missing: len(c.members),
			do: command{Op: "ask", NS: "/", To: []any{"r2"}, Timeout: limit, Args: []any{"ask nobody"}},
		},
	)
	for _, silent := range c.members {
		for _, other := range c.members {
			if silent == m || other == m || other == silent {
				continue
			}
			list = append(list, &question{
				by: m, want: []string{canonical(serverAnswer(other, "not "+silent.name()))}, missing: 1,
				do: command{Op: "serverAsk", NS: "/", Args: []any{"asked", "not " + silent.name()}, Enough: 1},
			})
		}
	}
	return list
}

// askInVain asks all questions at the same time, since that takes long. It returns a
// function that waits for the answers and checks them.
func askInVain(t *testing.T, list []*question) (check func(t *testing.T)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	var all sync.WaitGroup
	for _, q := range list {
		all.Go(func() { q.result, q.err = q.by.do(ctx, q.do) }) // ends with the answer
	}
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	return func(t *testing.T) {
		all.Wait()
		for _, q := range list {
			if q.err != nil {
				t.Errorf("%s %s: %v", q.by.name(), q.do.Op, q.err)
				continue
			}
			wantValues(t, q.result, q.want)
			wantMissing(t, q.by, q.result, q.missing)
		}
	}
}

// wantMissing checks that a request says that answers are missing. Official servers do
// not say how many.
func wantMissing(t *testing.T, m member, r result, n int) {
	t.Helper()
	if r.Failed == "" {
		t.Errorf("%s does not say that answers are missing", m.name())
	}
	if !m.official() && r.Missing != n {
		t.Errorf("%s misses %d answers (%s), want %d", m.name(), r.Missing, r.Failed, n)
	}
}

func serverAnswer(m member, values ...any) any {
	return map[string]any{"server": m.name(), "got": append([]any{}, values...)}
}

// testServerEvents emits to the other servers.
func (c *cluster) testServerEvents(t *testing.T, m member) {
	for _, ns := range namespaces() {
		at := make(map[string]int)
		for _, to := range c.members {
			at[to.name()] = c.diary.length(told(to.name(), ns))
		}
		event := []any{"told", m.name(), 1, map[string]any{"a": []any{nil}}, "é"}
		if c.variant.adapter != classic { // which destroys them: ECO-RC-41
			event = append(event, blob{1, 2})
		}
		c.must(t, m, command{Op: "serverEmit", NS: ns, Args: event})
		last := []any{"told"}
		if c.variant.adapter == postgres { // official servers receive binary events later than others
			last = append(last, blob{1})
		}
		c.must(t, m, command{Op: "serverEmit", NS: ns, Args: last})
		for _, to := range c.members {
			if to != m {
				if got := c.diary.until(t, told(to.name(), ns), at[to.name()], canonical(last)); !slices.Equal(got, []string{canonical(event)}) {
					t.Errorf("%s was told %s", to.name(), got)
				}
			}
		}
		r := c.must(t, m, command{Op: "serverAsk", NS: ns, Args: []any{"asked", 1, "two"}})
		if r.Failed != "" {
			t.Errorf("it failed: %s", r.Failed)
		}
		var want []string
		for _, to := range c.members {
			if to != m {
				want = append(want, canonical(serverAnswer(to, 1, "two")))
			}
		}
		slices.Sort(want)
		wantValues(t, r, want)
		if got := c.diary.since(told(m.name(), ns), at[m.name()]); len(got) > 0 {
			t.Errorf("%s told itself %s", m.name(), got)
		}
	}
}

// testFetch describes clients.
func (c *cluster) testFetch(t *testing.T, m member) {
	for _, q := range []struct {
		name, ns, want string
		to, except     []any
		own            bool
	}{
		{name: "all", ns: "/", want: "1 2 3"},
		{name: "room", ns: "/", to: []any{"r1"}, want: "1 2"},
		{name: "except", ns: "/", except: []any{"r2"}, want: "1 3"},
		{name: "nobody", ns: "/", to: []any{"nobody"}},
		{name: "another namespace", ns: "/chat", want: "chat"},
		{name: "local", ns: "/", want: "1 2 3", own: true},
	} {
		t.Run(q.name, func(t *testing.T) {
			servers := c.members
			if q.own {
				servers = []member{m}
			}
			got := []string{}
			for _, s := range c.must(t, m, command{Op: "fetch", NS: q.ns, To: q.to, Except: q.except, Local: q.own}).Sockets {
				name, _ := s.Data["name"].(string)
				got = append(got, name)
				if cl := c.clients[name]; cl != nil {
					cl.wantDescription(t, s)
				}
			}
			slices.Sort(got)
			want := each(servers, q.want)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("sockets of %q, want %q", got, want)
			}
		})
	}
}

// wantDescription checks how a server describes the client's socket.
func (cl *client) wantDescription(t *testing.T, s socketInfo) {
	t.Helper()
	if s.ID != cl.id {
		t.Errorf("%s has the id %s, not %s", cl.name, s.ID, cl.id)
	}
	want := append(names(cl.rooms), cl.id)
	slices.Sort(want)
	slices.Sort(s.Rooms)
	if !slices.Equal(s.Rooms, want) {
		t.Errorf("%s is in rooms %q, want %q", cl.name, s.Rooms, want)
	}
	h := s.Handshake
	auth, _ := h["auth"].(map[string]any)
	headers, _ := h["headers"].(map[string]any)
	query, _ := h["query"].(map[string]any)
	url, _ := h["url"].(string)
	at, _ := h["time"].(string)
	issued, _ := h["issued"].(float64)
	_, xdomain := h["xdomain"].(bool)
	address, _ := h["address"].(string)
	for what, ok := range map[string]bool{
		"auth": auth["name"] == cl.name, "headers": headers["host"] == strings.TrimPrefix(cl.at.url(), "http://"),
		"query": query["EIO"] == "4" && query["transport"] == cl.transport(), "url": strings.HasPrefix(url, "/socket.io/?"),
		"time": at != "", "issued": issued > 1e12, "xdomain": xdomain, "secure": h["secure"] == false,
		"address": strings.HasSuffix(address, "127.0.0.1"),
	} {
		if !ok {
			t.Errorf("the handshake of %s has another %s: %v", cl.name, what, h)
		}
	}
}

// testAlone uses a namespace that the other servers do not have. Nobody waits for them.
func (c *cluster) testAlone(t *testing.T, m member) {
	ns := only(m.name())
	cl := connectClient(t, c.peer, m, " alone", ns, "r1")
	defer cl.disconnect(t)
	if r := c.must(t, m, command{Op: "serverAsk", NS: ns, Args: []any{"asked"}}); r.Failed != "" || len(r.Values) > 0 {
		t.Errorf("servers answer %v (%s)", r.Values, r.Failed)
	}
	if r := c.must(t, m, command{Op: "fetch", NS: ns}); len(r.Sockets) != 1 {
		t.Errorf("it has %d sockets", len(r.Sockets))
	}
	r := c.must(t, m, command{Op: "ask", NS: ns, Timeout: long, Args: []any{"ask", 1}})
	wantValues(t, r, answersOf([]string{cl.name}, 1))
	c.must(t, m, command{Op: "emit", NS: ns, Args: with(1)})
	c.diary.until(t, received(cl.name), 0, canonical(with(1)))
}

// testAllRooms asks for the rooms of all servers, as official servers of the classic
// adapter can.
func (c *cluster) testAllRooms(t *testing.T, m member) {
	var want []string
	for _, cl := range c.clients {
		if cl.ns == "/" {
			want = append(want, append(names(cl.rooms), cl.id)...)
		}
	}
	slices.Sort(want)
	got := c.must(t, m, command{Op: "allRooms", NS: "/"}).Rooms
	slices.Sort(got)
	if want := slices.Compact(want); !slices.Equal(slices.Compact(got), want) {
		t.Errorf("the rooms are %q, want %q", got, want)
	}
}
