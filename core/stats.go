package sio

import "github.com/sioplug/sioplug/core/adapter"

// Stats are numbers of a server at one moment. Those of packets and bytes only grow.
type Stats struct {
	// Sessions are the connected clients by transport: a client counts once, however many
	// namespaces it is in. Sockets counts it in each namespace.
	PollingSessions   int
	WebSocketSessions int
	Sockets           int

	// Namespaces are those that the server has. Rooms are the rooms of all namespaces
	// that have clients of this server, without the rooms of their ids.
	Namespaces int
	Rooms      int

	// Packets are those of Engine.IO: a message, one for each attachment, and the
	// heartbeat. Bytes are those of packets, before compression and without the headers
	// of HTTP and WebSocket. What is sent counts when it goes to the connection, or into
	// the answer to a poll.
	PacketsReceived uint64
	PacketsSent     uint64
	BytesReceived   uint64
	BytesSent       uint64

	// QueuedBytes is the memory of all that waits to be sent: see [Socket.Buffered].
	QueuedBytes int

	Dropped DropCount // see [Server.Dropped]

	Cluster adapter.Status // see [Server.Cluster]
}

// Stats returns the numbers of the server. It visits each client and each namespace, for
// some 50 ns each, so it is for a scrape every few seconds and not for each message.
func (s *Server) Stats() Stats {
	e := s.engine.Stats()
	stats := Stats{
		PollingSessions: e.PollingSessions, WebSocketSessions: e.WebSocketSessions,
		PacketsReceived: e.PacketsReceived, PacketsSent: e.PacketsSent,
		BytesReceived: e.BytesReceived, BytesSent: e.BytesSent,
		QueuedBytes: e.QueuedBytes,
		Dropped:     s.Dropped(),
		Cluster:     s.Cluster(),
	}
	s.namespaces.Range(func(_, v any) bool {
		if n, ok := v.(*Namespace); ok {
			sockets, rooms := n.index.Sizes()
			stats.Namespaces++
			stats.Sockets += sockets
			stats.Rooms += rooms
		}
		return true
	})
	return stats
}
