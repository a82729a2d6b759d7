package sio

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/internal/frame"
	"github.com/sioplug/sioplug/core/internal/rescue"
	"github.com/sioplug/sioplug/core/internal/rooms"
)

// A node is what the cluster sees of a namespace. It implements [adapter.Node].
type node struct{ ns *Namespace }

// Receive implements [adapter.Node].
func (n node) Receive(m *adapter.Message) {
	if n.ns.live.Load() && n.ns.acceptable(m) { // otherwise it concerns nobody, or nobody yet
		n.ns.receive(m)
	}
}

// acceptable reports whether clients would accept what another server emits: its
// options may be others than ours.
func (n *Namespace) acceptable(m *adapter.Message) bool {
	if m.Kind != adapter.Broadcast {
		return true
	}
	err := n.server.wire.checkForeign(content{m.Data, m.Attachments})
	if err != nil {
		n.server.log().Error("a broadcast of another server cannot be sent to clients", slog.String("ns", n.name), errAttr(err))
	}
	return err == nil
}

// Answer implements [adapter.Node].
func (n node) Answer(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) {
	switch {
	case !n.ns.live.Load():
	case m.Kind == adapter.Broadcast && !n.ns.acceptable(m):
	case m.Kind == adapter.Broadcast:
		n.ns.askClients(ctx, m, reply)
	case m.Kind == adapter.ServerEvent:
		n.ns.askHandler(ctx, m, reply)
	case m.Kind == adapter.Fetch:
		reply(&adapter.Reply{Sockets: n.ns.describe(m.Target)}) //nolint:contextcheck // nothing that takes time
	default:
		n.ns.server.log().DebugContext(ctx, "unknown question in the cluster", slog.Int("kind", int(m.Kind)))
	}
}

// spread does what m says on this server and, unless local, on all others. If
// they cannot be told, this server's clients do not suffer.
func (n *Namespace) spread(m *adapter.Message, local bool) (err error) {
	if !local {
		err = n.publish(m)
	}
	if n.live.Load() { // otherwise it has nobody yet
		n.receive(m)
	}
	return err
}

// publish tells the other servers, if there are any.
func (n *Namespace) publish(m *adapter.Message) error {
	switch {
	case !n.live.Load():
		return n.whyNotLive()
	case n.adapter == nil:
		return nil
	}
	return rescue.Apart(func() error {
		if err := n.adapter.Publish(m); !n.over(err) {
			return err
		}
		return nil
	})
}

// whyNotLive returns the error of who wants to reach other servers from a namespace
// that has not joined the cluster: none if it is about to.
func (n *Namespace) whyNotLive() error {
	if n.server.opts.Adapter != nil && n.server.sockets.Closed() {
		return adapter.ErrClosed
	}
	return nil
}

// over reports whether an adapter's error only means that a child namespace has just
// ended, with its last client, which is no failure of what its parent does.
func (n *Namespace) over(err error) bool {
	return n.parent != nil && errors.Is(err, adapter.ErrClosed)
}

// receive does what m says on this server.
func (n *Namespace) receive(m *adapter.Message) {
	switch m.Kind {
	case adapter.Broadcast:
		n.observeBroadcast(m)
		n.record(m)
	case adapter.Join:
		n.forEach(m.Target, func(s *Socket) { n.index.Join(&s.member, m.Rooms...) })
		n.tell()
	case adapter.Leave:
		n.forEach(m.Target, func(s *Socket) { n.index.Leave(&s.member, m.Rooms...) })
		n.tell()
	case adapter.Disconnect:
		n.forEach(m.Target, func(s *Socket) {
			if m.Close {
				s.client.kickAll()
			} else {
				s.client.kick(s)
			}
		})
	case adapter.ServerEvent:
		n.serverEvent(m)
	default:
		n.server.log().Debug("unknown message in the cluster", slog.Int("kind", int(m.Kind)))
	}
}

// forEach calls f, which may use the index, for every connected socket of the
// target.
func (n *Namespace) forEach(t adapter.Target, f func(*Socket)) {
	for _, s := range n.index.List(target(t)) {
		if s.Connected() {
			f(s)
		}
	}
}

// deliver sends a broadcast to this server's clients; an offset is that in the
// log.
func (n *Namespace) deliver(m *adapter.Message, offset string) {
	if n.index.Len() == 0 {
		return // children of a parent may be many, and empty
	}
	var fs []*frame.Frame
	encode := func() (err error) {
		fs, err = n.eventFrames(m, offset)
		return err
	}
	var err error
	if n.server.wire.parser == nil {
		err = encode()
	} else {
		err = rescue.Apart(encode)
	}
	if err != nil { // only a parser of the user's can fail
		n.logFailure("encoding a broadcast failed", err)
		return
	}
	n.index.Each(target(m.Target), func(s *Socket) { s.deliver(fs, m.Volatile) })
}

func target(t adapter.Target) rooms.Target { return rooms.Target{Rooms: t.Rooms, Except: t.Except} }
