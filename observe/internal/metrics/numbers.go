package metrics

import sio "github.com/sioplug/sioplug/core"

// A Kind is the kind of a [Number].
type Kind int

// The kinds of numbers.
const (
	Total   Kind = iota // only grows
	Current             // what there is at the moment; those of several servers can be added
	Flag                // 1 or 0
)

// A Number is a metric, or one series of it, that is read from [sio.Server.Stats].
type Number struct {
	Desc

	Kind    Kind
	Values  []string // of the labels
	Cluster bool     // it exists only for servers with an adapter
	Of      func(s *sio.Stats) int64
}

// Numbers returns all numbers. Series of one metric have the same Desc, and follow each other.
func Numbers() []Number {
	var all []Number
	add := func(kind Kind, name, unit, help string, of func(s *sio.Stats) int64) {
		all = append(all, Number{Desc{name, unit, help, nil}, kind, nil, false, of})
	}
	sessions := Desc{"sessions", "{session}", "Connections that are open, by transport.", []string{"transport"}}
	dropped := Desc{"dropped_events", "{event}", "Events that slow clients did not get, by the policy of their broadcast.", []string{"policy"}}
	all = append(all,
		Number{sessions, Current, []string{"polling"}, false, func(s *sio.Stats) int64 { return int64(s.PollingSessions) }},
		Number{sessions, Current, []string{"websocket"}, false, func(s *sio.Stats) int64 { return int64(s.WebSocketSessions) }},
		Number{dropped, Total, []string{"drop_oldest"}, false, func(s *sio.Stats) int64 { return total(s.Dropped.Dropped) }},
		Number{dropped, Total, []string{"latest"}, false, func(s *sio.Stats) int64 { return total(s.Dropped.Replaced) }},
	)
	add(Current, "sockets", "{socket}", "Clients in all namespaces.", func(s *sio.Stats) int64 { return int64(s.Sockets) })
	add(Current, "namespaces", "{namespace}", "Namespaces that the server has.", func(s *sio.Stats) int64 { return int64(s.Namespaces) })
	add(Current, "rooms", "{room}", "Rooms with clients, in all namespaces.", func(s *sio.Stats) int64 { return int64(s.Rooms) })
	add(Total, "received_packets", "{packet}", "Packets of Engine.IO that came.", func(s *sio.Stats) int64 { return total(s.PacketsReceived) })
	add(Total, "sent_packets", "{packet}", "Packets of Engine.IO that were sent.", func(s *sio.Stats) int64 { return total(s.PacketsSent) })
	add(Total, "received_bytes", "By", "Bytes of packets that came, without headers.", func(s *sio.Stats) int64 { return total(s.BytesReceived) })
	add(Total, "sent_bytes", "By", "Bytes of packets that were sent, without headers and before compression.", func(s *sio.Stats) int64 { return total(s.BytesSent) })
	add(Current, "queued_bytes", "By", "Memory of packets that wait for clients.", func(s *sio.Stats) int64 { return int64(s.QueuedBytes) })
	return append(all, clusterNumbers()...)
}

func clusterNumbers() []Number {
	var all []Number
	add := func(kind Kind, name, unit, help string, of func(s *sio.Stats) int64) {
		all = append(all, Number{Desc{"cluster_" + name, unit, help, nil}, kind, nil, true, of})
	}
	add(Flag, "healthy", "", "1 if messages are sent, and those of other servers arrive.", func(s *sio.Stats) int64 { return flag(s.Cluster.Healthy) })
	add(Current, "members", "{server}", "Other servers that are known by name.", func(s *sio.Stats) int64 { return int64(len(s.Cluster.Members)) })
	add(Current, "queued_messages", "{message}", "Messages that wait for the broker.", func(s *sio.Stats) int64 { return int64(s.Cluster.Queued) })
	add(Current, "queued_bytes", "By", "Bytes of messages that wait for the broker.", func(s *sio.Stats) int64 { return int64(s.Cluster.QueuedBytes) })
	add(Total, "sent_messages", "{message}", "Messages that the broker has taken.", func(s *sio.Stats) int64 { return total(s.Cluster.Sent) })
	add(Total, "received_messages", "{message}", "Messages of other servers.", func(s *sio.Stats) int64 { return total(s.Cluster.Received) })
	add(Total, "lost_messages", "{message}", "Messages that the broker did not take, or may not have taken.", func(s *sio.Stats) int64 { return total(s.Cluster.Lost) })
	add(Total, "refused_messages", "{message}", "Messages of the broker that could not be read.", func(s *sio.Stats) int64 { return total(s.Cluster.Refused) })
	add(Total, "gaps", "{gap}", "Times after which messages of other servers may be missing.", func(s *sio.Stats) int64 { return total(s.Cluster.Gaps) })
	return all
}

// total returns a counter, which does not reach the bound in a million years.
func total(n uint64) int64 { return int64(min(n, 1<<62)) }

func flag(is bool) int64 {
	if is {
		return 1
	}
	return 0
}
