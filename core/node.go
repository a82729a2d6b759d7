package sio

import (
	"context"
	"errors"
	"log/slog"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/rooms"
)

// A node is what the cluster sees of a namespace. It implements [adapter.Node].
type node struct{ ns *Namespace }

// Receive implements [adapter.Node].
func (n node) Receive(m *adapter.Message) {
	if n.ns.live.Load() && n.ns.acceptable(m) { // otherwise it concerns nobody, or nobody yet
		_ = n.ns.receive(m) // it is in the log
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
		n.ns.server.log().DebugContext(ctx, "unknown request of another server", slog.Int("kind", int(m.Kind)))
	}
}

// spread does what m says on this server and, unless local, on all others. That they
// cannot be told does not keep it from being done here, so this comes first.
func (n *Namespace) spread(m *adapter.Message, local bool) error {
	var err error
	if n.live.Load() { // otherwise it has nobody yet
		err = n.receive(m)
	}
	if local {
		return err
	}
	return errors.Join(err, n.publish(m))
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

// receive does what m says on this server. An error means that clients which may come
// back will not learn of it.
func (n *Namespace) receive(m *adapter.Message) error {
	switch m.Kind {
	case adapter.Broadcast:
		n.observeBroadcast(m)
		return n.perform(m)
	case adapter.Join, adapter.Leave, adapter.Disconnect:
		return n.perform(m)
	case adapter.ServerEvent:
		n.serverEvent(m)
	case adapter.Fetch: // is only asked for
		fallthrough
	default:
		n.server.log().Debug("unknown message of another server", slog.Int("kind", int(m.Kind)))
	}
	return nil
}

func target(t adapter.Target) rooms.Target { return rooms.Target{Rooms: t.Rooms, Except: t.Except} }
