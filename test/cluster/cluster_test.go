package cluster_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// namespaces are what every server has.
func namespaces() []string { return []string{"/", "/chat"} }

// only is a namespace of one server alone.
func only(server string) string { return "/only " + server }

// A cluster is three servers, a, b and c, with the same clients each:
//
//	1 is in room r1, 2 in r1, r2 and others, 3 in none, and "chat" is in r1 of /chat
//
// All are connected by WebSocket, except for 3.
type cluster struct {
	variant variant
	diary   *diary
	peer    *peer // runs all clients
	members []member
	clients map[string]*client
	count   atomic.Int64 // of markers
	faulty  bool         // servers may log errors
	forward bool         // servers in Go forward requests over the broker
}

// Rooms with names that adapters may take for something else.
const (
	room20    = "abcdefghij0123456789" // as long as a socket's id
	roomHash  = "é#x"                  // with the separator of channels
	roomDigit = "8"                    // looks like a number, and is a string
	roomSeven = 7                      // a number in JavaScript
)

// populate connects the clients, and waits until everybody hears everybody.
func (c *cluster) populate(t *testing.T) {
	t.Helper()
	c.populateWith(t, len(c.members)-1)
}

// populateWith is populate for servers that have that many others, with or without clients.
func (c *cluster) populateWith(t *testing.T, others int) {
	t.Helper()
	c.clients = make(map[string]*client)
	for _, m := range c.members {
		c.add(connectClient(t, c.peer, m, "1", "/", "r1"))
		c.add(connectClient(t, c.peer, m, "2", "/", "r1", "r2", room20, roomHash, roomDigit, roomSeven))
		c.add(connectClient(t, c.peer, m, "3", "/"))
		c.add(connectClient(t, c.peer, m, "chat", "/chat", "r1"))
	}
	for _, room := range []any{nil, "r1", "r2", room20, roomHash, roomDigit} {
		c.settle(t, "/", room)
	}
	for _, room := range []any{nil, "r1"} {
		c.settle(t, "/chat", room)
	}
	for _, ns := range namespaces() {
		for _, m := range c.members {
			c.ready(t, m, ns, others)
		}
	}
	for _, m := range c.members {
		c.mark(t, m)
	}
}

func (c *cluster) add(cl *client) { c.clients[cl.name] = cl }

// settle sends to a room from each server, again and again, until all clients in it got
// something from each. From then on all subscriptions are there.
func (c *cluster) settle(t *testing.T, ns string, room any) {
	t.Helper()
	const pause = 100 * time.Millisecond
	var in []*client
	for _, cl := range c.clients {
		if cl.ns == ns && (room == nil || slices.Contains(cl.rooms, room)) {
			in = append(in, cl)
		}
	}
	probe := command{Op: "emit", NS: ns}
	if room != nil {
		probe.To = []any{room}
	}
	for deadline := time.Now().Add(patience); ; {
		missing := ""
		for _, m := range c.members {
			event := fmt.Sprintf("probe of %v by %s", room, m.name())
			heard := func(entries []string) bool { return slices.Contains(entries, canonical([]any{event})) }
			if slices.ContainsFunc(in, func(cl *client) bool { return !c.diary.within(t, 0, received(cl.name), 0, heard) }) {
				probe.Args = []any{event}
				c.must(t, m, probe)
			}
			for _, cl := range in {
				if !c.diary.within(t, pause, received(cl.name), 0, heard) {
					missing = fmt.Sprintf("%s does not hear %s in room %v of %s", cl.name, m.name(), room, ns)
				}
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(missing)
		}
	}
}

// ready waits until a server gets answers of that many others, and misses none.
func (c *cluster) ready(t *testing.T, m member, ns string, others int) {
	t.Helper()
	const limit = 2_000 // milliseconds
	ask := command{Op: "serverAsk", NS: ns, Args: []any{"asked"}, Timeout: limit}
	for deadline := time.Now().Add(patience); ; {
		r := c.must(t, m, ask)
		if len(r.Values) == others && r.Failed == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s hears of %d servers: %s", m.name(), len(r.Values), r.Failed)
		}
	}
}

// must does something that has to succeed.
func (c *cluster) must(t *testing.T, by driver, do command) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := by.do(ctx, do)
	if err != nil {
		t.Fatalf("%s: %v", do.Op, err)
	}
	return r
}

// mark emits an event to all, and waits until all have it. It returns the event as
// clients note it.
func (c *cluster) mark(t *testing.T, by driver) (marker string) {
	t.Helper()
	event := []any{fmt.Sprintf("marker %d", c.count.Add(1))}
	if c.variant.adapter == postgres { // official servers receive binary events later than others
		event = append(event, blob{1})
	}
	for _, ns := range namespaces() {
		c.must(t, by, command{Op: "emit", NS: ns, Args: event})
	}
	marker = canonical(event)
	for _, cl := range c.clients {
		c.diary.until(t, received(cl.name), 0, marker)
	}
	return marker
}

// positions returns where the clients' entries in the diary end.
func (c *cluster) positions() map[string]int {
	at := make(map[string]int)
	for name := range c.clients {
		at[name] = c.diary.length(received(name))
	}
	return at
}

// hear returns what each client receives because of a command: all that comes before the
// next event of the same server. Clients that receive nothing are not in the map.
func (c *cluster) hear(t *testing.T, by driver, do command) map[string][]string {
	t.Helper()
	at := c.positions()
	c.must(t, by, do)
	return c.heardSince(t, by, at)
}

// heardSince returns what clients have received since, and do before the next event.
func (c *cluster) heardSince(t *testing.T, by driver, at map[string]int) map[string][]string {
	t.Helper()
	marker := c.mark(t, by)
	heard := make(map[string][]string)
	for name := range c.clients {
		list := slices.DeleteFunc(c.diary.until(t, received(name), at[name], marker), inVain)
		if len(list) > 0 {
			heard[name] = list
		}
	}
	return heard
}

// inVain reports whether an event is one of askInVain, which may come at any time.
func inVain(event string) bool {
	return strings.HasPrefix(event, `["ask some"`) || strings.HasPrefix(event, `["ask nobody"`)
}

// wantHeard checks that the clients with these names heard one event, and others none.
func wantHeard(t *testing.T, heard map[string][]string, event string, want []string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(heard))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q heard of it, want %q", got, want)
	}
	for name, events := range heard {
		if len(events) != 1 || events[0] != event {
			t.Errorf("%s heard %s, want %s", name, events, event)
		}
	}
}

// each returns the names of clients with these suffixes, separated by spaces, on servers.
func each(servers []member, suffixes string) (list []string) {
	for _, m := range servers {
		for suffix := range strings.FieldsSeq(suffixes) {
			list = append(list, m.name()+suffix)
		}
	}
	return list
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }
