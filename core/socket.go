package sio

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rooms"
	"github.com/sioplug/sioplug/internal/serial"
)

// A Socket is one client in one namespace. It carries data, not handlers:
// those belong to the [Namespace]. All methods are safe for concurrent use,
// and none blocks unless it takes a context.
type Socket struct {
	id     string // set by the first task
	ns     *Namespace
	client *client
	auth   []byte // the payload of the CONNECT packet; guarded by the client's mu, see limitAuth
	member rooms.Member[*Socket]
	queue  serial.Queue[queuedTask] // its tasks, which run one at a time
	state  atomic.Uint32

	chainDone   bool      // guarded by the client's mu: the connect chain has run
	authDropped bool      // guarded by the client's mu: there was an auth payload, and it is not kept
	accepted    bool      // only for tasks of the queue: the connect chain accepted the client
	onEndDone   bool      // guarded by mu: the hooks for the end have run
	recovery    *recovery // set by the first task; nil if the namespace has no log

	mu            sync.Mutex
	disconnectErr *DisconnectError
	ctx           context.Context //nolint:containedctx // made by the first call of Context
	cancel        context.CancelCauseFunc
	acks          map[uint64]ackWaiter
	values        map[any]any
	hooks         []hook
	data          map[string]json.RawMessage // values of a recovered session by name, decoded when they are asked for
}

// The states of a socket. Only the first task changes the state to accepted and to
// connected, and only [Socket.end] to disconnected, from any state.
//
//	state         packets of the client  Emit            the socket is in its rooms
//	connecting    a protocol error       ErrNotConnected no
//	accepted      handled                ErrNotConnected yes
//	connected     handled                queued          yes
//	disconnected  a protocol error       an error *      until its last task, if it was accepted
//
// * With recovery, events are kept for a client that may come back.
//
// The field accepted remembers, for the tasks, that the socket once was in that state.
const (
	stateConnecting   uint32 = iota // the connect chain runs
	stateAccepted                   // the answer to CONNECT is being queued
	stateConnected                  // the answer has been queued
	stateDisconnected               // handlers may still run
)

func newSocket(c *client, ns *Namespace, auth []byte) *Socket {
	return &Socket{ns: ns, client: c, auth: auth}
}

// ID returns the socket's id, which is also a room with this socket in it. The id is
// public. The session's id is secret, except for clients of [Options.AllowEIO3], which
// use the same id for both.
func (s *Socket) ID() string { return s.id }

// Namespace returns the namespace that the socket belongs to.
func (s *Socket) Namespace() *Namespace { return s.ns }

// Connected reports whether the client was accepted and has not left.
func (s *Socket) Connected() bool { return s.state.Load() == stateConnected }

// acceptsPackets reports whether the client's packets are handled. A client may have the
// answer to CONNECT, and send, before the state is stateConnected.
func (s *Socket) acceptsPackets() bool {
	state := s.state.Load()
	return state == stateAccepted || state == stateConnected
}

// Context returns a context that ends when the socket is disconnected;
// [context.Cause] then gives a [*DisconnectError]. It has the values of the
// request that opened the connection.
func (s *Socket) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancelCause(s.client.session.Values())
		if s.disconnectErr != nil {
			s.cancel(s.disconnectErr)
		}
	}
	return s.ctx
}

// Emit sends an event to the client. It queues the event and never waits. A client that
// reads too slowly is disconnected (see [Options.MaxSendBuffer]). To send much to one
// client, see [Socket.Flush]. Arguments are encoded as by encoding/json, except that any
// []byte travels as binary data. They are not used after Emit has returned.
//
// Before the client is accepted, Emit returns [ErrNotConnected], later an error that
// matches [ErrDisconnected]. With [Options.ConnectionStateRecovery], an event to a
// client that has lost its connection is kept, without an error.
func (s *Socket) Emit(event string, args ...any) error {
	if n := s.ns.routes.Load().dropOldest; n > 0 {
		return s.emitDroppable(n, "", event, args)
	}
	if s.ns.log != nil {
		return s.emitLogged(event, args)
	}
	s.ns.observe(s, event, args)
	m, err := s.wire().event(frame.Single(), packet.Header{Namespace: s.ns.name}, event, args)
	if err != nil {
		return err
	}
	return s.send(m)
}

// EmitVolatile is like [Socket.Emit], but the event is dropped if the client is
// not ready to receive: when its connection is congested, or between two polls.
func (s *Socket) EmitVolatile(event string, args ...any) error {
	s.ns.observe(s, event, args)
	m, err := s.wire().event(frame.Single(), packet.Header{Namespace: s.ns.name}, event, args)
	if err != nil {
		return err
	}
	if err := s.checkConnected(); err != nil {
		return err
	}
	s.client.session.SendVolatile(s.client.framesFor(m)...)
	return nil
}

