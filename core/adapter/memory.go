package adapter

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"

	"github.com/sioplug/sioplug/internal/rescue"
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
	calls     sync.WaitGroup // of node.Receive; Add is called with mu held

	mu     sync.Mutex
	closed bool

	telling sync.Mutex
	outbox  []errand // of nobody yet
	busy    bool     // somebody runs errands
}

// An errand is something to be done for every other member.
type errand struct {
	do   func(o *member)
	done func()
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

// tell runs an errand after those of before. What comes while another call runs
// errands is left to that one, so everybody hears everything in the same order and
// a node that publishes in Receive does not wait for itself.
func (m *member) tell(e errand) {
	m.telling.Lock()
	defer m.telling.Unlock()
	m.outbox = append(m.outbox, e)
	if m.busy {
		return
	}
	m.busy = true
	defer func() { m.busy = false }()
	for len(m.outbox) > 0 {
		next := m.outbox[0]
		m.outbox = m.outbox[1:]
		m.run(next)
	}
	m.outbox = nil
}

// run runs an errand for all members, also for those behind one that fails. It is
// called with telling held, which it gives up meanwhile.
func (m *member) run(e errand) {
	m.telling.Unlock()
	defer m.telling.Lock()
	defer e.done()
	others := m.others()
	rescue.Each(len(others), func(i int) error {
		e.do(others[i])
		return nil
	}, func(int, error) {}) // a server of ours logs its failures itself
}

// enter reports whether the member is still there. If so, calls.Done must follow.
func (m *member) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.calls.Add(1)
	}
	return !m.closed
}

// Publish implements [Adapter].
func (m *member) Publish(msg *Message) error {
	if m.ctx.Err() != nil {
		return ErrClosed
	}
	m.tell(errand{
		do: func(o *member) {
			if o.enter() {
				defer o.calls.Done()
				o.node.Receive(msg)
			}
		},
		done: func() {},
	})
	return nil
}

// Ask implements [Adapter]. It does not wait for answers that nobody wants any
// more, even if a node goes on with them.
func (m *member) Ask(ctx context.Context, msg *Message, reply func(*Reply)) error {
	if m.ctx.Err() != nil {
		return ErrClosed
	}
	wanted, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)() //nolint:contextcheck // it says when the member leaves
	q := &question{asker: m, ctx: wanted, reply: reply}
	defer q.forget()
	q.missing.Add(1)                                                            // until all have been asked
	m.tell(errand{do: func(o *member) { q.put(o, msg) }, done: q.missing.Done}) //nolint:contextcheck // the question has it
	all := make(chan struct{})
	go func() { // ends when those who were asked have answered or left
		q.missing.Wait()
		close(all)
	}()
	select {
	case <-all:
		return nil
	case <-wanted.Done():
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return ErrClosed
}

// A question is a call of Ask.
type question struct {
	asker   *member
	ctx     context.Context //nolint:containedctx // ends when nobody wants answers any more
	missing sync.WaitGroup

	mu    sync.Mutex
	reply func(*Reply) // nil when nobody wants answers any more
}

// put has a member answer. One that leaves is not waited for.
func (q *question) put(o *member, msg *Message) {
	if o.ctx.Err() != nil {
		return
	}
	q.missing.Add(1)
	answered := sync.OnceFunc(q.missing.Done)
	ctx, cancel := context.WithCancel(q.ctx)
	stay := context.AfterFunc(o.ctx, func() {
		cancel()
		answered()
	})
	go func() { // ends with the answer, and the context asks for that
		defer answered()
		defer cancel()
		defer stay()
		_ = rescue.Call(func() error { // a server of ours logs its failures itself
			o.node.Answer(ctx, msg, func(r *Reply) { q.take(o, r) })
			return nil
		})
	}()
}

// take hands over a reply, one at a time: the lock is for nothing else.
func (q *question) take(from *member, r *Reply) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.reply == nil || q.asker.ctx.Err() != nil {
		return
	}
	c := *r
	c.Server = from.name
	_ = rescue.Call(func() error { // whoever asks logs its failures itself
		q.reply(&c)
		return nil
	})
}

// forget has no reply be called any more, and waits for one that is.
func (q *question) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reply = nil
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
