package cluster_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// A generator makes packets of all types.
type generator struct {
	*rand.Rand

	binary      bool
	attachments [][]byte
}

var texts = []string{"", "a", "/", "é😀", "\"\\/\n\x00\u2028", "_placeholder", "7", strings.Repeat("x", 40), "go12345678901234"}

func (g *generator) text() string { return texts[g.IntN(len(texts))] }

func (g *generator) list() []string {
	var list []string
	for range g.IntN(3) {
		list = append(list, g.text())
	}
	return list
}

func (g *generator) number() string {
	switch g.IntN(6) {
	case 0:
		return strconv.FormatUint(g.Uint64(), 10)
	case 1:
		return strconv.FormatUint(math.MaxUint64-g.Uint64N(3), 10)
	case 2:
		return strconv.FormatInt(-g.Int64N(math.MaxInt64)-1, 10)
	case 3:
		return strconv.FormatInt(int64(g.IntN(300)-150), 10)
	case 4:
		return []string{"1e300", "-0", "9223372036854775808.0", "1e2", "0.1", "-9223372036854775808", "9007199254740993"}[g.IntN(7)]
	default:
		return string(rawjson.AppendFloat(nil, math.Ldexp(g.Float64()-0.5, g.IntN(200)-100), 64))
	}
}

// value returns JSON, with placeholders at any depth.
func (g *generator) value(depth int) string {
	switch n := g.IntN(9); {
	case n < 2 && depth > 0:
		parts := make([]string, g.IntN(4))
		for i := range parts {
			parts[i] = g.value(depth - 1)
			if n == 1 {
				parts[i] = string(rawjson.AppendName(nil, g.text())) + ":" + parts[i]
			}
		}
		return string("[{"[n]) + strings.Join(parts, " ,") + string("]}"[n])
	case n == 2 && g.binary:
		g.attachments = append(g.attachments, make([]byte, g.IntN(3)))
		return string(rawjson.AppendPlaceholder(nil, len(g.attachments)-1))
	case n == 3:
		return `{"\u005fplaceholder":true,"num":0}`
	case n == 4:
		return string(rawjson.AppendString(nil, g.text()))
	case n == 5:
		return []string{"null", "true", "false"}[g.IntN(3)]
	default:
		return g.number()
	}
}

func (g *generator) values(first ...string) ([]byte, [][]byte) {
	g.attachments = nil
	for range g.IntN(4) {
		first = append(first, g.value(4))
	}
	return []byte("[" + strings.Join(first, ",") + "]"), g.attachments
}

func (g *generator) message(t cluster.Type) *adapter.Message {
	m := &adapter.Message{Target: adapter.Target{Rooms: g.list(), Except: g.list()}}
	switch t { //nolint:exhaustive // the others have nothing of that kind
	case cluster.Broadcast:
		m.Kind, m.Volatile, m.NoCompress = adapter.Broadcast, g.IntN(2) > 0, g.IntN(2) > 0
		m.Data, m.Attachments = g.values(`"event"`)
		if g.IntN(2) > 0 {
			m.DropOldest, m.Latest = g.IntN(100), g.text()
		}
	case cluster.ServerSideEmit:
		m.Kind, m.Target = adapter.ServerEvent, adapter.Target{}
		m.Data, m.Attachments = g.values(`"\u0065vent"`)
	case cluster.SocketsJoin:
		m.Kind, m.Rooms = adapter.Join, g.list()
	case cluster.SocketsLeave:
		m.Kind, m.Rooms = adapter.Leave, g.list()
	case cluster.DisconnectSockets:
		m.Kind, m.Close = adapter.Disconnect, g.IntN(2) > 0
	default:
		m.Kind = adapter.Fetch
	}
	return m
}

func (g *generator) sockets() []adapter.Socket {
	list := []adapter.Socket{}
	for range g.IntN(3) {
		list = append(list, adapter.Socket{
			ID: g.text(), Rooms: g.list(),
			Data: []byte(`{"a":` + g.number() + `,"\u005fplaceholder":true}`), Handshake: []byte(`{"headers":{}}`),
		})
	}
	return list
}

// answer returns a reply with everything that one can have.
func (g *generator) answer() *adapter.Reply {
	r := new(adapter.Reply)
	switch g.IntN(5) {
	case 0:
		r.Expected = append([]string{}, g.list()...)
	case 1:
		r.Sockets = g.sockets()
	case 2:
		r.Clients = g.IntN(1000)
	case 3:
		r.Ack = &adapter.Ack{Socket: g.text(), Gone: g.IntN(2) > 0, Dropped: g.IntN(2) > 0, Blocked: g.IntN(2) > 0, Error: g.text()}
	default:
		r.Ack = &adapter.Ack{Socket: g.text()}
		r.Ack.Data, r.Ack.Attachments = g.values()
	}
	return r
}

