package sio

import (
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rooms"
)

// queueEvent queues an event for its handler, on the read loop. If handlers cannot
// keep up it waits, and with it the client: nothing is lost.
func (s *Socket) queueEvent(p packet.Packet, t *task) {
	t.init(s, taskEvent)
	t.ctx.args, t.wantsAck, t.ackID = p.Args, p.HasID, p.ID
	t.event, t.endpoint = s.ns.endpointFor(&p)
	// An error means that the socket has ended meanwhile.
	if _, err := s.queue.PushWait(queuedTask{t}, s.ns.server.opts.pending(), (*source)(s)); err == nil {
		s.client.line.Add(&s.queue)
	}
}

// endpointFor finds the way of an event to its handler, and its name without a copy if
// it is a known one.
func (n *Namespace) endpointFor(p *packet.Packet) (string, *endpoint) {
	r := n.routes.Load()
	if e := r.events[string(p.Name)]; e != nil {
		return e.name, e
	}
	return p.EventName(), r.unknown
}

// finish is the last task of a socket: it says goodbye and leaves the rooms.
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

// leaveRooms takes the socket out of its rooms, and returns which these were, and when, if
// its client may come back.
func (s *Socket) leaveRooms() (history rooms.History) {
	if s.recovery == nil {
		s.ns.index.Remove(&s.member)
	} else {
		history = s.ns.index.RemoveWithHistory(&s.member)
	}
	return history
}
