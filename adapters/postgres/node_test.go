package postgresadapter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// A node is a server in a namespace.
type node struct {
	adapter.Adapter

	t       *testing.T
	cluster clusterServer
	got     chan string
	block   chan struct{} // if not nil, Receive waits until it is closed

	mu   sync.Mutex
	errs []error
}

func join(t *testing.T, c clusterServer) *node {
	t.Helper()
	return joinNamespace(t, c, "/", nil)
}

func joinNamespace(t *testing.T, c clusterServer, namespace string, block chan struct{}) *node {
	t.Helper()
	n := &node{t: t, cluster: c, got: make(chan string, 1<<17), block: block}
	c.NotifyErrors(func(err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.errs = append(n.errs, err)
	})
	n.Adapter = c.Join(namespace, n)
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func (n *node) Receive(m *adapter.Message) {
	if n.block != nil {
		<-n.block
	}
	text := string(m.Data)
	for _, a := range m.Attachments {
		text += fmt.Sprintf(" %d bytes %.3x", len(a), a)
	}
	n.got <- text
}

func (n *node) Answer(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
	reply(&adapter.Reply{Clients: 1})
}

func (n *node) told(want error) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.errs, func(err error) bool { return errors.Is(err, want) })
}

func (n *node) toldOf(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.errs, func(err error) bool { return err != nil && strings.Contains(err.Error(), text) })
}

func event(text string) *adapter.Message {
	return &adapter.Message{Kind: adapter.Broadcast, Data: fmt.Appendf(nil, "[%q]", text)}
}

// binary is an event with a binary value.
func binary(text string, size int) *adapter.Message {
	m := &adapter.Message{Kind: adapter.Broadcast, Data: fmt.Appendf(nil, `[%q,{"_placeholder":true,"num":0}]`, text)}
	m.Attachments = [][]byte{slices.Repeat([]byte{0xfe}, size)}
	return m
}

func (n *node) publish(text string) {
	n.t.Helper()
	n.send(event(text))
}

func (n *node) send(m *adapter.Message) {
	n.t.Helper()
	if err := n.Publish(m); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) expect(text string) {
	n.t.Helper()
	n.expectRaw(fmt.Sprintf("[%q]", text))
}

func (n *node) expectRaw(want string) {
	n.t.Helper()
	select {
	case got := <-n.got:
		if got != want {
			n.t.Fatalf("got %.200s, want %.200s", got, want)
		}
	case <-time.After(patience):
		n.t.Fatalf("no message, want %.200q: %+v, told %v", want, n.cluster.Status(), n.errs)
	}
}

// ask returns how many clients the others have.
func (n *node) ask(limit time.Duration) (clients int, err error) {
	ctx, cancel := context.WithTimeout(n.t.Context(), limit)
	defer cancel()
	err = n.Ask(ctx, &adapter.Message{Kind: adapter.Count}, func(r *adapter.Reply) { clients += r.Clients })
	return clients, err
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it does not happen that %s", what)
		}
	}
}

// whole waits until each server gets the answers of all others.
func whole(t *testing.T, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, "all others answer", func() bool {
			clients, err := n.ask(time.Second)
			return err == nil && clients == len(nodes)-1 && n.cluster.Status().Healthy
		})
	}
}
