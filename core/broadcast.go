package sio

import (
	"context"
	"errors"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A Broadcast is a set of clients of one namespace: the clients in any of its rooms, or
// all clients, except those in other rooms. Its members are looked up when it is used.
// In a cluster ([Options.Adapter]), it includes the clients of all servers.
//
// A Broadcast is a value: every method returns a new one. It can be kept, shared and
// used by many goroutines.
type Broadcast struct {
	ns         *Namespace
	rooms      roomList
	except     roomList
	volatile   bool
	local      bool
	self       bool // the only room is the id of a client of this server
	noCompress bool
	ctx        context.Context //nolint:containedctx // it belongs to the next call: see WithContext
	dropOldest int             // see maxWaiting
	latest     string
}

// To returns the set with the clients in these rooms added. A set without any room has
// all clients. In a cluster, names of rooms have to be valid UTF-8: otherwise the methods
// that other servers take part in return an error and do nothing.
func (b Broadcast) To(rooms ...string) Broadcast {
	b.rooms, b.self = b.rooms.with(rooms), false
	return b
}

// Except returns the set without the clients in these rooms.
func (b Broadcast) Except(rooms ...string) Broadcast {
	b.except = b.except.with(rooms)
	return b
}

// Volatile returns the set for volatile events: a client that is not ready to receive
// does not get them. See [Socket.EmitVolatile].
func (b Broadcast) Volatile() Broadcast {
	b.volatile = true
	return b
}

// Compress returns the set for events that are compressed, or not, where the connection
// allows it: see [Options.HTTPCompressionThreshold] and [Options.PerMessageDeflate]. By
// default they are compressed (SIO-EM-14).
func (b Broadcast) Compress(on bool) Broadcast {
	b.noCompress = !on
	return b
}

// Local returns the set without clients of other servers of a cluster.
func (b Broadcast) Local() Broadcast {
	b.local, b.self = true, false
	return b
}

// Emit sends an event to all clients in the set. The event is encoded once and queued
// for each client. Text that is not valid UTF-8 becomes U+FFFD where it is not, on all
// servers alike. A slow client delays neither Emit nor other clients. The error is
// about the event, or is the adapter's, if it could not tell other servers. It is never
// about a client.
func (b Broadcast) Emit(event string, args ...any) error {
	if !b.ns.server.observesEmissions() {
		return b.emit(event, args)
	}
	end, err := b.observeEmission(event), rescue.ErrExited
	defer func() { end(err) }() // also if it panics
	err = b.emit(event, args)
	return err
}

func (b Broadcast) emit(event string, args []any) error {
	if b.ns.pattern == nil {
		return b.ns.emit(b, event, args)
	}
	c, err := b.ns.server.wire.encodeEventForClients(event, args)
	if err != nil {
		return err
	}
	return b.do(b.message(adapter.Broadcast, c))
}

// emit sends an event to this namespace's clients in b.
func (n *Namespace) emit(b Broadcast, event string, args []any) error {
	if n.simple() && !b.noCompress {
		m, err := n.server.wire.event(frame.Shared(), packet.Header{Namespace: n.name}, event, args)
		if err != nil {
			return err
		}
		n.setPolicy(m, b.maxWaiting(), b.latest, event)
		n.index.Each(target(b.target()), func(s *Socket) { s.deliver(m, b.volatile) })
		return nil
	}
	c, err := n.server.wire.encodeEventForClients(event, args)
	if err != nil {
		return err
	}
	return n.distribute(b.message(adapter.Broadcast, c))
}

// simple reports whether only the receivers of a broadcast have to get it: there is no
// cluster, no log, and no OnAnyOutgoing.
func (n *Namespace) simple() bool {
	return n.joined.Load() && n.adapter == nil && n.log == nil && len(n.routes.Load().onOutgoing) == 0
}

// Join puts the clients in the set into these rooms (SIO-CU-3).
func (b Broadcast) Join(rooms ...string) error {
	m := b.message(adapter.Join, encoded{})
	m.Rooms = cloneStrings(rooms)
	return b.do(m)
}

// Leave takes the clients in the set out of these rooms. With
// [Options.ConnectionStateRecovery], Join, Leave, Disconnect and Close also affect
// clients that are away and may come back. Then an error can mean that this could not be
// noted for them. None of them will recover in that case.
func (b Broadcast) Leave(rooms ...string) error {
	m := b.message(adapter.Leave, encoded{})
	m.Rooms = cloneStrings(rooms)
	return b.do(m)
}

// Disconnect makes the clients in the set leave the namespace (SIO-CU-4), as
// [Socket.Disconnect] does: they get earlier events first. An error means that other
// servers could not be told; the clients of this server are disconnected.
func (b Broadcast) Disconnect() error { return b.do(b.message(adapter.Disconnect, encoded{})) }

// Close disconnects the clients in the set from all namespaces and ends their
// connections, as [Socket.Close] does.
func (b Broadcast) Close() error {
	m := b.message(adapter.Disconnect, encoded{})
	m.Close = true
	return b.do(m)
}

func (b Broadcast) do(m *adapter.Message) error {
	var errs []error
	for _, n := range b.ns.selfOrChildren() {
		errs = append(errs, n.distribute(m))
	}
	return errors.Join(errs...)
}

// onlyHere reports whether other servers do not get the messages for the set. If servers
// share a log, they get those for a single client, which may come back to any of them.
func (b Broadcast) onlyHere() bool {
	return b.local && (!b.self || b.volatile || b.maxWaiting() > 0 || b.latest != "" || b.ns.server.opts.logProvider() == nil)
}

func (b Broadcast) target() adapter.Target {
	return adapter.Target{Rooms: b.rooms.names, Except: b.except.names}
}

// message returns the set and an event in the form for all servers.
func (b Broadcast) message(k adapter.Kind, c encoded) *adapter.Message {
	return &adapter.Message{
		Kind:        k,
		Target:      adapter.Target{Rooms: cloneStrings(b.rooms.names), Except: cloneStrings(b.except.names)},
		Data:        c.data,
		Attachments: c.attachments,
		Volatile:    b.volatile,
		DropOldest:  b.maxWaiting(),
		Latest:      b.latest,
		NoCompress:  b.noCompress,
		Local:       b.onlyHere(),
	}
}
