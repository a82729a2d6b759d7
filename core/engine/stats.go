package engine

import (
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
)

// Stats are numbers of a server at one moment. Those of packets and bytes only grow.
//
// Packets are those of Engine.IO: messages, pings, pongs and so on. Their bytes are those
// of the protocol, before compression and without the headers of HTTP and WebSocket. A
// packet counts as sent when it goes to the connection or into the answer to a poll.
type Stats struct {
	PollingSessions   int // open sessions by transport
	WebSocketSessions int

	PacketsReceived uint64
	PacketsSent     uint64
	BytesReceived   uint64
	BytesSent       uint64

	QueuedBytes int // memory of what waits for clients: see [Session.Buffered]
}

// Stats returns the numbers of the server. It visits each session, for some 50 ns. So
// call it every few seconds, not for each message.
func (e *Server) Stats() Stats {
	e.mu.RLock()
	sum := e.forgotten
	sessions := make([]*Session, 0, len(e.sessions))
	for _, s := range e.sessions {
		sessions = append(sessions, s)
	}
	e.mu.RUnlock()
	queued := 0
	for _, s := range sessions {
		s.mu.Lock()
		sum.add(s.traffic)
		queued += s.queue.bytes
		s.mu.Unlock()
	}
	webSockets := int(e.webSockets.Load())
	return Stats{
		PollingSessions: max(0, e.ClientsCount()-webSockets), WebSocketSessions: webSockets,
		PacketsReceived: sum.packetsIn, PacketsSent: sum.packetsOut,
		BytesReceived: sum.bytesIn, BytesSent: sum.bytesOut,
		QueuedBytes: queued,
	}
}

// A traffic counts packets and bytes. That of a session is guarded by its mu, which is
// locked for each packet anyway. So counting costs an addition.
type traffic struct {
	packetsIn, packetsOut uint64
	bytesIn, bytesOut     uint64
}

func (t *traffic) add(o traffic) {
	t.packetsIn += o.packetsIn
	t.packetsOut += o.packetsOut
	t.bytesIn += o.bytesIn
	t.bytesOut += o.bytesOut
}

// countReceived counts a packet, and reports whether the session is open.
func (s *Session) countReceived(p payload.Packet) (open bool) {
	n := uint64(len(p.Data))
	if !p.Binary {
		n++ // the type
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return false
	}
	s.traffic.packetsIn++
	s.traffic.bytesIn += n
	return true
}

// countSentLocked counts packets that are about to be sent.
func (s *Session) countSentLocked(frames []*frame.Frame) {
	var t traffic
	for _, f := range frames {
		if !f.Control() {
			t.packetsOut++
			t.bytesOut += uint64(len(f.Payload()))
		}
	}
	s.traffic.add(t)
	if s.forgotten {
		s.server.mu.Lock()
		s.server.forgotten.add(t)
		s.server.mu.Unlock()
	}
}
