package sio

import (
	"slices"

	"github.com/sioplug/sioplug/core/internal/frame"
	"github.com/sioplug/sioplug/core/internal/rooms"
)

// A Broadcast is a set of clients of one namespace: those in any of its rooms,
// or all, except those in others. It is a value: every method returns a new
// one, so it can be kept, shared and used from many goroutines. Who is in the
// set is decided when something is sent.
type Broadcast struct {
	ns       *Namespace
	rooms    []string
	except   []string
	volatile bool
	local    bool
}

// To returns the set with the clients in these rooms added. Without any call
// of To, or with no room at all, it is everyone.
func (b Broadcast) To(rooms ...string) Broadcast {
	b.rooms = slices.Concat(b.rooms, rooms)
	return b
}

// Except returns the set without the clients in these rooms.
func (b Broadcast) Except(rooms ...string) Broadcast {
	b.except = slices.Concat(b.except, rooms)
	return b
}

// Volatile returns the set with the wish that events are dropped for clients
// that are not ready to receive, as by [Socket.EmitVolatile].
func (b Broadcast) Volatile() Broadcast {
	b.volatile = true
	return b
}

// Local returns the set without clients of other servers of a cluster.
func (b Broadcast) Local() Broadcast {
	b.local = true
	return b
}

// Emit sends an event to all clients in the set. It is encoded once, whatever
// their number, and queued; a slow client neither delays Emit nor the others.
// The error is about the event, never about a client.
func (b Broadcast) Emit(event string, args ...any) error {
	m, err := encodeEvent(b.ns.name, event, args)
	if err != nil {
		return err
	}
	b.ns.index.Each(b.target(), func(s *Socket) { s.deliver(m, b.volatile) })
	return nil
}

func (b Broadcast) target() rooms.Target { return rooms.Target{Rooms: b.rooms, Except: b.except} }

// deliver queues a message that others get too. A client that has just gone
// does not matter.
func (s *Socket) deliver(m []*frame.Frame, volatile bool) {
	switch {
	case s.state.Load() != stateConnected:
	case volatile:
		s.client.session.SendVolatile(m...)
	default:
		_ = s.client.session.Send(m...)
	}
}
