package sio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"unicode/utf8"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/rooms"
)

// A node is a namespace as the cluster sees it. It implements [adapter.Node].
type node struct{ ns *Namespace }

// Receive implements [adapter.Node].
func (n node) Receive(m *adapter.Message) {
	if n.ns.joined.Load() && n.ns.acceptable(m) { // otherwise it has no clients yet
		_ = n.ns.receive(m) // receive has logged the error
	}
}

// acceptable reports whether clients accept a message of another server, whose options
// may differ.
func (n *Namespace) acceptable(m *adapter.Message) bool {
	if m.Kind != adapter.Broadcast {
		return true
	}
	err := n.server.wire.checkForeign(encoded{m.Data, m.Attachments})
	if err != nil {
		n.noteUnsendable(err)
	}
	return err == nil
}

// Answer implements [adapter.Node].
func (n node) Answer(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) {
	switch {
	case !n.ns.joined.Load():
	case m.Kind == adapter.Broadcast && !n.ns.acceptable(m):
	case m.Kind == adapter.Broadcast:
		n.ns.askClients(ctx, m, reply)
	case m.Kind == adapter.ServerEvent:
		n.ns.askHandler(ctx, m, reply)
	case m.Kind == adapter.Fetch:
		reply(&adapter.Reply{Sockets: n.ns.describeSockets(m.Target)}) //nolint:contextcheck // nothing that takes time
	case m.Kind == adapter.Count:
		reply(&adapter.Reply{Clients: n.ns.countSockets(target(m.Target))})
	default:
		n.ns.server.log().DebugContext(ctx, "unknown request of another server", slog.Int("kind", int(m.Kind)))
	}
}

// distribute applies a message on this server and, unless it is Local, on all others. It
// applies it here first, so that an error of the cluster does not prevent that. The log
// and the adapter get the same pointer: see [adapter.LogProvider].
func (n *Namespace) distribute(m *adapter.Message) error {
	if !m.Local {
		if err := n.checkNames(m); err != nil {
			return err
		}
	}
	var err error
	if n.joined.Load() { // otherwise it has no clients yet
		err = n.receive(m)
	}
	if m.Local {
		return err
	}
	return errors.Join(err, n.publish(m))
}

// checkNames returns an error for a message to other servers that names a room whose name
// cannot be sent.
func (n *Namespace) checkNames(m *adapter.Message) error {
	if n.server.opts.Adapter == nil {
		return nil
	}
	for _, names := range [][]string{m.Target.Rooms, m.Target.Except, m.Rooms} {
		for _, name := range names {
			if !utf8.ValidString(name) {
				return fmt.Errorf("sio: the name of the room %q is not valid UTF-8: other servers cannot be told of it", name)
			}
		}
	}
	if !utf8.ValidString(m.Latest) {
		return fmt.Errorf("sio: the key %q is not valid UTF-8: other servers cannot be told of it", m.Latest)
	}
	return nil
}

// publish sends a message to the other servers, if there are any.
func (n *Namespace) publish(m *adapter.Message) error {
	switch {
	case !n.joined.Load():
		return n.notJoinedError()
	case n.adapter == nil:
		return nil
	}
	return rescue.Apart(func() error {
		if err := n.adapter.Publish(m); !n.endedMeanwhile(err) {
			return err
		}
		return nil
	})
}

// notJoinedError returns the error of a message to other servers from a namespace that
// has not joined the cluster. It is nil if the namespace is about to join.
func (n *Namespace) notJoinedError() error {
	if n.server.opts.Adapter != nil && n.server.sockets.Closed() {
		return adapter.ErrClosed
	}
	return nil
}

// endedMeanwhile reports whether an adapter's error only means that a child namespace
// has just ended. For a message to all children of a parent, that is not a failure.
func (n *Namespace) endedMeanwhile(err error) bool {
	return n.parent != nil && errors.Is(err, adapter.ErrClosed)
}

// receive applies a message on this server. An error means that the message is not in
// the log, so clients that come back will not be affected by it.
func (n *Namespace) receive(m *adapter.Message) error {
	switch m.Kind {
	case adapter.Broadcast:
		n.observeBroadcast(m)
		return n.perform(m)
	case adapter.Join, adapter.Leave, adapter.Disconnect:
		return n.perform(m)
	case adapter.ServerEvent:
		n.queueServerEvent(m)
	case adapter.Fetch, adapter.Count: // are only asked for
		fallthrough
	default:
		n.server.log().Debug("unknown message of another server", slog.Int("kind", int(m.Kind)))
	}
	return nil
}

// joinCluster joins the cluster and opens the log, if the server has them.
func (n *Namespace) joinCluster() error {
	var a adapter.Adapter
	var l adapter.Log
	var end string
	joined := false
	defer func() {
		if !joined {
			n.closeAdapterAndLog(a, l)
		}
	}()
	if n.server.sockets.Closed() { // then the adapter and the log would never be closed
		return nil
	}
	err := rescue.Call(func() error {
		if r := n.server.opts.ConnectionStateRecovery; r != nil {
			if l = n.openLog(r); l != nil {
				end = l.End()
			}
		}
		if cluster := n.server.opts.Adapter; cluster != nil {
			a = cluster.Join(n.name, node{n})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, ok := a.(adapter.RoomWatcher); ok {
		n.index.Watch(rooms.Cluster)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life.closed {
		return nil
	}
	if l != nil {
		n.log, n.logState = l, newLogState(end)
		n.index.TrackPositions(end)
	}
	n.adapter = a
	n.joined.Store(true)
	joined = true
	return nil
}

// openLog returns the log of the namespace. The caller calls it through the edge.
func (n *Namespace) openLog(r *Recovery) adapter.Log {
	if p := n.server.opts.logProvider(); p != nil {
		return p.NewLog(n.name, r.MaxDisconnectionDuration)
	}
	return r.Log(n.name)
}

// close undoes joinCluster. If that is still running, it will have no effect.
func (n *Namespace) close() {
	n.closeOnce.Do(func() {
		n.callOwnClosing()
		n.mu.Lock()
		n.life.closed = true
		if n.life.expiry != nil {
			n.life.expiry.Stop()
		}
		a, l := n.adapter, n.log
		n.mu.Unlock()
		n.closeAdapterAndLog(a, l)
	})
}

func (n *Namespace) closeAdapterAndLog(a adapter.Adapter, l adapter.Log) {
	var errs []error
	if a != nil {
		errs = append(errs, rescue.Apart(a.Close))
	}
	if l != nil {
		errs = append(errs, rescue.Apart(l.Close))
	}
	if err := errors.Join(errs...); err != nil {
		n.server.log().Error("closing a namespace failed", slog.String("ns", n.name), errAttr(err))
	}
}
