package adapter

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
)

// Memory is a [Cluster] of servers in one process. Use it to test an application that
// will run on several servers. It is the reference for clusters with a broker.
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
	cancel    context.CancelFunc
	receiving sync.WaitGroup // calls of node.Receive; Add is called with mu held
	since     time.Time
	sent      atomic.Uint64
	received  atomic.Uint64

	mu     sync.Mutex
	closed bool

	queueMu    sync.Mutex
	queue      []delivery // those that have not begun
	delivering bool       // a goroutine runs deliveries
}

// A delivery is a function to be called for every other member, and one to be called
// afterwards.
type delivery struct {
	deliver func(o *member)
	done    func()
}

// Join implements [Cluster].
func (c *Memory) Join(namespace string, node Node) Adapter {
	m := &member{cluster: c, namespace: namespace, name: rand.Text(), node: node, since: time.Now()}
	m.ctx, m.cancel = context.WithCancel(context.Background())
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

// deliver runs a delivery after all earlier ones. If another call runs deliveries, it
// leaves this one to that call. So all members get the messages in the same order, and a
// node that publishes in Receive does not wait for itself.
func (m *member) deliver(e delivery) {
	m.queueMu.Lock()
	defer m.queueMu.Unlock()
	m.queue = append(m.queue, e)
	if m.delivering {
		return
	}
	m.delivering = true
	defer func() { m.delivering = false }()
	for len(m.queue) > 0 {
		next := m.queue[0]
		m.queue = m.queue[1:]
		m.runUnlocked(next)
	}
	m.queue = nil
}

// runUnlocked runs a delivery for all other members, also if it fails for some of them.
// The caller holds queueMu; it is released meanwhile.
func (m *member) runUnlocked(e delivery) {
	m.queueMu.Unlock()
	defer m.queueMu.Lock()
	defer e.done()
	others := m.others()
	rescue.Each(len(others), func(i int) error {
		e.deliver(others[i])
		return nil
	}, func(int, error) {}) // a server of ours logs its failures itself
}

// beginReceive reports whether the member is open. If so, receiving.Done must follow.
func (m *member) beginReceive() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.receiving.Add(1)
	}
	return !m.closed
}

// Publish implements [Adapter].
func (m *member) Publish(msg *Message) error {
	if m.ctx.Err() != nil {
		return ErrClosed
	}
	m.deliver(delivery{
		deliver: func(o *member) {
			if o.beginReceive() {
				defer o.receiving.Done()
				o.received.Add(1)
				o.node.Receive(msg)
			}
		},
		done: func() {},
	})
	m.sent.Add(1)
	return nil
}

// Ask implements [Adapter]. When the context has ended, it does not wait for nodes that
// are still answering.
func (m *member) Ask(ctx context.Context, msg *Message, reply func(*Reply)) error {
	if m.ctx.Err() != nil {
		return ErrClosed
	}
	askCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.ctx, cancel)() //nolint:contextcheck // it ends when the member leaves
	r := &request{from: m, ctx: askCtx, reply: reply, asked: make(map[string]struct{})}
	defer r.stop()
	r.pending.Add(1)                                                                       // until all members have been asked
	m.deliver(delivery{deliver: func(o *member) { r.send(o, msg) }, done: r.pending.Done}) //nolint:contextcheck // the request has it
	answered := make(chan struct{})
	go func() { // ends when all members that were asked have answered or left
		r.pending.Wait()
		close(answered)
	}()
	select {
	case <-answered:
		if len(r.missing()) == 0 {
			return nil
		}
	case <-askCtx.Done():
	}
	if err := ctx.Err(); err != nil {
		return &MissingError{Servers: r.missing(), Err: err}
	}
	return ErrClosed
}

// Status implements [Reporter], for the servers that have joined the namespace.
func (m *member) Status() Status {
	s := Status{Server: m.name, Healthy: m.ctx.Err() == nil, Since: m.since, Sent: m.sent.Load(), Received: m.received.Load()}
	if !s.Healthy {
		s.Err = ErrClosed
		return s
	}
	now := time.Now()
	for _, o := range m.others() {
		s.Members = append(s.Members, Member{ID: o.name, Name: o.name, LastSeen: now})
	}
	return s
}

// A request is a call of Ask.
type request struct {
	from    *member
	ctx     context.Context //nolint:containedctx // ends with the call
	pending sync.WaitGroup

	mu    sync.Mutex
	reply func(*Reply)        // nil after the end of the call
	asked map[string]struct{} // the names of members that have not answered in full
}

// missing returns the names of members that have not answered in full.
func (q *request) missing() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Sorted(maps.Keys(q.asked))
}

// begin notes that a member is asked.
func (q *request) begin(o *member) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending.Add(1)
	q.asked[o.name] = struct{}{}
}

// done notes that a member has answered or left. If the request has ended before, the
// answer may not be complete.
func (q *request) done(o *member) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ctx.Err() == nil || o.ctx.Err() != nil {
		delete(q.asked, o.name)
	}
	q.pending.Done()
}

// send makes a member answer. The request does not wait for a member that leaves.
func (q *request) send(o *member, msg *Message) {
	if o.ctx.Err() != nil {
		return
	}
	q.begin(o)
	answered := sync.OnceFunc(func() { q.done(o) })
	ctx, cancel := context.WithCancel(q.ctx)
	stopWaiting := context.AfterFunc(o.ctx, func() {
		cancel()
		answered()
	})
	go func() { // ends with the answer; the context asks for its end
		defer answered()
		defer cancel()
		defer stopWaiting()
		_ = rescue.Call(func() error { // a server of ours logs its failures itself
			o.node.Answer(ctx, msg, func(r *Reply) { q.receive(o, r) })
			return nil
		})
	}()
}

// receive calls reply, unless the request has ended. The lock keeps the calls apart.
func (q *request) receive(from *member, r *Reply) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.reply == nil || q.ctx.Err() != nil || q.from.ctx.Err() != nil {
		return
	}
	c := *r
	c.Server = from.name
	_ = rescue.Call(func() error { // the server that asks logs its failures itself
		q.reply(&c)
		return nil
	})
}

// stop waits for a running call of reply and allows no other one.
func (q *request) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reply = nil
}

// Close implements [Adapter].
func (m *member) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	c := m.cluster
	c.mu.Lock()
	c.namespaces[m.namespace] = slices.DeleteFunc(slices.Clone(c.namespaces[m.namespace]), func(o *member) bool { return o == m })
	if len(c.namespaces[m.namespace]) == 0 {
		delete(c.namespaces, m.namespace)
	}
	c.mu.Unlock()
	m.receiving.Wait()
	return nil
}
