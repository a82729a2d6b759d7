package msgpack_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
)

// hello is an event with a binary value.
func hello() *parser.Packet {
	return &parser.Packet{
		Type: parser.Event, Namespace: "/", Data: []byte(`["evt",1,{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{9}},
	}
}

// Packets as the JavaScript server writes them; what is undefined there is absent
// here.
func TestECO_MP_3_PacketsAreThoseOfTheJavaScriptServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		p          *parser.Packet
	}{
		{
			"CONNECT", "83 a474797065 00 a464617461 81 a3736964 a3616263 a36e7370 a12f",
			&parser.Packet{Type: parser.Connect, Namespace: "/", Data: []byte(`{"sid":"abc"}`)},
		},
		{"EVENT", "83 a474797065 02 a464617461 93 a3657674 01 c40109 a36e7370 a12f", hello()},
		{
			"EVENT with an id", "84 a474797065 02 a464617461 91 a361736b a26964 00 a36e7370 a12f",
			&parser.Packet{Type: parser.Event, Namespace: "/", HasID: true, Data: []byte(`["ask"]`)},
		},
		{
			"ACK", "84 a26964 00 a474797065 03 a464617461 91 a3796573 a36e7370 a12f",
			&parser.Packet{Type: parser.Ack, Namespace: "/", HasID: true, Data: []byte(`["yes"]`)},
		},
		{
			"CONNECT_ERROR", "83 a474797065 04 a36e7370 a52f6e6f7065 a464617461 81 a76d657373616765 b1496e76616c6964206e616d657370616365",
			&parser.Packet{Type: parser.ConnectError, Namespace: "/nope", Data: []byte(`{"message":"Invalid namespace"}`)},
		},
		{"DISCONNECT", "82 a474797065 01 a36e7370 a12f", &parser.Packet{Type: parser.Disconnect, Namespace: "/"}},
	} {
		if got, want := encode(t, c.p), unhex(t, c.want); !bytes.Equal(got, want) {
			t.Errorf("%s:\ngot  %x\nwant %x", c.name, got, want)
		}
	}
}

func TestECO_MP_6_ValuesHaveTheirShortestForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ value, want string }{
		{`null`, "c0"},
		{`false`, "c2"},
		{`true`, "c3"},
		{`0`, "00"},
		{`-0`, "00"},
		{`-0.0`, "00"},
		{`127`, "7f"},
		{`128`, "cc80"},
		{`255`, "ccff"},
		{`256`, "cd0100"},
		{`65535`, "cdffff"},
		{`65536`, "ce00010000"},
		{`4294967295`, "ceffffffff"},
		{`4294967296`, "cf0000000100000000"},
		{`9007199254740993`, "cf0020000000000001"},
		{`9223372036854775808`, "cf8000000000000000"},
		{`18446744073709551615`, "cfffffffffffffffff"},
		{`18446744073709551616`, "cb43f0000000000000"},
		{`-1`, "ff"},
		{`-32`, "e0"},
		{`-33`, "d0df"},
		{`-128`, "d080"},
		{`-129`, "d1ff7f"},
		{`-32768`, "d18000"},
		{`-32769`, "d2ffff7fff"},
		{`-2147483648`, "d280000000"},
		{`-2147483649`, "d3ffffffff7fffffff"},
		{`-9223372036854775808`, "d38000000000000000"},
		{`-9223372036854775809`, "d38000000000000000"}, // which is the nearest number that JavaScript has
		{`-9223372036854777857`, "cbc3e0000000000001"},
		{`1e2`, "64"},
		{`100.0`, "64"},
		{`-1.5e1`, "f1"},
		{`1e19`, "cf8ac7230489e80000"},
		{`1e20`, "cb4415af1d78b58c40"},
		{`1.5`, "cb3ff8000000000000"},
		{`5e-324`, "cb0000000000000001"},
		{`""`, "a0"},
		{`"é\n\"\u00e9\ud83d\ude00"`, "aa c3a9 0a 22 c3a9 f09f9880"},
		{`"\ud800"`, "a3efbfbd"},
		{`"` + strings.Repeat("x", 31) + `"`, "bf" + strings.Repeat("78", 31)},
		{`"` + strings.Repeat("x", 32) + `"`, "d920" + strings.Repeat("78", 32)},
		{`"` + strings.Repeat("x", 256) + `"`, "da0100" + strings.Repeat("78", 256)},
		{`"` + strings.Repeat("x", 65536) + `"`, "db00010000" + strings.Repeat("78", 65536)},
		{`[]`, "90"},
		{` [ 1 , [ ] ] `, "92 01 90"},
		{`[` + strings.Repeat("0,", 14) + `0]`, "9f" + strings.Repeat("00", 15)},
		{`[` + strings.Repeat("0,", 15) + `0]`, "dc0010" + strings.Repeat("00", 16)},
		{`[` + strings.Repeat("0,", 65535) + `0]`, "dd00010000" + strings.Repeat("00", 65536)},
		{`{}`, "80"},
		{`{"b":1,"a":{"c":null}}`, "82 a162 01 a161 81 a163 c0"},
		{`{` + strings.Repeat(`"":0,`, 15) + `"":0}`, "de0010" + strings.Repeat("a000", 16)},
		{`{"_placeholder":true,"num":0}`, "82 ac5f706c616365686f6c646572 c3 a36e756d 00"},
	} {
		got := encode(t, &parser.Packet{Type: parser.Ack, Namespace: "/", HasID: true, Data: []byte("[" + c.value + "]")})
		if want := ack(t, c.want); !bytes.Equal(got, want) {
			t.Errorf("%.40s:\ngot  %.80x\nwant %.80x", c.value, got, want)
		}
	}
}

func TestECO_MP_5_AttachmentsAreWrittenWhereTheirPlaceholdersAre(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte{7}, 1<<16)
	p := &parser.Packet{
		Type: parser.Ack, Namespace: "/", HasID: true,
		Data: []byte(`[[{"num":1,"_placeholder":true},{"a":{"_placeholder":true,"num":0.0}},` +
			`{"_placeholder":1,"num":0},{"\u005fplaceholder":true,"num":2},{"_placeholder":true,"num":2}]]`),
		Attachments: [][]byte{{1}, {}, long},
	}
	const name = "ac5f706c616365686f6c646572"
	want := ack(t, "95 c400 81a161c40101 82"+name+"01 a36e756d 00 82"+name+"c3 a36e756d 02 c600010000"+strings.Repeat("07", len(long)))
	if got := encode(t, p); !bytes.Equal(got, want) {
		t.Errorf("got  %.100x\nwant %.100x", got, want)
	}
}

func TestWhatIsNoPacketIsNotEncoded(t *testing.T) {
	t.Parallel()
	event := func(data string, attachments ...[]byte) *parser.Packet {
		return &parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(data), Attachments: attachments}
	}
	for name, p := range map[string]*parser.Packet{
		"a type that there is not":       {Type: 5, Namespace: "/"},
		"an event without data":          {Type: parser.Event, Namespace: "/"},
		"an event that is no array":      event(`{}`),
		"a DISCONNECT with data":         {Type: parser.Disconnect, Namespace: "/", Data: []byte(`{}`)},
		"a CONNECT with an array":        {Type: parser.Connect, Namespace: "/", Data: []byte(`[]`)},
		"a CONNECT_ERROR without data":   {Type: parser.ConnectError, Namespace: "/"},
		"JSON that ends too early":       event(`["a",`),
		"JSON with something behind it":  event(`["a"]1`),
		"invalid UTF-8":                  event("[\"\xff\"]"),
		"a number that nobody has":       event(`["a",1e999]`),
		"a placeholder out of range":     event(`["a",{"_placeholder":true,"num":1}]`, []byte{1}),
		"a placeholder without a number": event(`["a",{"_placeholder":true}]`, []byte{1}),
	} {
		if got, err := (msgpack.Parser{}).Encode(p); err == nil {
			t.Errorf("%s: no error, but %v", name, got)
		}
	}
}

func TestEncodingIsBoundedInDepth(t *testing.T) {
	t.Parallel()
	nested := func(depth int) *parser.Packet {
		return &parser.Packet{
			Type: parser.Event, Namespace: "/", Data: []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth)),
		}
	}
	if got, want := len(encode(t, nested(512))), len(encode(t, nested(1)))+511; got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	if _, err := (msgpack.Parser{}).Encode(nested(513)); err == nil {
		t.Error("no error for 513 levels")
	}
}

// Arrays and objects whose heads take more than a byte, one inside the other.
func TestHeadsOfNestedValues(t *testing.T) {
	t.Parallel()
	const zeros = "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"
	value, want := "0", "00"
	for i := range 100 {
		if i%2 == 0 {
			value, want = `[`+zeros+`, `+value+` ]`, "dc0010"+strings.Repeat("00", 15)+want
		} else {
			value, want = `{"a,]}":[ ],"b":{},"c":`+value+`}`, "83 a4612c5d7d 90 a162 80 a163"+want
		}
	}
	got := encode(t, &parser.Packet{Type: parser.Ack, Namespace: "/", HasID: true, Data: []byte("[" + value + "]")})
	if want := ack(t, want); !bytes.Equal(got, want) {
		t.Errorf("got  %.200x\nwant %.200x", got, want)
	}
}

func TestEncodingLeavesThePacketAlone(t *testing.T) {
	t.Parallel()
	p, want := hello(), describe(hello())
	messages, err := msgpack.Parser{}.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	first := slices.Clone(messages[0].Data)
	clear(p.Data)
	clear(p.Attachments[0])
	if !bytes.Equal(messages[0].Data, first) {
		t.Error("the message shares the packet's memory")
	}
	if again := encode(t, hello()); !bytes.Equal(messages[0].Data, first) || !bytes.Equal(again, first) {
		t.Error("messages share memory")
	}
	p = hello()
	encode(t, p)
	if got := describe(p); got != want {
		t.Errorf("%s became %s", want, got)
	}
}
