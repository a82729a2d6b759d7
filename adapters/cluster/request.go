package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A request is a call of Ask. It knows the servers of this module by name, and how many
// others there are.
type request struct {
	namespace *namespace
	id        string
	asked     map[string]struct{} // servers that were in the namespace; does not change
	limited   bool                // the wait for the answers is

	mu       sync.Mutex
	wake     chan struct{} // has an element if something has changed
	inbox    []*adapter.Reply
	named    map[string]struct{} // servers of asked that have not answered in full
	parts    map[string]int      // how many packets of an answer have come, by the server's id
	finished map[string]struct{} // servers that have answered in full, by id
	counted  bool                // unnamed is known, or -1
	unnamed  int                 // number of the other servers, -1 if the broker does not say
	answered int                 // how many of them have answered
	acks     int                 // how many acks of their clients have yet to come; negative while more have come than were announced
}

const (
	// countTimeout is how long a request waits until the broker has counted the servers.
	// Afterwards it goes on, and asks again.
	countTimeout = time.Second

	// maxExpected bounds what another server says about the number of its clients.
	maxExpected = 1 << 20
)

// Ask implements [adapter.Adapter].
func (n *namespace) Ask(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) error {
	if n.ctx.Err() != nil {
		return errClosed
	}
	t, err := typeOf(m.Kind)
	if err != nil {
		return err
	}
	if _, limited := ctx.Deadline(); !limited && m.Kind != adapter.Broadcast {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, n.cluster.opts.RequestsTimeout)
		defer cancel()
	}
	r := n.newRequest(m.Kind)
	_, r.limited = ctx.Deadline()
	r.count(ctx)
	if r.nobody() {
		return nil
	}
	if !n.register(r) {
		return errClosed
	}
	defer n.unregister(r)
	p := &Packet{Type: t, From: n.link.self, Namespace: n.name, RequestID: r.id, Message: m}
	if deadline, ok := ctx.Deadline(); ok {
		p.Timeout = max(time.Until(deadline), time.Millisecond)
	}
	if err := n.link.send(p); err != nil {
		return err
	}
	return r.collect(ctx, reply)
}

func (n *namespace) newRequest(k adapter.Kind) *request {
	asked := n.link.presence.in(n.name)
	return &request{
		namespace: n, id: newRequestID(k), asked: asked, wake: make(chan struct{}, 1),
		named: maps.Clone(asked), parts: make(map[string]int), finished: make(map[string]struct{}),
	}
}

func (n *namespace) register(r *request) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.requests[r.id] = r
	}
	return !n.closed
}

// unregister ends a request. Those who still answer are told.
func (n *namespace) unregister(r *request) {
	n.mu.Lock()
	delete(n.requests, r.id)
	n.mu.Unlock()
	r.mu.Lock()
	waiting := len(r.named) > 0
	r.mu.Unlock()
	if waiting && n.ctx.Err() == nil {
		_ = n.link.send(&Packet{Type: Cancel, From: n.link.self, Namespace: n.name, RequestID: r.id})
	}
}

// count finds out how many official servers there are, so that those that leave are not
// waited for. The first time it is called before the others are asked.
func (r *request) count(ctx context.Context) {
	n := r.namespace
	if n.link.presence.officials.expected {
		r.setOthers(n.link.presence.officialsIn(n.name), nil)
		return
	}
	counter, ok := n.link.broker.(Counter)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	all := 0
	err := rescue.Call(func() (err error) {
		all, err = counter.Count(ctx, n.name)
		return err
	})
	named := r.present()
	if prober, ok := n.link.broker.(Prober); ok && err == nil && all <= len(named) { // some were killed
		n.link.presence.strike(ctx, prober, n.name, named)
		named = r.present()
		r.strikeOff()
	}
	others := all - len(named)
	if n.link.presence.hasJoined(n.name) { // otherwise the broker does not count this server yet
		others--
	}
	r.setOthers(others, err)
}

// setOthers notes how many other servers there are, or that this is not known.
func (r *request) setOthers(others int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil && !r.counted:
		r.unnamed = -1
	case err != nil:
	case r.unnamed < 0 || !r.counted:
		r.unnamed = max(r.answered, others)
	default:
		r.unnamed = max(r.answered, min(r.unnamed, others))
	}
	r.counted = true
	r.signal()
}

// present returns the servers that were asked and are still there.
func (r *request) present() (ids []string) {
	for id := range r.asked {
		if r.namespace.link.presence.isIn(id, r.namespace.name) {
			ids = append(ids, id)
		}
	}
	return ids
}

// nobody reports whether there is no other server.
func (r *request) nobody() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.named) == 0 && r.unnamed == 0
}

func (r *request) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// collect calls reply until all have answered, or ctx ends.
func (r *request) collect(ctx context.Context, reply func(*adapter.Reply)) error {
	check := time.NewTicker(checkInterval)
	defer check.Stop()
	for {
		r.mu.Lock()
		replies := r.inbox
		r.inbox = nil
		complete := len(r.named) == 0 && r.unnamed >= 0 && r.answered >= r.unnamed && r.acks <= 0
		r.mu.Unlock()
		for _, a := range replies {
			switch {
			case r.namespace.ctx.Err() != nil:
				return errClosed
			case ctx.Err() != nil:
				return r.missing(ctx.Err())
			}
			_ = rescue.Call(func() error { // the server that asks logs its failures itself
				reply(a)
				return nil
			})
		}
		if complete {
			return nil
		}
		select {
		case <-r.wake:
		case <-check.C:
			r.strikeOff()
			r.count(ctx)
		case <-r.namespace.ctx.Done():
			return errClosed
		case <-ctx.Done():
			return r.missing(ctx.Err())
		}
	}
}

// missing says who has not answered.
func (r *request) missing(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &adapter.MissingError{Unknown: max(0, r.unnamed-r.answered), Err: err}
	for id := range r.named {
		e.Servers = append(e.Servers, id)
	}
	slices.Sort(e.Servers)
	if r.unnamed < 0 || len(e.Servers)+e.Unknown == 0 && r.acks > 0 {
		return fmt.Errorf("cluster: not all servers have answered: %w", err)
	}
	return e
}

// strikeOff does not wait for servers that have left.
func (r *request) strikeOff() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.named {
		if !r.namespace.link.presence.isIn(id, r.namespace.name) {
			delete(r.named, id)
		}
	}
	r.signal()
}
