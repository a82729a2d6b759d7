package adapter

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
)

// Memory is a [Cluster] of servers in one process: the reference for those that
// have a broker between them, and a way to test an application that will be
// served by several.
type Memory struct {
	mu         sync.Mutex
	namespaces map[string][]*member // replaced, not changed
}

// NewMemory returns a cluster without servers.
func NewMemory() *Memory { return &Memory{namespaces: make(map[string][]*member)} }

// A member is one server's namespace in a [Memory]. It implements [Adapter].
type member struct {
	cluster   *Memory
	namespace string
	name      string
	node      Node
	ctx       context.Context //nolint:containedctx // ends when the member leaves
	leave     context.CancelFunc
	calls     sync.WaitGroup // of node and reply; Add is called with mu held

	mu     sync.Mutex
	closed bool

	publishing sync.Mutex
	outbox     []*Message // published, not handed over yet
	busy       bool       // somebody hands over
}

// Join implements [Cluster].
func (c *Memory) Join(namespace string, node Node) Adapter {
	m := &member{cluster: c, namespace: namespace, name: rand.Text(), node: node}
	m.ctx, m.leave = context.WithCancel(context.Background())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.namespaces[namespace] = append(slices.Clone(c.namespaces[namespace]), m)
	return m
}

func (m *member) others() []*member {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.cluster.namespaces[m.namespace]), func(o *member) bool { return o == m })
}

// enter reports whether the member is still there. If so, calls.Done must
// follow.
func (m *member) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.calls.Add(1)
	return true
}

// Publish implements [Adapter]. What comes while another call hands messages
// over is handed over by that one, so everybody gets them in the same order and
// a node that publishes in Receive does not wait for itself.
func (m *member) Publish(msg *Message) error {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	m.outbox = append(m.outbox, msg)
	if m.busy {
		return nil
	}
	m.busy = true
	for len(m.outbox) > 0 {
		next := m.outbox[0]
		m.outbox = m.outbox[1:]
		m.publishing.Unlock()
		for _, o := range m.others() {
			if o.enter() {
				o.node.Receive(next)
				o.calls.Done()
			}
		}
		m.publishing.Lock()
	}
	m.outbox, m.busy = nil, false
	return nil
}

// Ask implements [Adapter].
func (m *member) Ask(ctx context.Context, msg *Message, reply func(*Reply)) error {
	if !m.enter() {
		return context.Canceled
	}
	defer m.calls.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)() //nolint:contextcheck // it says when the member leaves
	var asked sync.WaitGroup
	var one sync.Mutex
	for _, o := range m.others() {
		if !o.enter() {
			continue
		}
		asked.Go(func() { // ends with ctx at the latest
			defer o.calls.Done()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(o.ctx, cancel)() //nolint:contextcheck // who leaves is not waited for
			o.node.Answer(ctx, msg, func(r *Reply) {
				one.Lock()
				defer one.Unlock()
				c := *r
				c.Server = o.name
				reply(&c)
			})
		})
	}
	asked.Wait()
	return ctx.Err()
}

// Close implements [Adapter].
func (m *member) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.leave()
	c := m.cluster
	c.mu.Lock()
	c.namespaces[m.namespace] = slices.DeleteFunc(slices.Clone(c.namespaces[m.namespace]), func(o *member) bool { return o == m })
	if len(c.namespaces[m.namespace]) == 0 {
		delete(c.namespaces, m.namespace)
	}
	c.mu.Unlock()
	m.calls.Wait()
	return nil
}
