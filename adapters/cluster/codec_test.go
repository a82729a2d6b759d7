package cluster_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

func message(data string, attachments ...[]byte) *adapter.Message {
	return &adapter.Message{Kind: adapter.Broadcast, Data: []byte(data), Attachments: attachments}
}

// Official servers read such messages, so this one does, too.
func TestCAP_F_22_ECO_MX_1_WhatMayBeMissing(t *testing.T) {
	t.Parallel()
	hello := message(`["e",1]`)
	room := message(`["e",1]`)
	room.Target.Rooms = []string{"7", "a", "1.5", "0"}
	for _, c := range []struct {
		name, in string
		want     cluster.Packet
	}{
		{"another order", `{"nsp":"/","uid":"u","data":{"opts":{},"packet":{"data":["e",1],"type":2}},"type":3}`, cluster.Packet{From: "u", Namespace: "/", Message: hello}},
		{"space", "{\n" + `"type" : 3 , "data" : { "packet" : { "data" : ["e",1] } } }`, cluster.Packet{Message: hello}},
		{"no uid, nsp, opts", `{"type":3,"data":{"packet":{"type":2,"data":["e",1]}}}`, cluster.Packet{Message: hello}},
		{"nsp in the packet", `{"type":3,"data":{"packet":{"type":2,"data":["e",1],"nsp":"/a"}}}`, cluster.Packet{Namespace: "/a", Message: hello}},
		{"both", `{"type":3,"nsp":"/b","data":{"packet":{"type":2,"data":["e",1],"nsp":"/a"}}}`, cluster.Packet{Namespace: "/b", Message: hello}},
		{"null", `{"type":3,"uid":null,"nsp":null,"data":{"requestId":null,"packet":{"data":["e",1],"nsp":null},"opts":{"rooms":null,"except":null,"flags":null}}}`, cluster.Packet{Message: hello}},
		{"ECO-RC-15 numbers", `{"type":3,"data":{"packet":{"data":["e",1]},"opts":{"rooms":[7,"a",1.5,-0]}}}`, cluster.Packet{Message: room}},
		{"CAP-F-5 unknown members", `{"x":{},"type":3,"data":{"y":[],"packet":{"z":1,"data":["e",1]},"opts":{"w":1,"flags":{"expectSingleResponse":true,"binary":true,"local":true}}}}`, cluster.Packet{Message: hello}},
		{"members twice", `{"type":4,"type":3,"data":{},"data":{"packet":{"data":["e",1]}}}`, cluster.Packet{Message: hello}},
		{"escapes in names", `{"\u0074ype":3,"data":{"packet":{"data":["e",1]}}}`, cluster.Packet{Message: hello}},
		{"a type that is a float", `{"type":3.0,"data":{"packet":{"data":["e",1]}}}`, cluster.Packet{Message: hello}},
	} {
		p, err := cluster.Decode([]byte(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		c.want.Type = cluster.Broadcast
		if diff := cmp.Diff(&c.want, p); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// What is no packet is refused, and nothing of it is done.
func TestCF_1_CF_3_Refused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 512) + strings.Repeat("]", 512)
	for _, in := range []string{
		"", "x", "{", "[]", "null", `{"type":3}`, `{"data":{}}`, `{"type":"3"}`, `{"type":0}`, `{"type":256}`, `{"type":-1}`, `{"type":3.5}`,
		`{"type":3,"data":[]}`, `{"type":3,"data":{}}`, `{"type":3,"data":{"packet":null}}`, `{"type":3,"data":{"packet":{}}}`,
		`{"type":3,"data":{"packet":{"data":null}}}`, `{"type":3,"data":{"packet":{"data":{}}}}`,
		`{"type":3,"data":{"packet":{"data":[]}}}`, `{"type":3,"data":{"packet":{"data":[null]}}}`,
		`{"type":3,"data":{"packet":{"data":[{}]}}}`, `{"type":3,"data":{"packet":{"data":["disconnect"]}}}`,
		`{"type":3,"data":{"packet":{"data":["\u0063onnect"]}}}`, `{"type":3,"data":{"packet":{"type":3,"data":["e"]}}}`,
		`{"type":3,"data":{"packet":{"data":["e"]},"opts":{"rooms":[null]}}}`, `{"type":3,"data":{"packet":{"data":["e"]},"opts":{"rooms":[{}]}}}`,
		`{"type":3,"data":{"packet":{"data":["e"]},"opts":{"rooms":"a"}}}`, `{"type":3,"data":{"packet":{"data":["e"]},"opts":[]}}`,
		`{"type":3,"data":{"packet":{"data":["e","` + "\xff" + `"]}}}`, `{"type":3,"uid":{},"data":{"packet":{"data":["e"]}}}`,
		`{"type":3,"data":{"packet":{"data":["e",` + deep + `]}}}`,
		`{"type":4,"data":{}}`, `{"type":4,"data":{"rooms":{}}}`, `{"type":7,"data":{}}`, `{"type":8,"data":{"sockets":[]}}`,
		`{"type":8,"data":{"requestId":"a","sockets":{}}}`, `{"type":8,"data":{"requestId":"a","sockets":[1]}}`,
		`{"type":9,"data":{}}`, `{"type":9,"data":{"packet":[true]}}`, `{"type":11,"data":{"requestId":"a","clientCount":-1}}`,
		`{"type":11,"data":{"requestId":"a","clientCount":1e9}}`, `{"type":12,"data":{"packet":1}}`,
		`{"type":2,"data":{"version":-1}}`, `{"type":64,"data":{"requestId":"a","ack":{"data":1}}}`, `{"type":64,"data":{"requestId":"a","ack":1}}`,
		"\x81\xa4type\x03", "\xdf\xff\xff\xff\xff", "\xdd\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff", "\xdb\xff\xff\xff\xff\x00", "\xc1", "\xc0\xc0",
		"\x82\xa4type\x03\xa4data\x81\xa6packet\x81\xa4data\x92\xa1e\xa1\xff",          // not UTF-8
		"\x82\xa4type\x03\xa4data\x81\xa6packet\x81\xa4data\x91\xc4\x01e",              // a binary name
		"\x82\xa4type\x03\xa4data\x81\xa6packet\x81\xa4data\x92\xa1e\xd4\x05\x00",      // an unknown extension
		"\x82\xa4type\x03\xa4data\x81\xa6packet\xc4\x01\x00",                           // a binary packet
		"\x82\xa4type\x03\xa4data\x82\xa6packet\x81\xa4data\x91\xa1e\xa4opts\xc4\x00x", // trailing bytes
	} {
		if p, err := cluster.Decode([]byte(in)); err == nil {
			t.Errorf("%.80q became %+v", in, p)
		} else if len(err.Error()) > 200 || !strings.HasPrefix(err.Error(), "cluster: ") {
			t.Errorf("%.80q: %v", in, err)
		}
	}
	if _, err := cluster.DecodeData(cluster.Broadcast, "u", "/", nil); err == nil { // CF-1
		t.Error("a broadcast without data is one")
	}
}

// Types of a later version are passed on without content.
func TestUnknownTypes(t *testing.T) {
	t.Parallel()
	for _, in := range []string{`{"type":14,"uid":"u","data":[1]}`, `{"type":255,"uid":"u"}`, `{"type":63,"uid":"u","data":{"packet":1}}`} {
		p, err := cluster.Decode([]byte(in))
		if err != nil || p.From != "u" || p.Message != nil || p.Reply != nil {
			t.Errorf("%s: %+v, error %v", in, p, err)
		}
	}
}

// What cannot be sent as it is, is not sent.
func TestCannotBeEncoded(t *testing.T) {
	t.Parallel()
	deep := `["e",` + strings.Repeat("[", 512) + strings.Repeat("]", 512) + "]"
	room := message(`["e"]`)
	room.Target.Rooms = []string{"\xff"}
	for name, p := range map[string]*cluster.Packet{
		"a room that is not UTF-8":    {Type: cluster.Broadcast, Message: room},
		"text that is not UTF-8":      {Type: cluster.Broadcast, Message: message("[\"e\",\"\xff\"]")},
		"an id that is not UTF-8":     {Type: cluster.Broadcast, From: "\xff", Message: message(`["e"]`)},
		"a namespace not in UTF-8":    {Type: cluster.Broadcast, Namespace: "/\xff", Message: message(`["e"]`)},
		"an invalid event":            {Type: cluster.Broadcast, Message: message(`["e"`)},
		"an event without a name":     {Type: cluster.ServerSideEmit, Message: message(`[]`)},
		"nested too deeply":           {Type: cluster.Broadcast, Message: message(deep)},
		"an attachment that is alone": {Type: cluster.Broadcast, Message: message(`["e"]`, []byte{1})},
		"an attachment twice":         {Type: cluster.Broadcast, Message: message(`["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, []byte{1})},
		"no message":                  {Type: cluster.Broadcast},
		"no reply":                    {Type: cluster.FetchSocketsResponse},
		"no ack":                      {Type: cluster.BroadcastAck, Reply: &adapter.Reply{}},
		"an invalid ack":              {Type: cluster.BroadcastAck, Reply: &adapter.Reply{Ack: &adapter.Ack{Data: []byte("x")}}},
		"an invalid answer":           {Type: cluster.Answer, Reply: &adapter.Reply{Ack: &adapter.Ack{Data: []byte("x")}}},
		"an unknown type":             {Type: 42},
		"no type":                     {},
		"data that is no JSON":        {Type: cluster.FetchSocketsResponse, Reply: &adapter.Reply{Sockets: []adapter.Socket{{Data: []byte("{")}}}},
	} {
		for _, encode := range []func([]byte, *cluster.Packet) ([]byte, error){
			cluster.AppendJSON, cluster.AppendMessagePack, cluster.AppendDataJSON, cluster.AppendDataMessagePack,
		} {
			out, err := encode([]byte("before"), p)
			outside := p.From != "" || p.Namespace != "" // of the data
			if err == nil && !outside || string(out) != "before" && !outside {
				t.Errorf("%s: %q, error %v", name, out, err)
			}
		}
		if _, err := cluster.AppendMessagePack(nil, p); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A binary value that is not part of the event does not count, and moves no other.
func TestBinaryValuesElsewhere(t *testing.T) {
	t.Parallel()
	in := "\x82\xa4data\x82\xa1x\xc4\x01\x09\xa6packet\x82\xa1y\xc4\x00\xa4data\x93\xa1e\xc4\x01\x01\x91\xc4\x01\x02\xa4type\x03"
	p, err := cluster.Decode([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	const want = `["e",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]]`
	if diff := cmp.Diff(message(want, []byte{1}, []byte{2}), p.Message); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// An object that looks like a placeholder is what it is.
func TestLookalikes(t *testing.T) {
	t.Parallel()
	p, err := cluster.Decode([]byte(`{"type":3,"data":{"packet":{"data":["e",{"_placeholder":true,"num":0}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := `["e",{"\u005fplaceholder":true,"num":0}]`; string(p.Message.Data) != want {
		t.Errorf("got %s, want %s", p.Message.Data, want)
	}
}

// A short message that claims to be long costs nothing (CAP-F-1: the two kinds of length).
func TestClaimsAllocateNothing(t *testing.T) { //nolint:paralleltest // it counts what the whole process allocates
	for _, in := range []string{"\xdf\xff\xff\xff\xff", "\xdd\x7f\xff\xff\xff", "\xc6\x7f\xff\xff\xff", "\xc9\x7f\xff\xff\xff\x00"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := cluster.Decode([]byte(in))
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > 1<<16 {
			t.Errorf("%x: error %v, %d bytes", in, err, n)
		}
	}
}

// Dates are the extension that MessagePack has for them, in its three sizes.
func TestCAP_F_1_Dates(t *testing.T) {
	t.Parallel()
	for ext, want := range map[string]string{
		"\xd6\xff\x00\x00\x00\x01":                                     "1970-01-01T00:00:01.000Z",
		"\xd7\xff\x07\x73\x59\x40\x00\x00\x00\x01":                     "1970-01-01T00:00:01.031Z",
		"\xc7\x0c\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff": "1969-12-31T23:59:59.000Z",
	} {
		p, err := cluster.Decode([]byte("\x82\xa4type\x03\xa4data\x81\xa6packet\x81\xa4data\x92\xa1e" + ext))
		if err != nil {
			t.Errorf("%s: %v", want, err)
		} else if got := string(p.Message.Data); got != `["e","`+want+`"]` {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"800": 800 * time.Millisecond, "0.5": time.Millisecond, "0": 0, "-1": 0, `"x"`: 0, "null": 0, "1e300": 1000 * time.Hour,
	} {
		p, err := cluster.Decode([]byte(`{"type":7,"data":{"requestId":"a","opts":{"flags":{"timeout":` + value + `}}}}`))
		if err != nil || p.Timeout != want {
			t.Errorf("%s: %v, error %v", value, p, err)
		}
	}
}

// A later version of this module may send more than this one knows.
func TestAnswersOfALaterVersion(t *testing.T) {
	t.Parallel()
	p, err := cluster.Decode([]byte(`{"type":64,"new":1,"data":{"requestId":"a","later":{"x":[]},"ack":{"socket":"s","later":true,"data":[1]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &adapter.Reply{Ack: &adapter.Ack{Socket: "s", Data: []byte("[1]")}}
	if diff := cmp.Diff(want, p.Reply); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Binary data of a socket of an official server is what encoding/json makes of it.
func TestBinaryDataOfSockets(t *testing.T) {
	t.Parallel()
	in := "\x82\xa4type\x08\xa4data\x82\xa9requestId\xa1r\xa7sockets\x92\x82\xa2id\xa1a\xa4data\x81\xa1b\xc4\x03abc\x81\xa2id\xa1b"
	p, err := cluster.Decode([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	empty := []byte("{}")
	want := []adapter.Socket{{ID: "a", Data: []byte(`{"b":"YWJj"}`), Handshake: empty}, {ID: "b", Data: empty, Handshake: empty}}
	if diff := cmp.Diff(want, p.Reply.Sockets); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