// Buffered returns the memory in bytes of everything that waits to be sent to the
// client, for all of its namespaces. It grows if the client reads slowly, and between
// two polls. When it has reached [Options.MaxSendBuffer], the next event disconnects the
// client. To send more than that, call [Socket.Flush] now and then.
func (s *Socket) Buffered() int { return s.client.session.Buffered() }

func (s *Socket) wire() *wire { return &s.ns.server.wire }

// send queues an encoded message.
func (s *Socket) send(m []*frame.Frame) error {
	if err := s.checkConnected(); err != nil {
		return err
	}
	return s.wrapSend(s.client.session.Send(s.client.framesFor(m)...))
}

func (s *Socket) wrapSend(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrSlowClient):
		return ErrSlowClient
	case err == engine.ErrDropped: //nolint:errorlint // it is not wrapped
		return err
	default: // the session has just ended: the socket ends in a moment
		return ErrDisconnected
	}
}

// checkConnected returns an error if nothing can be sent to the client.
func (s *Socket) checkConnected() error {
	switch s.state.Load() {
	case stateConnected:
		return nil
	case stateConnecting, stateAccepted:
		return ErrNotConnected
	default:
		return s.disconnectError()
	}
}

func (s *Socket) disconnectError() *DisconnectError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.disconnectErr
}

// Join puts the socket into the rooms. It returns an error unless the socket is
// connected; see also [Socket.Leave].
func (s *Socket) Join(rooms ...string) error {
	if err := s.checkConnected(); err != nil {
		return s.doForAbsent(err, &adapter.Message{Kind: adapter.Join, Rooms: rooms})
	}
	s.ns.index.Join(&s.member, rooms...)
	s.ns.deliverRoomEvents()
	return nil
}

// Leave takes the socket out of the rooms. It ignores rooms that the socket is not in,
// or is pinned to. It returns an error unless the socket is connected, or may be
// recovered ([Options.ConnectionStateRecovery]). In the latter case the client is not in
// the rooms when it comes back. The same is true of Join, Pin and Unpin.
func (s *Socket) Leave(rooms ...string) error {
	if err := s.checkConnected(); err != nil {
		return s.doForAbsent(err, &adapter.Message{Kind: adapter.Leave, Rooms: rooms})
	}
	s.ns.index.Leave(&s.member, rooms...)
	s.ns.deliverRoomEvents()
	return nil
}

// Pin is like [Socket.Join] for rooms that the socket has to stay in: neither
// Leave nor [Broadcast.Leave] takes it out, only Unpin. It is for rooms that the
// server relies on to find a client, whatever rooms its handlers let clients name.
// [Socket.Rooms] leaves these rooms out.
//
// Pin does not reserve the room: another socket can join a room of the same name. If
// clients name the rooms that they join, give those rooms a prefix of their own.
func (s *Socket) Pin(rooms ...string) error {
	if err := s.checkConnected(); err != nil {
		return s.doForAbsent(err, &adapter.Message{Kind: adapter.Join, Rooms: rooms, Pin: true})
	}
	s.ns.index.Pin(&s.member, rooms...)
	s.ns.deliverRoomEvents()
	return nil
}

// Unpin takes the socket out of rooms, whether it joined them or is pinned to them.
func (s *Socket) Unpin(rooms ...string) error {
	if err := s.checkConnected(); err != nil {
		return s.doForAbsent(err, &adapter.Message{Kind: adapter.Leave, Rooms: rooms, Pin: true})
	}
	s.ns.index.Unpin(&s.member, rooms...)
	s.ns.deliverRoomEvents()
	return nil
}

// Rooms returns the socket's id, then the rooms that the socket has joined. Rooms that it
// is pinned to are left out, even if it has joined them as well: see [Socket.Pinned].
func (s *Socket) Rooms() []string { return s.ns.index.Rooms(&s.member) }

// Pinned returns the rooms that the socket is pinned to: those of [Socket.Pin]. Package
// auth pins sockets, too, to rooms whose names begin with "auth:".
func (s *Socket) Pinned() []string { return s.ns.index.Pinned(&s.member) }

// To returns the clients in any of the rooms, but not this one.
func (s *Socket) To(rooms ...string) Broadcast { return s.Broadcast().To(rooms...) }

// Except returns the clients in none of the rooms, and not this one either.
func (s *Socket) Except(rooms ...string) Broadcast { return s.Broadcast().Except(rooms...) }

// Broadcast returns all clients of the namespace but this one.
func (s *Socket) Broadcast() Broadcast { return s.ns.Except(s.id) }

// Self returns the set of this client alone. It is for methods that a [Broadcast] has
// and a Socket has not: s.Self().Compress(false).Emit("picture", jpeg).
func (s *Socket) Self() Broadcast {
	b := s.ns.To(s.id).Local()
	b.self = true
	return b
}
