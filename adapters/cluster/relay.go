package cluster

import (
	"context"
	"fmt"
	"time"
)

// MaxRelayed is how many bytes [Cluster.Relay] takes at once.
const MaxRelayed = 64 << 10

// RelayTimeout is how long what [Cluster.Relay] sends may wait for the broker.
const RelayTimeout = 5 * time.Second

// OnRelay makes this server take what others send it with [Cluster.Relay], and tells them so:
// it has a [Location] from then on. f gets the id of the server that the packet says it is from,
// which whoever can write to the broker can say. The data of one server comes in order, unless
// some of it is lost. f is called by one goroutine at a time for each connection with the broker.
// It must not wait, and may keep data. Call OnRelay before the server is made.
func (c *Cluster) OnRelay(f func(from string, data []byte)) { c.relayed.Store(&f) }

// Relay sends data, at most [MaxRelayed] bytes, to another server of this module over the broker.
// It waits until there is room in the queue: relayed data may use a quarter of
// [Options.MaxQueueBytes] in addition to all else. Data that has been in the queue for longer than
// [RelayTimeout] is not sent. Nothing says whether it arrives. It is safe for concurrent use.
func (c *Cluster) Relay(ctx context.Context, to string, data []byte) error {
	c.mu.RLock()
	link := c.link
	c.mu.RUnlock()
	switch {
	case link == nil:
		return errClosed
	case len(data) > MaxRelayed:
		return fmt.Errorf("%w: Relay takes %d bytes, and not %d", ErrTooLarge, MaxRelayed, len(data))
	}
	p := &Packet{Type: Relayed, From: link.self, Namespace: root, To: to, Bytes: data}
	if limiter, ok := link.broker.(Limiter); ok {
		if limit := limiter.MaxBytes(); limit > 0 && p.size() > limit {
			return fmt.Errorf("%w: it has %d bytes, and the limit is %d", ErrTooLarge, p.size(), limit)
		}
	}
	return link.queue.addRelayed(ctx, p)
}

// checkRelayLimit reports that a broker takes too small messages, if others reach this server only
// by Relay. It is called when the broker has connected: before that, its limit is not known.
func (l *link) checkRelayLimit() {
	limiter, ok := l.broker.(Limiter)
	if !ok || l.cluster.relayed.Load() == nil {
		return
	}
	address, _ := l.cluster.own.get()
	if limit := limiter.MaxBytes(); address == "" && limit > 0 && limit < MaxRelayed {
		l.cluster.report(fmt.Errorf("cluster: the broker takes messages of %d bytes, and forwarding requests over it needs %d", limit, MaxRelayed))
	}
}

// receiveRelayed takes what another server has sent with Relay.
func (l *link) receiveRelayed(p *Packet) {
	if f := l.cluster.relayed.Load(); f != nil && p.To == l.self && IsOurs(p.From) {
		(*f)(p.From, p.Bytes)
	}
}
