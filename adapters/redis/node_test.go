package redisadapter_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

const (
	patience = time.Minute
	probe    = "probe"
)

// A node is a server's namespace, without the server. It implements [adapter.Node].
type node struct {
	adapter.Adapter

	t       *testing.T
	name    string
	cluster server
	got     chan string // names of events
}

// join joins a namespace. It does not wait.
func join(t *testing.T, c server, namespace, name string) *node {
	t.Helper()
	n := &node{t: t, name: name, cluster: c, got: make(chan string, 100_000)}
	n.Adapter = c.Join(namespace, n)
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func (n *node) Receive(m *adapter.Message) {
	n.got <- strings.TrimSuffix(strings.TrimPrefix(string(m.Data), `["`), `"]`)
}

// Answer describes one socket.
func (n *node) Answer(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
	reply(&adapter.Reply{Sockets: []adapter.Socket{{
		ID: "id", Rooms: []string{"id", "room1"}, Data: []byte("{}"), Handshake: []byte("{}"),
	}}})
}

func (n *node) publish(event string, rooms ...string) {
	n.t.Helper()
	m := &adapter.Message{Kind: adapter.Broadcast, Data: fmt.Appendf(nil, "[%q]", event), Target: adapter.Target{Rooms: rooms}}
	if err := n.Publish(m); err != nil {
		n.t.Fatalf("%s publishes: %v", n.name, err)
	}
}

// next returns the next event that is no probe.
func (n *node) next() string {
	n.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case event := <-n.got:
			if !strings.HasPrefix(event, probe) {
				return event
			}
		case <-timeout:
			n.t.Fatalf("%s got no event", n.name)
		}
	}
}

// expect waits for events.
func (n *node) expect(events ...string) {
	n.t.Helper()
	for _, want := range events {
		if got := n.next(); got != want {
			n.t.Fatalf("%s got %q, want %q", n.name, got, want)
		}
	}
}

// connected waits until each node gets what each other one publishes.
func connected(t *testing.T, nodes ...*node) {
	t.Helper()
	for i, from := range nodes {
		for _, to := range append(append([]*node(nil), nodes[:i]...), nodes[i+1:]...) {
			reach(t, from, to)
		}
	}
}

// reach publishes probes until one arrives.
func reach(t *testing.T, from, to *node) {
	t.Helper()
	name := probe + from.name + to.name + strconv.FormatInt(prefixes.Add(1), 10)
	eventually(t, from.name+" reaches "+to.name, func() bool {
		from.publish(name)
		for {
			select {
			case event := <-to.got:
				if event == name {
					return true
				}
				if !strings.HasPrefix(event, probe) {
					t.Fatalf("%s got %q", to.name, event)
				}
			case <-time.After(50 * time.Millisecond):
				return false
			}
		}
	})
}

// eventually waits until f reports true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("it does not happen that %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
