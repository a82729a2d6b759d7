package cluster_test

import (
	"context"
	"errors"
	"sync"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// A hub is a broker in memory. It connects clusters in one process.
type hub struct {
	uncounted bool // it cannot count
	probing   bool // it cannot count, but knows who is connected
	deaf      bool // it does not do what Subscribe asks for

	// encode, if not nil, encodes the packets; decoded ones arrive.
	encode func(p *cluster.Packet) ([]byte, error)

	mu      sync.Mutex
	brokers map[*hubBroker]struct{}
	failing error               // of Publish
	calls   int                 // of Publish
	hanging bool                // Publish does not return
	cut     map[*hubBroker]bool // they neither hear nor are heard
}

func newHub() *hub {
	return &hub{brokers: make(map[*hubBroker]struct{}), cut: make(map[*hubBroker]bool)}
}

// asked returns how often Publish was called.
func (h *hub) asked() (calls int) {
	h.do(func() { calls = h.calls })
	return calls
}

// A hubBroker is one server's end of a hub.
type hubBroker struct {
	hub  *hub
	self string
	in   cluster.Inbound

	mu         sync.Mutex
	namespaces map[string]bool
	inbox      chan func()
	ended      chan struct{}
}

func (h *hub) newBroker() cluster.Broker {
	b := &hubBroker{hub: h, namespaces: make(map[string]bool), inbox: make(chan func(), 1<<16), ended: make(chan struct{})}
	if h.uncounted {
		return b
	}
	if h.probing {
		return probing{b}
	}
	return counting{probing{b}}
}

// cluster returns a new cluster over the hub.
func (h *hub) cluster(o cluster.Options) *cluster.Cluster { return cluster.New(h.newBroker, o) }

func (b *hubBroker) Start(self string, in cluster.Inbound) {
	b.self, b.in = self, in
	b.hub.mu.Lock()
	b.hub.brokers[b] = struct{}{}
	b.hub.mu.Unlock()
	go func() {
		defer close(b.ended)
		for f := range b.inbox {
			f()
		}
	}()
	b.inbox <- func() { in.Connected(false) }
}

func (b *hubBroker) Subscribe(namespace string) {
	if b.hub.deaf {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.namespaces[namespace] = true
	b.inbox <- func() { b.in.Subscribed(namespace) }
}

func (b *hubBroker) Unsubscribe(namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.namespaces, namespace)
}

func (b *hubBroker) isIn(namespace string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return namespace == "" || b.namespaces[namespace]
}

func (b *hubBroker) Publish(ctx context.Context, packets []*cluster.Packet) (taken, lost int, err error) {
	b.hub.mu.Lock()
	defer b.hub.mu.Unlock()
	b.hub.calls++
	if b.hub.hanging {
		b.hub.mu.Unlock()
		<-ctx.Done()
		b.hub.mu.Lock()
		return 0, 0, ctx.Err()
	}
	if b.hub.failing != nil {
		return 0, 0, b.hub.failing
	}
	if _, connected := b.hub.brokers[b]; !connected {
		return 0, 0, errors.New("killed")
	}
	if b.hub.cut[b] {
		return len(packets), 0, nil
	}
	for i, p := range packets {
		to := p.To
		if p, err = b.hub.onTheWire(p); err != nil {
			return i, 1, err
		}
		for o := range b.hub.brokers {
			if o.isIn(p.Namespace) && !b.hub.cut[o] && (!p.Type.IsResponse() || to == o.self) {
				o.inbox <- func() { o.in.Receive(p) }
			}
		}
	}
	return len(packets), 0, nil
}

// onTheWire encodes and decodes a packet.
func (h *hub) onTheWire(p *cluster.Packet) (*cluster.Packet, error) {
	if h.encode == nil {
		return p, nil
	}
	data, err := h.encode(p)
	if err != nil {
		return nil, err
	}
	return cluster.Decode(data)
}

func (b *hubBroker) Close() error {
	b.hub.mu.Lock()
	delete(b.hub.brokers, b)
	close(b.inbox)
	b.hub.mu.Unlock()
	<-b.ended
	return nil
}

// probing is a hubBroker that knows who is connected.
type probing struct{ *hubBroker }

// counting is one that counts, too.
type counting struct{ probing }

func (b counting) Count(_ context.Context, namespace string) (int, error) {
	b.hub.mu.Lock()
	defer b.hub.mu.Unlock()
	if b.hub.failing != nil || b.hub.hanging {
		return 0, errors.New("no answer")
	}
	n := 0
	for o := range b.hub.brokers {
		if o.isIn(namespace) {
			n++
		}
	}
	return n, nil
}

// Gone implements [cluster.Prober].
func (b probing) Gone(_ context.Context, namespace string, ids []string) (gone []string, err error) {
	b.hub.mu.Lock()
	defer b.hub.mu.Unlock()
	if b.hub.failing != nil || b.hub.hanging {
		return nil, errors.New("no answer")
	}
	there := make(map[string]bool)
	for o := range b.hub.brokers {
		there[o.self] = o.isIn(namespace)
	}
	for _, id := range ids {
		if !there[id] {
			gone = append(gone, id)
		}
	}
	return gone, nil
}

// kill ends a server's connection without a word, as if its process was killed.
func (h *hub) kill(id string) {
	h.do(func() {
		for b := range h.brokers {
			if b.self == id {
				delete(h.brokers, b)
			}
		}
	})
}

// broker returns the broker of a server.
func (h *hub) broker(id string) (found *hubBroker) {
	h.do(func() {
		for b := range h.brokers {
			if b.self == id {
				found = b
			}
		}
	})
	return found
}
