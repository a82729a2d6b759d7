package sio

import (
	"log/slog"
	"slices"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/rooms"
)

// disconnectSocket ends a socket from the server's side, and tells the client.
func (c *client) disconnectSocket(s *Socket) {
	c.mu.Lock()
	name := s.ns.name // see move
	c.mu.Unlock()
	if s.end(&DisconnectError{Reason: ReasonServerNamespaceDisconnect}, true) {
		if m, err := c.server.wire.disconnect(name); err == nil {
			_ = c.session.Send(m...) // an error means that the session has ended
		}
	}
}

// disconnectAll ends all sockets and the session (SIO-DC-2).
func (c *client) disconnectAll() {
	c.discardSessions()
	c.mu.Lock()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		c.disconnectSocket(s)
	}
	c.session.Close(nil)
}

// Disconnect makes the client leave the namespace. The client gets events that were
// emitted before. Its own events that wait for handlers are dropped. It stays in other
// namespaces, and may connect to this one again. If it has lost its connection, it does
// not recover.
func (s *Socket) Disconnect() error {
	if err := s.checkConnected(); err != nil {
		return s.doForAbsent(err, &adapter.Message{Kind: adapter.Disconnect})
	}
	if s.ns.log != nil && s.ns.logState.undelivered.Load() > 0 {
		return s.Self().Disconnect() // so that it comes after earlier events
	}
	s.client.disconnectSocket(s)
	return nil
}

// Close disconnects the client from all namespaces and ends its connection. If the
// client has lost the connection, it does not recover.
func (s *Socket) Close() error {
	s.client.disconnectAll()
	return s.doForAbsent(nil, &adapter.Message{Kind: adapter.Disconnect, Close: true})
}

// end disconnects the socket, once, and reports whether this call did it. It fails all
// pending acks and removes the socket from the client's table. The last task follows the
// one that runs. With drop, events that wait are dropped.
func (s *Socket) end(why *DisconnectError, drop bool) bool {
	s.mu.Lock()
	if s.disconnectErr != nil {
		s.mu.Unlock()
		return false
	}
	s.disconnectErr = why
	s.state.Store(stateDisconnected)
	if s.cancel != nil {
		s.cancel(why)
	}
	acks := s.acks
	s.acks = nil
	s.mu.Unlock()

	for _, w := range acks {
		w.failed(s, why)
	}
	s.client.removeSocket(s)
	last := new(task)
	last.init(s, taskDisconnect)
	s.queue.Close(queuedTask{last}, drop)
	s.client.line.Add(&s.queue)
	s.client.line.Start() // on another goroutine: the caller must not wait for handlers
	return true
}

// finish is the last task of a socket: it calls OnDisconnect and leaves the rooms.
func (s *Socket) finish() {
	defer s.ns.server.sockets.Leave()
	defer func() { s.ns.removeClient(s.keepsSession()) }()
	defer s.client.socketFinished()
	if s.accepted {
		s.ns.runOnDisconnect(s)
	}
	history := s.leaveRooms()
	s.ns.deliverRoomEvents()
	s.runOnEnd()
	s.releaseSession(s.disconnectError(), history)
}

// leaveRooms takes the socket out of its rooms. If the client may come back, it returns
// the rooms, and since when the socket was in them.
func (s *Socket) leaveRooms() (history rooms.History) {
	if s.recovery == nil {
		s.ns.index.Remove(&s.member)
	} else {
		history = s.ns.index.RemoveWithHistory(&s.member)
	}
	return history
}

// runOnDisconnect calls the functions of OnDisconnect.
func (n *Namespace) runOnDisconnect(s *Socket) {
	why := s.disconnectError()
	n.server.debug("socket disconnected",
		slog.String("ns", n.name), slog.String("sid", s.id), slog.String("reason", string(why.Reason)))
	s.observeDisconnected(why)
	fs := n.routes.Load().onDisconnect
	rescue.Each(len(fs), func(i int) error {
		fs[i](s, why.Reason)
		return nil
	}, func(_ int, err error) { s.logFailure("OnDisconnect failed", eventDisconnect, err) })
}
