package packet_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/packet"
)

// lookalikes are values that have the form of a placeholder and are none.
func lookalikes() map[string]any {
	type fields struct {
		Is  bool `json:"_placeholder"`
		Num int  `json:"num"`
	}
	return map[string]any{
		"a map":                   map[string]any{"_placeholder": true, "num": 0.0},
		"a map far below":         []any{1.0, map[string]any{"x": []any{map[string]any{"_placeholder": true, "num": 99.0}}}},
		"a map without num":       map[string]any{"_placeholder": true},
		"a typed map":             map[string]int{"_placeholder": 1, "num": 0},
		"a struct":                fields{true, 0},
		"raw JSON":                json.RawMessage(`{"_placeholder":true,"num":0}`),
		"raw JSON, escaped":       json.RawMessage(`{"\u005fplaceholder":true,"num":7}`),
		"raw JSON, other escapes": json.RawMessage(`{"_placeholde\u0072":true,"num":0}`),
		"what encodes itself":     lookalike{},
		"a struct of both": struct {
			B   []byte
			L   fields
			Raw json.RawMessage
			M   map[string]any
			B2  []byte
		}{[]byte{7}, fields{true, 1}, json.RawMessage(`{"_placeholder":true,"num":1}`), map[string]any{"_placeholder": true}, []byte{8}},
		"a string": "_placeholder",
	}
}

type lookalike struct{}

func (lookalike) MarshalJSON() ([]byte, error) { return []byte(`{"_placeholder":true,"num":0}`), nil }

// treeOf returns what encoding/json makes of v, with its binary data in base64.
func treeOf(t *testing.T, v any) (tree any) {
	t.Helper()
	if err := json.Unmarshal(mustMarshal(t, v), &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// An encoding without placeholders of its own, that of package msgpack for example,
// gets the application's objects as they are, beside binary data and without.
func TestLookalikesOfPlaceholdersAreValues(t *testing.T) {
	t.Parallel()
	for name, v := range lookalikes() {
		for _, codec := range []packet.Codec{nil, packet.DefaultCodec()} {
			data, bin, err := packet.AppendEventData(nil, codec, "e", []any{v, []byte("bin"), v})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			k, err := packet.Build(packet.Packet{Type: packet.Event}, data, bin)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, data, err)
			}
			var raw, raw2 json.RawMessage
			var got []byte
			if err := k.Args.Decode(nil, &raw, &got, &raw2); err != nil || string(got) != "bin" {
				t.Fatalf("%s: %s: %q, error %v", name, data, got, err)
			}
			if want := treeOf(t, v); !reflect.DeepEqual(treeOf(t, raw), want) || !reflect.DeepEqual(treeOf(t, raw2), want) {
				t.Errorf("%s: %s became %s and %s", name, data, raw, raw2)
			}
			if strings.HasPrefix(name, "a map") {
				var tree any
				if err := k.Args.Decode(nil, &tree); err != nil || !reflect.DeepEqual(tree, v) {
					t.Errorf("%s: %s became %v, error %v", name, data, tree, err)
				}
			}
		}
	}
}

// The protocol's own encoding has no form for such objects beside binary data: clients
// would close their connections. So whoever emits is told, and a client that sends one
// cannot throw out those who get it together with a picture of the server's.
func TestPlaceholderKickByALookalikeBesideBinaryData(t *testing.T) {
	t.Parallel()
	for name, v := range lookalikes() {
		_, _, err := packet.AppendEvent(nil, nil, packet.Header{}, "e", []any{v, []byte("bin")})
		if fine := name == "a typed map" || name == "a string"; fine != (err == nil) || err != nil && err != packet.ErrLooksBinary {
			t.Errorf("%s: error %v", name, err)
		}
		if name == "a struct of both" {
			continue
		}
		text, bin, err := packet.AppendAck(nil, nil, packet.Header{}, []any{v})
		if err != nil || len(bin) > 0 {
			t.Fatalf("%s, alone: %d attachments, error %v", name, len(bin), err)
		}
		k, err := receive(new(packet.Decoder), string(text))
		if err != nil {
			t.Fatalf("%s, alone: %v", name, err)
		}
		var raw json.RawMessage
		if err := k.Args.Decode(nil, &raw); err != nil || !reflect.DeepEqual(treeOf(t, raw), treeOf(t, v)) {
			t.Errorf("%s, alone, became %s, error %v", name, raw, err)
		}
	}
}

// A client that sends what only looks like binary data cannot have a handler that
// decodes it into anything refer to the data of others.
func TestPlaceholdersWithoutAttachmentsAreValues(t *testing.T) {
	t.Parallel()
	k, err := receive(new(packet.Decoder), `2["m",{"_placeholder":true,"num":0}]`)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	var raw json.RawMessage
	if err := k.Args.Decode(nil, &v); err != nil || !reflect.DeepEqual(v, map[string]any{"_placeholder": true, "num": 0.0}) {
		t.Errorf("got %v, error %v", v, err)
	}
	if err := k.Args.Decode(nil, &raw); err != nil || string(raw) != `{"_placeholder":true,"num":0}` {
		t.Errorf("got %s, error %v", raw, err)
	}
	if err := k.Args.Decode(nil, new([]byte)); err == nil {
		t.Error("it was decoded as binary data")
	}
}

// Attachments of a packet that is no text message are checked alike, and become base64
// where a codec reads them: in the payload of a CONNECT.
func TestBuild(t *testing.T) {
	t.Parallel()
	const p0, p1 = `{"_placeholder":true,"num":0}`, `{"_placeholder":true,"num":1}`
	one, two := [][]byte{{7}}, [][]byte{{7}, {8}}
	for _, c := range []struct {
		typ  packet.Type
		data string
		bin  [][]byte
		want string // of the arguments or the payload; "" for an error
	}{
		{packet.Event, `["e",` + p0 + `]`, one, p0},
		{packet.Event, `["e",` + p1 + `,` + p0 + `]`, two, p1 + `,` + p0},
		{packet.Event, `["e",` + p0 + `]`, two, ``},
		{packet.Event, `["e",` + p0 + `,` + p0 + `]`, one, ``},
		{packet.Event, `["e",` + p1 + `]`, one, ``},
		{packet.Event, `["e",` + p1 + `]`, nil, p1},
		{packet.Event, `["e",{"\u005fplaceholder":true,"num":0},` + p0 + `]`, one, `{"\u005fplaceholder":true,"num":0},` + p0},
		{packet.Connect, `{"a":[` + p0 + `]}`, one, `{"a":["Bw=="]}`},
		{packet.Connect, `{"a":[` + p0 + `,` + p0 + `]}`, one, ``},
		{packet.Connect, `{}`, one, ``},
		{packet.Disconnect, ``, one, ``},
	} {
		k, err := packet.Build(packet.Packet{Type: c.typ, Namespace: "/"}, []byte(c.data), c.bin)
		if got := strings.Trim(string(k.Args.AppendData(nil)), "[]") + string(k.Data); (err == nil) != (c.want != "") || err == nil && got != c.want {
			t.Errorf("%s with %d attachments: %s, error %v", c.data, len(c.bin), got, err)
		}
	}
}
