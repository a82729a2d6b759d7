package sio

import (
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rooms"
)

// event queues an event for its handler, on the read loop. If handlers cannot
// keep up it waits, and with it the client: nothing is lost.
func (s *Socket) event(p packet.Packet, in *inbound) {
	in.init(s, taskEvent)
	in.ctx.args, in.acks, in.ackID = p.Args, p.HasID, p.ID
	in.event, in.route = s.ns.route(&p)
	// An error means that the socket has ended meanwhile.
	if _, err := s.queue.PushWait(queued{in}, s.ns.server.opts.pending(), (*source)(s)); err == nil {
		s.client.line.Add(&s.queue)
	}
}

// route finds the way of an event to its handler, and its name without a copy if
// it is a known one.
func (n *Namespace) route(p *packet.Packet) (string, *endpoint) {
	r := n.routes.Load()
	if e := r.events[string(p.Name)]; e != nil {
		return e.name, e
	}
	return p.EventName(), r.unknown
}

// finish is the last task of a socket: it says goodbye and leaves the rooms.
func (s *Socket) finish() {
	defer s.ns.server.sockets.Leave()
	defer func() { s.ns.leave(s.mayReturn()) }()
	defer s.client.over()
	if s.accepted {
		s.ns.disconnected(s)
	}
	visit := s.depart()
	s.ns.tell()
	s.runEnd()
	s.release(s.whyEnded(), visit)
}

// depart takes the socket out of its rooms, and returns which these were, and when, if
// its client may come back.
func (s *Socket) depart() (visit rooms.History) {
	if s.recovery == nil {
		s.ns.index.Remove(&s.member)
	} else {
		visit = s.ns.index.RemoveWithHistory(&s.member)
	}
	return visit
}
