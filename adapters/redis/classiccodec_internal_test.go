package redisadapter

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

func fetch(id string, rooms ...string) *cluster.Packet {
	return &cluster.Packet{
		Type: cluster.FetchSockets, RequestID: id,
		Message: &adapter.Message{Kind: adapter.Fetch, Target: adapter.Target{Rooms: rooms}},
	}
}

// Requests that only old servers send, and one that the official adapter sends and this
// module does not. Their answers are those of the official adapter.
func TestCAP_F_24_ECO_RC_22_ECO_RC_26_RequestsWithoutAPacket(t *testing.T) {
	t.Parallel()
	here := []adapter.Socket{{ID: "a", Rooms: []string{"a", "r2", "r1"}}, {ID: "b", Rooms: []string{"b", "r1"}}}
	join := &adapter.Message{Kind: adapter.Join, Target: adapter.Target{Rooms: []string{"a"}}, Rooms: []string{"old"}}
	leave := &adapter.Message{Kind: adapter.Leave, Target: join.Target, Rooms: []string{"7"}}
	disconnect := &adapter.Message{Kind: adapter.Disconnect, Target: join.Target, Close: true}
	for _, c := range []struct {
		in      string
		want    *cluster.Packet
		sockets []adapter.Socket
		answer  string
	}{
		{`{"requestId":"q0","type":0,"rooms":["r1"]}`, fetch("\x00sq0", "r1"), here, `{"requestId":"q0","sockets":["a","b"]}`},
		{`{"requestId":"q0","type":0,"rooms":[]}`, fetch("\x00sq0"), nil, `{"requestId":"q0","sockets":[]}`},
		{`{"requestId":"q1","type":1}`, fetch("\x00rq1"), here, `{"requestId":"q1","rooms":["a","b","r1","r2"]}`},
		{`{"requestId":"q5","type":5}`, fetch("q5"), nil, `{"requestId":"q5","sockets":[]}`}, // CAP-F-7: no opts
		{
			`{"requestId":"q2","type":2,"sid":"a","room":"old"}`,
			&cluster.Packet{Type: cluster.SocketsJoin, RequestID: "\x00cq2", Message: join}, here[:1], `{"requestId":"q2"}`,
		},
		{
			`{"requestId":"q3","type":3,"sid":"a","room":7}`,
			&cluster.Packet{Type: cluster.SocketsLeave, RequestID: "\x00cq3", Message: leave}, nil, ``,
		},
		{
			`{"requestId":"q4","type":4,"sid":"a","close":true}`,
			&cluster.Packet{Type: cluster.DisconnectSockets, RequestID: "\x00cq4", Message: disconnect}, here[:1], `{"requestId":"q4"}`,
		},
	} {
		p, err := decodeClassic([]byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if !reflect.DeepEqual(p, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.in, p, c.want)
		}
		if p.Type != cluster.FetchSockets {
			if p = confirmation(p); p == nil || p.Type != cluster.FetchSockets || !reflect.DeepEqual(p.Message.Target, join.Target) {
				t.Errorf("%s: it is confirmed by %+v", c.in, p)
				continue
			}
		} else if confirmation(p) != nil {
			t.Errorf("%s: a request for sockets needs no other one", c.in)
		}
		answer, err := appendClassic(nil, &cluster.Packet{
			Type: cluster.FetchSocketsResponse, From: "go", RequestID: p.RequestID, Reply: &adapter.Reply{Sockets: c.sockets},
		})
		if err != nil || string(answer) != c.answer {
			t.Errorf("%s: the answer is %s, error %v", c.in, answer, err)
		}
	}
}

// A request without a requestId, or in JSON instead of MessagePack, and what is ignored.
func TestCAP_F_24_OtherForms(t *testing.T) {
	t.Parallel()
	p, err := decodeClassic([]byte(`{"type":6,"data":["e"]}`))
	if err != nil || p.Type != cluster.ServerSideEmit || p.RequestID != "" || p.From != "" {
		t.Errorf("got %+v, error %v", p, err)
	}
	p, err = decodeClassic([]byte(`{"requestId":"q7","type":7,"packet":{"type":2,"data":["e"],"nsp":"/"},"opts":{"rooms":["a"]}}`))
	if err != nil || p.Type != cluster.Broadcast || p.RequestID != "q7" || p.Namespace != "/" || p.Message.Target.Rooms[0] != "a" {
		t.Errorf("got %+v, error %v", p, err)
	}
	for _, in := range []string{`{"type":42,"requestId":"a"}`, `{"type":10}`, `{"type":63}`} {
		if p, err := decodeClassic([]byte(in)); p != nil || err != nil {
			t.Errorf("%s: %+v, error %v", in, p, err)
		}
	}
	for _, in := range []string{`{"requestId":"a"}`, `{"requestId":"a","sockets":["b"]}`, `{"requestId":"a","sockets":[]}`, `{"requestId":"a","type":42}`} {
		p, err := decodeClassicResponse([]byte(in))
		if err != nil || p != nil && (p.Type != cluster.FetchSocketsResponse || len(p.Reply.Sockets) > 0) {
			t.Errorf("%s: %+v, error %v", in, p, err)
		}
	}
}

func TestClassicRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "x", "{", "null", "\x93\x01\x02\x03", "\x90", "\x92\xa1u\x81\xa4data\x91\xa1e\x00", "\xdd\xff\xff\xff\xff", "\xc1",
		"\x92\xa1u\x81\xa4data\x91\xc3", "\x92\xa1u\x81\xa4data\x92\xa1e\xa1\xff", "\x93\xa1u\x81\xa4data\x91\xa1e\x01",
		`{}`, `{"type":"5"}`, `{"type":-1}`, `{"type":5}`, `{"type":0}`, `{"type":1}`, `{"type":7,"packet":{"data":["e"]}}`,
		`{"type":2,"rooms":["a"]}`, `{"type":2,"opts":{}}`, `{"type":3,"sid":"a"}`, `{"type":4}`, `{"type":4,"close":true}`, `{"type":4,"sid":""}`,
		`{"type":5,"requestId":"a","opts":{"rooms":[null]}}`, `{"type":6}`, `{"type":6,"data":[null]}`, `{"type":6,"data":["disconnect"]}`,
		`{"type":5,"requestId":"\u0000sa"}`, `{"type":2,"requestId":"\u0000ca","sid":"a","room":"b"}`,
	} {
		if p, err := decodeClassic([]byte(in)); err == nil {
			t.Errorf("%q became %+v", in, p)
		} else if !strings.HasPrefix(err.Error(), "redisadapter: ") {
			t.Errorf("%q: %v", in, err)
		}
	}
	for _, in := range []string{`{}`, `{"type":8}`, `{"type":8,"requestId":"a","clientCount":-1}`, `{"type":9}`, `{"requestId":"a","sockets":{}}`, "\x90"} {
		if p, err := decodeClassicResponse([]byte(in)); p != nil || err == nil && in != `{"requestId":"a","sockets":{}}` {
			t.Errorf("%q became %+v, error %v", in, p, err)
		}
	}
}

// A server-side event and its answer keep their binary values, as MessagePack. Official
// servers send JSON here (ECO-RC-41), and read either.
func TestECO_RC_41_BinaryServerSideEvents(t *testing.T) {
	t.Parallel()
	const data = `["e",{"_placeholder":true,"num":0}]`
	event := &cluster.Packet{
		Type: cluster.ServerSideEmit, From: "go", RequestID: "a",
		Message: &adapter.Message{Kind: adapter.ServerEvent, Data: []byte(data), Attachments: [][]byte{{1, 2}}},
	}
	answer := &cluster.Packet{
		Type: cluster.ServerSideEmitResponse, RequestID: "a",
		Reply: &adapter.Reply{Ack: &adapter.Ack{Data: []byte(`[{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2}}}},
	}
	for p, decode := range map[*cluster.Packet]func([]byte) (*cluster.Packet, error){event: decodeClassic, answer: decodeClassicResponse} {
		out, err := appendClassic(nil, p)
		if err != nil || out[0] == '{' {
			t.Fatalf("%q, error %v", out, err)
		}
		if got, err := decode(out); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("got %+v, error %v", got, err)
		}
	}
}

// What only servers of this module send has the form of package cluster.
func TestClassicOwnPackets(t *testing.T) {
	t.Parallel()
	answer := &cluster.Packet{
		Type: cluster.Answer, From: "go12345678901234", Namespace: "/", RequestID: "a", To: "go12345678901235", Done: true,
		Reply: &adapter.Reply{Ack: &adapter.Ack{Socket: "s", Data: []byte(`[1,2]`)}},
	}
	out, err := appendClassic(nil, answer)
	if err != nil {
		t.Fatal(err)
	}
	for _, decode := range []func([]byte) (*cluster.Packet, error){decodeClassic, decodeClassicResponse} {
		if got, err := decode(out); err != nil || !reflect.DeepEqual(got, answer) {
			t.Errorf("got %+v, error %v", got, err)
		}
	}
}

// What slow clients may miss travels as flags that the official adapter does not look at.
func TestClassicKeepsWhatSlowClientsMayMiss(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		requestID string
		m         adapter.Message
	}{
		{"", adapter.Message{DropOldest: 7, Latest: "car:é"}},
		{"q", adapter.Message{DropOldest: 1, Volatile: true}},
		{"", adapter.Message{}},
	} {
		m := c.m
		m.Kind, m.Data = adapter.Broadcast, []byte(`["e",1]`)
		b, err := appendClassic(nil, &cluster.Packet{Type: cluster.Broadcast, From: "go", Namespace: "/", RequestID: c.requestID, Message: &m})
		if err != nil {
			t.Fatal(err)
		}
		p, err := decodeClassic(b)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if got := p.Message; got.DropOldest != m.DropOldest || got.Latest != m.Latest || got.Volatile != m.Volatile {
			t.Errorf("got %+v, want %+v", got, m)
		}
	}
	for in, want := range map[string]adapter.Message{
		`{"dropOldest":true,"latest":true}`:    {},
		`{"dropOldest":-1,"latest":null}`:      {},
		`{"dropOldest":1e300,"latest":7}`:      {DropOldest: 1 << 30},
		`{"dropOldest":"7","latest":["k"]}`:    {},
		`{"dropOldest":2.9,"latest":"\ud83d"}`: {DropOldest: 2, Latest: "\ufffd"},
	} {
		p, err := decodeClassic([]byte(`{"uid":"u","requestId":"q","type":7,"packet":{"type":2,"nsp":"/","data":["e"]},"opts":{"rooms":[],"except":[],"flags":` + in + `}}`))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := p.Message; got.DropOldest != want.DropOldest || got.Latest != want.Latest {
			t.Errorf("%s: got %+v", in, got)
		}
	}
}
