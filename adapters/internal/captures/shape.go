package captures

import (
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// Shape returns what a packet means, in the form of a message of the official cluster
// adapters. It knows nothing of how packets are encoded.
func Shape(tb testing.TB, p *cluster.Packet) any {
	tb.Helper()
	data := make(map[string]any)
	out := map[string]any{"type": float64(p.Type), "data": data}
	set(out, "uid", p.From)
	set(out, "nsp", p.Namespace)
	set(data, "requestId", p.RequestID)
	if m := p.Message; m != nil {
		kind, ok := kinds[p.Type]
		if !ok || kind != m.Kind {
			tb.Errorf("type %d has a message of kind %d", p.Type, m.Kind)
		}
		shapeMessage(tb, data, p)
	}
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case cluster.BroadcastClientCount:
		data["clientCount"] = float64(p.Clients)
	case cluster.FetchSocketsResponse:
		data["sockets"] = sockets(tb, p.Reply.Sockets)
	case cluster.BroadcastAck, cluster.ServerSideEmitResponse:
		values, _ := Value(tb, p.Reply.Ack.Data, p.Reply.Ack.Attachments).([]any)
		if len(values) > 0 {
			data["packet"] = values[0]
		}
	default:
	}
	return out
}

//nolint:gochecknoglobals // a table, of the types that have a message
var kinds = map[cluster.Type]adapter.Kind{
	cluster.Broadcast: adapter.Broadcast, cluster.SocketsJoin: adapter.Join, cluster.SocketsLeave: adapter.Leave,
	cluster.DisconnectSockets: adapter.Disconnect, cluster.FetchSockets: adapter.Fetch, cluster.ServerSideEmit: adapter.ServerEvent,
}

func set(m map[string]any, name, value string) {
	if value != "" {
		m[name] = value
	}
}

func shapeMessage(tb testing.TB, data map[string]any, p *cluster.Packet) {
	tb.Helper()
	m := p.Message
	switch p.Type { //nolint:exhaustive // the others have nothing of that kind
	case cluster.ServerSideEmit:
		data["packet"] = Value(tb, m.Data, m.Attachments)
		return
	case cluster.Broadcast:
		data["packet"] = map[string]any{"type": 2.0, "data": Value(tb, m.Data, m.Attachments)}
	case cluster.SocketsJoin, cluster.SocketsLeave:
		data["rooms"] = list(m.Rooms)
	case cluster.DisconnectSockets:
		data["close"] = m.Close
	default:
	}
	flags := make(map[string]any)
	if m.Volatile {
		flags["volatile"] = true
	}
	if m.NoCompress {
		flags["compress"] = false
	}
	if p.Timeout > 0 {
		flags["timeout"] = float64(p.Timeout) / float64(time.Millisecond)
	}
	data["opts"] = map[string]any{"rooms": list(m.Target.Rooms), "except": list(m.Target.Except), "flags": flags}
}

func list(names []string) []any {
	out := make([]any, len(names))
	for i, name := range names {
		out[i] = name
	}
	return out
}

func sockets(tb testing.TB, from []adapter.Socket) []any {
	tb.Helper()
	out := make([]any, len(from))
	for i, s := range from {
		out[i] = map[string]any{
			"id": s.ID, "rooms": list(s.Rooms), "data": FromJSON(tb, s.Data), "handshake": FromJSON(tb, s.Handshake),
		}
	}
	return out
}
