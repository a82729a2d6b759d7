package sio

import (
	"github.com/sioplug/sioplug/core/internal/packet"
	"github.com/sioplug/sioplug/core/internal/rooms"
)

// event queues an event for its handler, on the read loop. If handlers cannot
// keep up it waits, and with it the client: nothing is lost.
func (s *Socket) event(p packet.Packet, in *inbound) {
	in.init(s, taskEvent)
	in.ctx.args, in.acks, in.ackID = p.Args, p.HasID, p.ID
	in.event, in.handler = s.ns.route(p.Name)
	// An error means that the socket has ended meanwhile.
	if idle, _ := s.queue.PushWait(queued{in}, s.ns.server.opts.pending(), s.holding); idle {
		s.client.hasWork(s)
	}
}

// runIf starts a goroutine for the last of the socket's tasks if nobody runs them:
// it does not come from what the client sent (see [client.Work]), and whoever
// ended the socket must not wait for handlers.
func (s *Socket) runIf(idle bool) {
	if idle {
		go s.queue.Run() // Shutdown waits for the last task
	}
}

// route finds the handler of an event, and its name without a copy if it is a
// known one.
func (n *Namespace) route(name []byte) (string, Handler) {
	r := n.routes.Load()
	if e, ok := r.events[string(name)]; ok {
		return e.name, e.handler
	}
	return string(name), r.unexpected
}

// holding is called when reading has to wait for handlers. Pongs are not read
// meanwhile, so the heartbeat has to wait too; unless a handler waits for an
// ack while its client sends more than even that allows, when the ping timeout
// is the way out.
func (s *Socket) holding(relaxed bool) (over func()) {
	s.client.workElsewhere()
	if relaxed {
		return func() {}
	}
	s.client.session.Hold()
	return s.client.session.Release
}

// finish is the last task of a socket: it says goodbye and leaves the rooms.
func (s *Socket) finish() {
	defer s.ns.server.sockets.Leave()
	defer s.ns.leave()
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
func (s *Socket) depart() (visit rooms.Visit) {
	if s.recovery == nil {
		s.ns.index.Remove(&s.member)
	} else {
		visit = s.ns.index.RemoveVisit(&s.member)
	}
	return visit
}
