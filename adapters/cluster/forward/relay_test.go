package forward_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// A relay is the way of a member to the others over a broker in memory. It keeps their order.
type relay struct {
	mu      sync.Mutex
	take    func(from string, data []byte)
	inbox   []func()
	running bool
	closed  bool

	// lose, if not nil, says which data of this member is lost.
	lose func(to string, data []byte) bool
	// hang, if not nil, is what Relay waits for.
	hang chan struct{}
}

func (r *relay) close() { r.set(func(r *relay) { r.closed, r.inbox = true, nil }) }

// run delivers what is in the inbox.
func (r *relay) run() {
	for {
		r.mu.Lock()
		if len(r.inbox) == 0 {
			r.running = false
			r.mu.Unlock()
			return
		}
		f := r.inbox[0]
		r.inbox = r.inbox[1:]
		r.mu.Unlock()
		f()
	}
}

// set changes how the relay fails.
func (r *relay) set(f func(r *relay)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
}

func (r *relay) deliver(from string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if take := r.take; take != nil && !r.closed {
		r.inbox = append(r.inbox, func() { take(from, data) })
		if !r.running {
			r.running = true
			go r.run() // ends with the inbox
		}
	}
}

// OnRelay implements [forward.Members].
func (m *member) OnRelay(f func(from string, data []byte)) {
	m.relay.set(func(r *relay) { r.take = f })
}

// Relay implements [forward.Members].
func (m *member) Relay(ctx context.Context, to string, data []byte) error {
	m.relay.mu.Lock()
	hang, lost := m.relay.hang, m.relay.lose != nil && m.relay.lose(to, data)
	m.relay.mu.Unlock()
	if len(data) > cluster.MaxRelayed {
		return cluster.ErrTooLarge
	}
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.registry.mu.Lock()
	var other *member
	for _, o := range m.registry.members {
		if o.id == to {
			other = o
		}
	}
	m.registry.mu.Unlock()
	if other == nil || lost {
		return nil
	}
	if m.relay.isClosed() {
		return errors.New("closed")
	}
	other.relay.deliver(m.id, data)
	return nil
}

func (r *relay) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// LocateServer implements [forward.Members].
func (m *member) LocateServer(id string) (cluster.Location, bool) {
	m.registry.mu.Lock()
	defer m.registry.mu.Unlock()
	for _, o := range m.registry.members {
		if o.id == id && o != m {
			return cluster.Location{Server: o.id, Address: o.address, Gone: o.gone}, true
		}
	}
	return cluster.Location{}, false
}

// overBoth runs a test over HTTP between the servers, and over the broker.
func overBoth(t *testing.T, f func(t *testing.T, o startOptions)) {
	t.Helper()
	for name, broker := range map[string]bool{"HTTP": false, "broker": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, startOptions{broker: broker})
		})
	}
}