func (g *generator) presence() *cluster.Presence {
	return &cluster.Presence{
		Name: g.text(), Version: g.Uint64(), All: g.IntN(2) > 0, More: g.IntN(2) > 0,
		Namespaces: g.list(), Joined: g.text(), Left: g.text(), Address: g.text(), Prefix: g.text(),
	}
}

func (g *generator) packet(t cluster.Type) *cluster.Packet {
	p := &cluster.Packet{Type: t, From: g.text(), Namespace: g.text()}
	switch t { //nolint:exhaustive // the others have nothing of that kind
	case cluster.InitialHeartbeat, cluster.Heartbeat:
		p.Presence = g.presence()
		return p
	case cluster.AdapterClose:
		return p
	case cluster.Broadcast, cluster.SocketsJoin, cluster.SocketsLeave, cluster.DisconnectSockets,
		cluster.FetchSockets, cluster.ServerSideEmit:
		p.Message = g.message(t)
		if t != cluster.ServerSideEmit {
			p.Timeout = time.Duration(g.IntN(3)) * time.Millisecond
		}
	case cluster.BroadcastClientCount:
		p.Clients = g.IntN(1000)
	case cluster.FetchSocketsResponse:
		p.Reply = &adapter.Reply{Sockets: g.sockets()}
	case cluster.BroadcastAck, cluster.ServerSideEmitResponse:
		g.attachments = nil
		a := &adapter.Ack{Data: []byte("[" + g.value(4) + "]")}
		a.Attachments = g.attachments
		p.Reply = &adapter.Reply{Ack: a}
	case cluster.Answer:
		p.Reply, p.Part, p.Done, p.To = g.answer(), g.IntN(3), g.IntN(2) > 0, g.text()
	case cluster.Relayed:
		p.To, p.Bytes = g.text(), []byte(strings.Repeat(g.text()+"\xff\x00", g.IntN(500)))
	default:
		p.To = g.text()
	}
	switch t { //nolint:exhaustive // the others have nothing of that kind
	case cluster.SocketsJoin, cluster.SocketsLeave, cluster.DisconnectSockets, cluster.Resync, cluster.Relayed:
	default:
		p.RequestID = "id" + g.text()
	}
	return p
}

// allTypes has the types of all packets.
func allTypes() []cluster.Type {
	var list []cluster.Type
	for t := cluster.InitialHeartbeat; t <= cluster.AdapterClose; t++ {
		list = append(list, t)
	}
	return append(list, cluster.Answer, cluster.Cancel, cluster.Resync, cluster.Relayed)
}

// Every packet is the same when it arrives, whatever its values are.
func TestEveryPacketArrivesAsItWas(t *testing.T) {
	t.Parallel()
	for _, typ := range allTypes() {
		t.Run(fmt.Sprint(typ), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(300) {
				g := generator{Rand: rand.New(rand.NewPCG(seed, uint64(typ))), binary: seed%2 == 0}
				arrives(t, g.packet(typ))
			}
		})
	}
}

// arrives encodes and decodes a packet in all forms.
func arrives(tb testing.TB, p *cluster.Packet) {
	tb.Helper()
	data := func(b []byte) (*cluster.Packet, error) { return cluster.DecodeData(p.Type, p.From, p.Namespace, b) }
	for _, form := range []struct {
		binary bool
		encode func([]byte, *cluster.Packet) ([]byte, error)
		decode func([]byte) (*cluster.Packet, error)
	}{
		{false, cluster.AppendJSON, cluster.Decode},
		{true, cluster.AppendMessagePack, cluster.Decode},
		{false, cluster.AppendDataJSON, data},
		{true, cluster.AppendDataMessagePack, data},
	} {
		out, err := form.encode([]byte("before"), p)
		if p.HasBinary() && !form.binary {
			if err == nil {
				tb.Fatalf("JSON with binary values: %s", out)
			}
			continue
		}
		if err != nil {
			if strings.Contains(err.Error(), "ParseFloat") {
				return // a number that is out of range
			}
			tb.Fatalf("%v: %s", err, mustJSON(tb, p))
		}
		out = out[len("before"):]
		got, err := form.decode(out)
		if err != nil {
			tb.Fatalf("%v: %q", err, out)
		}
		mustMean(tb, got, p)
	}
}
