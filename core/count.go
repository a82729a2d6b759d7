package sio

import (
	"context"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rooms"
)

// Count returns the number of clients in the set. Each server looks at its own clients in
// the set, but describes none. Other servers of a cluster are asked, unless the set is
// [Broadcast.Local]. If some servers do not answer in time, it returns the number without
// them, and an error as that of [Broadcast.Fetch].
func (b Broadcast) Count(ctx context.Context) (int, error) { return b.count(ctx, false) }

// Exists reports whether there is a client in the set. It looks on this server first. If
// there is none here, it asks the other servers of a cluster, unless the set is
// [Broadcast.Local]. It returns as soon as one server has a client. An error comes with
// false: some servers did not answer in time, as in [Broadcast.Fetch]. There may be a
// client on one of them.
func (b Broadcast) Exists(ctx context.Context) (bool, error) {
	count, err := b.count(ctx, true)
	return count > 0, err
}

// count counts clients. With one, it stops when there is one.
func (b Broadcast) count(ctx context.Context, one bool) (count int, err error) {
	for _, n := range b.ns.selfOrChildren() {
		count += n.countSockets(target(b.target()))
	}
	if b.local || one && count > 0 {
		return count, nil
	}
	m := b.message(adapter.Count, encoded{})
	if err := b.ns.checkNames(m); err != nil {
		return count, err
	}
	r := newClusterRequest(ctx, nil)
	for _, n := range b.ns.selfOrChildren() {
		r.askOthers(n, m)
	}
	for reply, err := range r.eachReply() {
		if err != nil {
			r.fail(err)
			continue
		}
		if count += max(0, reply.Clients); one && count > 0 {
			return count, nil
		}
	}
	return count, r.failure("sio: counting sockets: %w")
}

// countSockets returns the number of this server's connected clients in the target.
func (n *Namespace) countSockets(t rooms.Target) int {
	count := 0
	n.index.Each(t, func(s *Socket) {
		if s.Connected() {
			count++
		}
	})
	return count
}
