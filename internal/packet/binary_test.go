package packet_test

import (
	"encoding/json"
	"net"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/internal/packet"
)

type blob []byte

type embedded struct{ Inner []byte }

type file struct {
	embedded

	Name   string `json:"name"`
	Data   []byte `json:"data"`
	Thumb  blob   `json:"thumb,omitempty"`
	Parts  [][]byte
	Ptr    *[]byte
	Any    any
	hidden []byte
	Skip   []byte `json:"-"`
}

// wrapped does its own encoding, so what it holds is its own affair.
type wrapped struct{ B []byte }

func (w wrapped) MarshalJSON() ([]byte, error) { return json.Marshal(len(w.B)) }

// selfMade decodes itself.
type selfMade struct{ text string }

func (s *selfMade) UnmarshalJSON(p []byte) error { s.text = string(p); return nil }

type textual []byte

func (x textual) MarshalText() ([]byte, error) { return x, nil }

func TestAppendBinary(t *testing.T) {
	t.Parallel()
	a, b, c := []byte{1}, []byte{2, 2}, []byte{}
	const p0, p1, p2 = `{"_placeholder":true,"num":0}`, `{"_placeholder":true,"num":1}`, `{"_placeholder":true,"num":2}`
	for _, x := range []struct {
		id   string
		arg  any
		want string
		bin  [][]byte
	}{
		{"1.3 binary event", a, `51-["e",` + p0 + `]`, [][]byte{a}},
		{"empty", c, `51-["e",` + p0 + `]`, [][]byte{c}},
		{"nil", []byte(nil), `2["e",null]`, nil},
		{"nil inside", map[string][]byte{"a": nil}, `2["e",{"a":null}]`, nil},
		{"named", blob(a), `51-["e",` + p0 + `]`, [][]byte{a}},
		{"SIO-ENC-5 order", []any{a, map[string]any{"z": b, "a": c}}, `53-["e",[` + p0 + `,{"a":` + p1 + `,"z":` + p2 + `}]]`, [][]byte{a, c, b}},
		{"13.15.25 null beside", map[string]any{"a": nil, "b": a}, `51-["e",{"a":null,"b":` + p0 + `}]`, [][]byte{a}},
		{"slice of slices", [][]byte{a, nil, b}, `52-["e",[` + p0 + `,null,` + p1 + `]]`, [][]byte{a, b}},
		{"pointer", &a, `51-["e",` + p0 + `]`, [][]byte{a}},
		{"array", [2]any{a, "x"}, `51-["e",[` + p0 + `,"x"]]`, [][]byte{a}},
		{"typed map", map[int]any{2: a, 1: 0}, `51-["e",{"1":0,"2":` + p0 + `}]`, [][]byte{a}},
		{"interface in a struct", struct{ V any }{&struct{ B []byte }{a}}, `51-["e",{"V":{"B":` + p0 + `}}]`, [][]byte{a}},
		{"array of bytes", [2]byte{1, 2}, `2["e",[1,2]]`, nil},
		{"section 14 HTML", []any{a, "<&>\u2028"}, "51-[\"e\",[" + p0 + ",\"<&>\u2028\"]]", [][]byte{a}},
		{"invalid UTF-8", []any{a, "\xff"}, "51-[\"e\",[" + p0 + ",\"\ufffd\"]]", [][]byte{a}},
		{"opaque", wrapped{a}, `2["e",1]`, nil},
		{"opaque beside binary", []any{wrapped{a}, textual("t"), net.IPv4(1, 2, 3, 4), json.RawMessage(`"r"`), b}, `51-["e",[1,"t","1.2.3.4","r",` + p0 + `]]`, [][]byte{b}},
		{"opaque in an interface", []json.Marshaler{wrapped{a}}, `2["e",[1]]`, nil},
		{
			"struct",
			file{embedded{c}, "n", a, nil, [][]byte{b}, nil, []any{a}, a, a},
			`54-["e",{"Inner":` + p0 + `,"name":"n","data":` + p1 + `,"Parts":[` + p2 + `],"Ptr":null,"Any":[{"_placeholder":true,"num":3}]}]`,
			[][]byte{c, a, b, a},
		},
	} {
		t.Run(x.id, func(t *testing.T) {
			t.Parallel()
			got, bin, err := packet.AppendEvent(nil, nil, packet.Header{}, "e", []any{x.arg})
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != x.want {
				t.Errorf("got  %s\nwant %s", got, x.want)
			}
			if diff := cmp.Diff(x.bin, bin); diff != "" {
				t.Errorf("attachments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendBinaryHeader(t *testing.T) {
	t.Parallel()
	h := packet.Header{Namespace: "/back", ID: 127, HasID: true}
	got, bin, err := packet.AppendAck([]byte("4"), nil, h, []any{"a", []byte("xxx"), struct{}{}})
	if want := `461-/back,127["a",{"_placeholder":true,"num":0},{}]`; err != nil || string(got) != want { // 13.15.29
		t.Errorf("got %s, error %v, want %s", got, err, want)
	}
	if diff := cmp.Diff([][]byte{[]byte("xxx")}, bin); diff != "" {
		t.Error(diff)
	}
	args := make([]any, 12)
	for i := range args {
		args[i] = []byte{byte(i)}
	}
	got, bin, err = packet.AppendEvent(nil, nil, packet.Header{}, "e", args)
	if err != nil || len(bin) != 12 || string(got[:8]) != `512-["e"` {
		t.Errorf("12 attachments: %s, %d, error %v", got, len(bin), err)
	}
}

func TestSIO_ENC_7_EncodingLeavesArgumentsAlone(t *testing.T) {
	t.Parallel()
	build := func() []any {
		return []any{map[string]any{"a": []byte{1}, "b": []any{[]byte{2}, "x"}}, &file{Data: []byte{3}, Any: []byte{4}}}
	}
	args := build()
	_, bin, err := packet.AppendEvent(nil, nil, packet.Header{}, "e", args)
	if err != nil || len(bin) != 4 {
		t.Fatalf("%d attachments, error %v", len(bin), err)
	}
	if want := build(); !reflect.DeepEqual(args, want) {
		t.Errorf("changed to %v", args)
	}
}

// Tests 13.15.21 to 29: what is sent arrives.
func TestBinaryRoundTrip(t *testing.T) {
	t.Parallel()
	ptr := []byte("ptr")
	want := file{
		Name: "n", Data: []byte("data"), Thumb: blob("thumb"), Parts: [][]byte{[]byte("p"), nil, {}},
		embedded: embedded{[]byte("in")}, Ptr: &ptr,
		Any: map[string]any{"deep": []any{[]byte("any"), nil, true, false, 1.5, "s\n", map[string]any{}, []any{}}},
	}
	k := roundTrip(t, want)
	var got file
	var dynamic any
	if err := k.Args.Decode(nil, &got, &dynamic); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !reflect.DeepEqual(dynamic, want.Any) {
		t.Errorf("got  %+v\nwant %+v", dynamic, want.Any)
	}
}

// roundTrip sends a file, and what it has in Any once more.
func roundTrip(t *testing.T, v file) packet.Packet {
	t.Helper()
	text, bin, err := packet.AppendEvent(nil, nil, packet.Header{Namespace: "/deep", ID: 999, HasID: true}, "e", []any{v, v.Any})
	if err != nil {
		t.Fatal(err)
	}
	k, err := receive(new(packet.Decoder), string(text), bin...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestDecodeBinaryInto(t *testing.T) {
	t.Parallel()
	const p = `{"_placeholder":true,"num":0}`
	a := []byte{7}
	for _, c := range []struct {
		name, in  string
		dst, want any
	}{
		{"bytes", p, new([]byte), a},
		{"named bytes", p, new(blob), blob(a)},
		{"pointer", p, new(*[]byte), &a},
		{"any", p, new(any), a},
		{"raw", p, new(json.RawMessage), json.RawMessage(`"Bw=="`)},
		{"raw inside", `{"k":` + p + `}`, new(map[string]json.RawMessage), map[string]json.RawMessage{"k": json.RawMessage(`"Bw=="`)}},
		{"inside raw", `{"k" : [ 1, ` + p + `, {"x":{}}]}`, new(json.RawMessage), json.RawMessage(`{"k":[1,"Bw==",{"x":{}}]}`)},
		{"what decodes itself", `{"k":{"a":` + p + `}}`, new(map[string]selfMade), map[string]selfMade{"k": {`{"a":"Bw=="}`}}},
		{"map of any", `{"k":` + p + `,"s":"x"}`, new(map[string]any), map[string]any{"k": a, "s": "x"}},
		{"slice of any", `[` + p + `,1]`, new([]any), []any{a, 1.0}},
		{"map of bytes", `{"k":` + p + `,"b":"AQI=","n":null}`, new(map[string][]byte), map[string][]byte{"k": a, "b": {1, 2}, "n": nil}},
		{"bytes as JSON array", `[[1,2],` + p + `]`, new([][]byte), [][]byte{{1, 2}, a}},
		{"case of names", `{"NAME":"x","DATA":` + p + `}`, new(file), file{Name: "x", Data: a}},
		{"duplicate names", `{"k":1,"k":` + p + `}`, new(any), map[string]any{"k": a}},
		{"interface with a pointer", p, func() any { var v any = new([]byte); return &v }(), &a},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, err := receive(new(packet.Decoder), `61-[`+c.in+`]`, a)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Args.Decode(nil, c.dst); err != nil {
				t.Fatal(err)
			}
			if got := reflect.ValueOf(c.dst).Elem().Interface(); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v, want %#v", got, c.want)
			}
		})
	}
}

func TestDecodeBinaryErrors(t *testing.T) {
	t.Parallel()
	const p = `{"_placeholder":true,"num":0}`
	for _, c := range []struct {
		name, in string
		dst      any
	}{
		{"into a string", p, new(string)},
		{"into an int", `[` + p + `]`, new([]int)},
		{"an object that is none", `[{},` + p + `]`, new([][]byte)},
		{"a number out of range", `[1e999,` + p + `]`, new(any)},
		{"a number out of range in an object", `{"k":1e999,"p":` + p + `}`, new(any)},
		{"an array", `[[` + p + `]]`, new([][]byte)},
		{"not a pointer", p, []byte{}},
		{"a nil pointer", p, (*[]byte)(nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k, err := receive(new(packet.Decoder), `61-[`+c.in+`]`, []byte{7})
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Args.Decode(nil, c.dst); err == nil {
				t.Errorf("no error, got %v", c.dst)
			}
		})
	}
}
