package msgpack_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
	"github.com/sioplug/sioplug/internal/packet"
)

// Whatever is accepted is a packet that the server takes or finds wrong by its own
// rules, and that is the same when it was encoded and decoded again.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"83a47479706502a46461746193a16582ac5f706c616365686f6c646572c3a36e756d00c40101a36e7370a12f", // looks like a placeholder
		"84a47479706502a46461746191a165a46461746192a165c40101a36e7370a12f",
		"83a47479706500a464617461d40000a36e7370a12f",
		"85a47479706502a46461746192a2686981a17801a76f7074696f6e7381a8636f6d7072657373c3a2696400a36e7370a12f",
		"84a2696400a47479706503a46461746192a3796573d7000000000000000000a36e7370a12f",
		"83a47479706502a46461746194a3657674c403010203c70200ffeed40000a36e7370a12f",
		"83a47479706502a46461746193a165cfffffffffffffffffcb3fb999999999999aa36e7370a12f",
		"82a47479706501a36e7370a12f",
	} {
		p, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := bytes.Clone(in)
		p, err := decode(in)
		if !bytes.Equal(in, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		size := 0
		for _, a := range p.Attachments {
			size += len(a)
		}
		placeholders := 40 * len(p.Attachments)
		if len(p.Attachments) > limits.MaxAttachments || size > len(in) || len(p.Data) > 6*len(in)+placeholders {
			t.Fatalf("%d bytes became %d and %d attachments with %d", len(in), len(p.Data), len(p.Attachments), size)
		}
		if p.Data != nil && (!json.Valid(p.Data) || !utf8.Valid(p.Data)) || p.ID > 1<<53-1 {
			t.Fatalf("impossible packet: %s", describe(p))
		}
		if p.Data != nil && packet.CheckData(p.Data, len(p.Attachments)) != nil && len(p.Attachments) > 0 {
			t.Fatalf("placeholders that stand for nothing: %s", describe(p))
		}
		want, err := build(p)
		if err != nil {
			return // such as a reserved name
		}
		again, err := decode(encode(t, p))
		if err != nil {
			t.Fatalf("decoding %s again: %v", describe(p), err)
		}
		got, err := build(again)
		if err != nil {
			t.Fatal(err)
		}
		mustEqual(t, got, want)
	})
}

// Any packet of the protocol's own encoding that a server accepts is the same after
// a detour by MessagePack.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{
		`["e",{"a":[1,-1,1.5,1e300,-0,18446744073709551615,9007199254740993]},"é\u0000\ud83d\ude00",true,null]`,
		` [ "e" , {"_placeholder":true,"num":0}, [{"num":1,"_placeholder":true}] ] `, `[1.5]`, `["a",{"":{"":[]}}]`,
	} {
		f.Add([]byte(s), []byte{1, 2}, []byte{})
	}
	f.Fuzz(func(t *testing.T, data, a, b []byte) {
		p := &parser.Packet{Type: parser.Event, Namespace: "/fuzz", ID: 7, HasID: true, Data: data, Attachments: [][]byte{a, b}}
		want, err := build(p)
		if err != nil {
			return
		}
		messages, err := msgpack.Parser{}.Encode(p)
		if err != nil {
			if strings.Contains(err.Error(), "ParseFloat") {
				return // a number that is out of range
			}
			t.Fatalf("encoding %s: %v", describe(p), err)
		}
		again, err := msgpack.Parser{}.NewDecoder(parser.Limits{MaxAttachments: math.MaxInt, MaxBytes: math.MaxInt}).Decode(messages[0])
		if err != nil {
			t.Fatalf("decoding %s: %v", describe(p), err)
		}
		got, err := build(again)
		if err != nil {
			t.Fatalf("%s became %s: %v", describe(p), describe(again), err)
		}
		mustEqual(t, got, want)
	})
}

// build does what a server does with a packet from a parser.
func build(p *parser.Packet) (packet.Packet, error) {
	return packet.Build(packet.Packet{Type: packet.Type(p.Type), Namespace: p.Namespace, ID: p.ID, HasID: p.HasID}, p.Data, p.Attachments)
}

// mustEqual compares packets by what they mean: numbers as JavaScript has them, and
// attachments as values.
func mustEqual(t *testing.T, got, want packet.Packet) {
	t.Helper()
	if got.Type != want.Type || got.Namespace != want.Namespace || got.HasID != want.HasID || got.ID != want.ID {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if want.Type == packet.Event && !bytes.Equal(got.Name, want.Name) && !sameJSON(got.Name, want.Name) {
		t.Fatalf("name %s, want %s", got.Name, want.Name)
	}
	if !sameJSON(got.Data, want.Data) {
		t.Fatalf("data %s, want %s", got.Data, want.Data)
	}
	g, w := values(t, got), values(t, want)
	if !reflect.DeepEqual(g, w) {
		t.Fatalf("arguments %v, want %v", g, w)
	}
}

// sameJSON reports whether two pieces of JSON mean the same in JavaScript.
func sameJSON(a, b []byte) bool {
	var va, vb any
	errA, errB := json.Unmarshal(a, &va), json.Unmarshal(b, &vb)
	return (errA == nil) == (errB == nil) && reflect.DeepEqual(va, vb)
}

func values(t *testing.T, p packet.Packet) []any {
	t.Helper()
	dst, list := make([]any, p.Args.Len()), make([]any, p.Args.Len())
	for i := range dst {
		dst[i] = &list[i]
	}
	if err := p.Args.Decode(nil, dst...); err != nil {
		t.Skip(err) // a number that is out of range
	}
	return list
}
