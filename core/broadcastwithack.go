package sio

import (
	"context"
	"errors"
	"iter"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

// An Ack is one of the answers that [BroadcastWithAck] and
// [ServerSideEmitWithAck] collect.
type Ack[T any] struct {
	Server string // the server that answers; "" if it is this one, or unknown
	Socket string // the id of the client that answers; "" if unknown, or if a server answers
	Value  T      // the first value of the answer, or the zero T if there is none; all values if T is [Args]

	// Err is nil if the client or the server has answered. Otherwise it matches:
	//
	//   - [ErrDisconnected] if the client has disconnected,
	//   - [ErrNotReady] if the client was not ready for a volatile event,
	//   - [ErrAckBlocked] if the answer cannot be read,
	//   - the context's error if the answer did not come in time.
	Err error
}

// BroadcastWithAck emits an event to all clients in b and yields their acknowledgements
// as they come. It ends when every client has acknowledged or disconnected, or when ctx
// ends. In the latter case it yields an element with Err for each missing
// acknowledgement. Without a deadline it waits as long as the clients are connected.
//
// The event is sent when an iteration begins, and again for each further iteration. If
// it cannot be encoded, the only element is the error. Leaving the loop early drops the
// remaining acknowledgements. In a cluster, clients of other servers are asked too. If a
// server does not answer, there is an element without Socket.
//
// It can be used in handlers: acknowledgements do not wait for handlers. See
// [Socket.EmitWithAck].
func BroadcastWithAck[T any](ctx context.Context, b Broadcast, event string, args ...any) iter.Seq[Ack[T]] {
	return decodeAcks[T](b.ask(ctx, event, args))
}

// decodeAcks decodes the first value of each ack.
func decodeAcks[T any](answers iter.Seq[Ack[Args]]) iter.Seq[Ack[T]] {
	return func(yield func(Ack[T]) bool) {
		for a := range answers {
			b := Ack[T]{Server: a.Server, Socket: a.Socket, Err: a.Err}
			if a.Err == nil {
				b.Err = a.Value.first(&b.Value)
			}
			if !yield(b) {
				return
			}
		}
	}
}

// ask is BroadcastWithAck with all values of the acks.
func (b Broadcast) ask(ctx context.Context, event string, args []any) iter.Seq[Ack[Args]] {
	return b.observing(ctx, event, func(yield func(Ack[Args]) bool) {
		c, err := b.ns.server.wire.encodeEventForClients(event, args)
		if err != nil {
			yield(Ack[Args]{Err: err})
			return
		}
		if err := b.ns.checkNames(b.message(adapter.Broadcast, c)); err != nil && !b.local {
			yield(Ack[Args]{Err: err})
			return
		}
		r := newClusterRequest(ctx, b.ns.server.wire.codec)
		for _, n := range b.ns.selfOrChildren() {
			m := b.message(adapter.Broadcast, c)
			r.askLocal(n, m)
			if !b.local {
				r.askOthers(n, m)
			}
		}
		r.yieldAcks(ctx, yield)
	})
}

// An ackCollector collects the acks of several sockets to one event.
type ackCollector struct{ acks chan *adapter.Ack } // has room for all

func (t ackCollector) acked(s *Socket, a Args) {
	t.acks <- &adapter.Ack{Socket: s.id, Data: a.args.AppendData(nil), Attachments: a.args.Attachments()}
}

func (ackCollector) hasWaiters() bool { return true }

func (t ackCollector) failed(s *Socket, err error) {
	blocked := errors.Is(err, ErrAckBlocked)
	t.acks <- &adapter.Ack{Socket: s.id, Blocked: blocked, Gone: !blocked}
}

// askClients emits an event to this server's clients. It replies with their acks until
// all have come or ctx has ended.
func (n *Namespace) askClients(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) {
	id := n.ackIDs.Add(1)
	h := packet.Header{Namespace: n.name, ID: id, HasID: true}
	var fs []*frame.Frame
	err := rescue.Apart(func() (err error) {
		fs, err = n.server.wire.frames(packet.Event, h, encoded{m.Data, m.Attachments})
		return err
	})
	if err != nil {
		n.logFailure("encoding a broadcast failed", err)
		return
	}
	sockets := n.index.List(target(m.Target))
	t := ackCollector{make(chan *adapter.Ack, len(sockets))}
	w := n.server.observeAck(t, func() string { return eventName(m.Data) })
	asked := make([]string, 0, len(sockets))
	waited := sockets[:0]
	for _, s := range sockets {
		if s.await(id, w) == nil {
			waited, asked = append(waited, s), append(asked, s.id)
		}
	}
	defer func() {
		for _, s := range waited {
			if left := s.stopAwaiting(id); left != nil {
				ackAbandoned(left, s, ctx.Err()) //nolint:contextcheck // observers get none
			}
		}
	}()
	n.observeBroadcast(m)
	reply(&adapter.Reply{Expected: asked})
	for _, s := range waited {
		// A client that is not sent the event is not waited for. If its waiter is
		// gone, the socket has ended and called failed.
		if s.deliver(fs, m.Volatile) {
			continue
		}
		if left := s.takeAck(id); left != nil {
			t.acks <- &adapter.Ack{Socket: s.id, Dropped: m.Volatile, Gone: !m.Volatile}
			why := ErrDisconnected
			if m.Volatile {
				why = ErrNotReady
			}
			ackAbandoned(left, s, why) //nolint:contextcheck // likewise
		}
	}
	for range asked {
		select {
		case a := <-t.acks:
			reply(&adapter.Reply{Ack: a})
		case <-ctx.Done():
			return
		}
	}
}
