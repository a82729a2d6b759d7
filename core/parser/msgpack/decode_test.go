package msgpack_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
)

// Packets as the JavaScript client writes them.
func TestECO_MP_1_ECO_MP_2_PacketsOfTheJavaScriptClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"CONNECT without auth", "83 a474797065 00 a464617461 d40000 a36e7370 a12f", `0 /`},
		{"CONNECT", "83 a474797065 00 a464617461 81a17401 a36e7370 a42f6e7370", `0 /nsp {"t":1}`},
		{"CONNECT without the member", "82 a474797065 00 a36e7370 a12f", `0 /`},
		{
			"EVENT with an id", "85 a474797065 02 a464617461 92a2686981a17801 a76f7074696f6e73 81a8636f6d7072657373c3 a26964 00 a36e7370 a12f",
			`2 / id=0 ["hi",{"x":1}]`,
		},
		{"ACK", "84 a474797065 03 a26964 00 a464617461 91a172 a36e7370 a12f", `3 / id=0 ["r"]`},
		{"DISCONNECT", "82 a474797065 01 a36e7370 a12f", `1 /`},
		{"another order", "84 a36e7370 a22f61 a464617461 91a165 a26964 cd0100 a474797065 02", `2 /a id=256 ["e"]`},
		{"an id that is undefined", "84 a474797065 02 a464617461 91a165 a26964 d40000 a36e7370 a12f", `2 / ["e"]`},
		{"map 16, str 8, wide numbers", "de0003 d90474797065 cf0000000000000002 d90464617461 dc0001d90165 d9036e7370 d9012f", `2 / ["e"]`},
		{"map 32, str 32, signed numbers", "df00000003 a474797065 d20000 0002 a464617461 dd00000001db0000000165 a36e7370 da00012f", `2 / ["e"]`},
		{"a type that is a float", "83 a474797065 cb4000000000000000 a464617461 91a165 a36e7370 a12f", `2 / ["e"]`},
		{"members twice", "85 a474797065 01 a464617461 91c40107 a464617461 91c40109 a36e7370 a12f a474797065 03", `3 / [{"_placeholder":true,"num":0}] 09`},
		{"a member that nobody knows", "84 a474797065 02 a178 93c40101d40000d7000000000000000000 a464617461 91a165 a36e7370 a12f", `2 / ["e"]`},
	} {
		p, err := decode(unhex(t, c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := describe(p); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestECO_MP_4_ECO_MP_5_ECO_MP_6_Values(t *testing.T) {
	t.Parallel()
	const p0, p1 = `{"_placeholder":true,"num":0}`, `{"_placeholder":true,"num":1}`
	for _, c := range []struct{ value, want string }{
		{"c0", `null`},
		{"c2", `false`},
		{"c3", `true`},
		{"7f", `127`},
		{"e0", `-32`},
		{"cc80", `128`},
		{"cdffff", `65535`},
		{"ceffffffff", `4294967295`},
		{"cfffffffffffffffff", `18446744073709551615`},
		{"d080", `-128`},
		{"d07f", `127`},
		{"d18000", `-32768`},
		{"d280000000", `-2147483648`},
		{"d38000000000000000", `-9223372036854775808`},
		{"ca3f800000", `1`},
		{"ca3dcccccd", `0.10000000149011612`},
		{"cb3fb999999999999a", `0.1`},
		{"cb8000000000000000", `-0`},
		{"cb7fefffffffffffff", `1.7976931348623157e+308`},
		{"cb0000000000000001", `5e-324`},
		{"cb7ff8000000000001", `null`}, // NaN
		{"cbfff0000000000000", `null`}, // -Infinity
		{"a0", `""`},
		{"a7 22 5c 0a 00 7f c3a9", `"\"\\\n\u0000` + "\x7fé" + `"`},
		{"a1 ff", `"` + "\ufffd" + `"`},
		{"a3 eda0bd", `"` + "\ufffd\ufffd\ufffd" + `"`}, // half a surrogate pair
		{"81 a1ff 01", `{"` + "\ufffd" + `":1}`},
		{"80", `{}`},
		{"90", `[]`},
		{"82 ac5f706c616365686f6c646572 c3 a36e756d 00", `{"\u005fplaceholder":true,"num":0}`},
		{"ac5f706c616365686f6c646572", `"_placeholder"`},
		{"83 a161 01 a162 d40000 a163 02", `{"a":1,"c":2}`}, // undefined
		{"82 a161 d40000 a162 d40000", `{}`},
		{"83 a161 d40000 a162 01 a163 d40000", `{"b":1}`},
		{"93 d40000 d400ff 01", `[null,null,1]`},
		{"82 01 a161 d0ff a162", `{"1":"a","-1":"b"}`},
		{"c40109", p0 + " 09"},
		{"92 c400 c5000101", `[` + p0 + `,` + p1 + `]  01`},
		{"c6 00000002 0102", p0 + " 0102"},
		{"c7 02 00 0102", p0 + " 0102"}, // typed arrays of browsers, of every length
		{"c7 00 00", p0 + " "},
		{"c7 01 00 05", p0 + " 05"},
		{"c7 08 00 0102030405060708", p0 + " 0102030405060708"},
		{"c8 0001 00 05", p0 + " 05"},
		{"c9 00000001 00 05", p0 + " 05"},
		{"d5 00 0102", p0 + " 0102"},
		{"d6 00 01020304", p0 + " 01020304"},
		{"d8 00 000102030405060708090a0b0c0d0e0f", p0 + " 000102030405060708090a0b0c0d0e0f"},
		{"d7 00 0000000000000000", `"1970-01-01T00:00:00.000Z"`},
		{"d7 00 ffffffffffffffff", `"1969-12-31T23:59:59.999Z"`},
		{"d7 00 001eb208c2dc0000", `"+275760-09-13T00:00:00.000Z"`},
		{"d7 00 ffe14df73d240000", `"-271821-04-20T00:00:00.000Z"`},
		{"d7 00 ffffc77cedd32800", `"0001-01-01T00:00:00.000Z"`},
		{"d7 00 ffffc77590fba000", `"0000-01-01T00:00:00.000Z"`},
		{"d7 00 ffffc77590fb9fff", `"-000001-12-31T23:59:59.999Z"`},
		{"d7 00 0000e677d21fdc00", `"+010000-01-01T00:00:00.000Z"`},
		{"d6 ff 00000001", `"1970-01-01T00:00:01.000Z"`},
		{"d7 ff 77359400 00000001", `"1970-01-01T00:00:01.500Z"`},
		{"c7 0c ff 3b9ac9ff ffffffffffffffff", `"1969-12-31T23:59:59.999Z"`},
	} {
		p, err := decode(ack(t, c.value))
		if err != nil {
			t.Errorf("%s: %v", c.value, err)
			continue
		}
		want, rest, _ := strings.Cut(c.want, " ")
		if strings.Contains(want, `{"_placeholder`) {
			rest = " " + rest
		}
		if got := describe(p); got != "3 / id=0 ["+want+"]"+rest {
			t.Errorf("%s: got %s, want %s", c.value, got, c.want)
		}
	}
}

func TestECO_MP_8_ECO_MP_9_ECO_MP_10_WhatIsNoPacketIsRefused(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"nothing":                         "",
		"no map":                          "93 00 c0 a12f",
		"no member":                       "80",
		"no type":                         "82 a464617461 91a165 a36e7370 a12f",
		"a type that there is not":        "83 a474797065 05 a464617461 91a165 a36e7370 a12f",
		"a type with a fraction":          "83 a474797065 cb4000000000000001 a464617461 91a165 a36e7370 a12f",
		"a negative type":                 "83 a474797065 ff a464617461 91a165 a36e7370 a12f",
		"a type that is a string":         "83 a474797065 a132 a464617461 91a165 a36e7370 a12f",
		"a type that is undefined":        "83 a474797065 d40000 a464617461 91a165 a36e7370 a12f",
		"no namespace":                    "82 a474797065 02 a464617461 91a165",
		"a namespace that is nil":         "83 a474797065 02 a464617461 91a165 a36e7370 c0",
		"a CONNECT with nil":              "83 a474797065 00 a464617461 c0 a36e7370 a12f",
		"a CONNECT with an array":         "83 a474797065 00 a464617461 90 a36e7370 a12f",
		"a DISCONNECT with data":          "83 a474797065 01 a464617461 80 a36e7370 a12f",
		"a CONNECT_ERROR without data":    "82 a474797065 04 a36e7370 a12f",
		"an EVENT without data":           "82 a474797065 02 a36e7370 a12f",
		"an EVENT with undefined":         "83 a474797065 02 a464617461 d40000 a36e7370 a12f",
		"an EVENT with a map":             "83 a474797065 02 a464617461 80 a36e7370 a12f",
		"an ACK with bytes":               "83 a474797065 03 a464617461 c40109 a36e7370 a12f",
		"an id that is nil":               "84 a474797065 02 a464617461 91a165 a26964 c0 a36e7370 a12f",
		"a negative id":                   "84 a474797065 02 a464617461 91a165 a26964 ff a36e7370 a12f",
		"an id of 2^53":                   "84 a474797065 02 a464617461 91a165 a26964 cf0020000000000000 a36e7370 a12f",
		"an id with a fraction":           "84 a474797065 02 a464617461 91a165 a26964 cb3ff8000000000000 a36e7370 a12f",
		"trailing bytes":                  "82 a474797065 01 a36e7370 a12f 00",
		"a name that is a number":         "82 a474797065 01 01 a12f",
		"a map that ends too early":       "83 a474797065 01 a36e7370 a12f",
		"a map of 2^32-1":                 "dfffffffff a474797065 01 a36e7370 a12f",
		"an unknown member that is cut":   "83 a474797065 01 a36e7370 a12f a178 93",
		"nothing but JSON":                digits(`{"type":2,"data":["e"],"nsp":"/"}`),
		"a text packet":                   digits(`2["e"]`),
		"a type that MessagePack has not": "83 a474797065 c1 a464617461 91a165 a36e7370 a12f",
	} {
		if p, err := decode(unhex(t, in)); err == nil {
			t.Errorf("%s was accepted: %s", name, describe(p))
		}
	}
	if _, err := (msgpack.Parser{}).NewDecoder(limits).Decode(parser.Message{Data: []byte(`2["e"]`)}); err == nil {
		t.Error("a text message was accepted")
	}
}

func digits(s string) string { return fmt.Sprintf("%x", s) }

func TestECO_MP_9_ValuesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"nothing":                           "",
		"a type that there is not":          "c1",
		"a string that ends too early":      "a2 78",
		"a string of 4 GiB":                 "db ffffffff 78",
		"a head that ends too early":        "da 00",
		"bytes that end too early":          "c4 02 01",
		"bytes of 4 GiB":                    "c6 ffffffff 01",
		"an array of 2^32-1":                "dd ffffffff 00",
		"a map of 2^32-1":                   "df ffffffff",
		"a number that ends too early":      "cf 00",
		"a float that ends too early":       "cb 00",
		"a key that is nil":                 "81 c0 01",
		"a key that is undefined":           "81 d40000 01",
		"an extension without its type":     "c7 01",
		"an extension of 4 GiB":             "c9 ffffffff 00 01",
		"an extension that ends too early":  "d8 00 01",
		"an extension that nobody knows":    "d4 01 00",
		"a timestamp of a wrong length":     "d5 ff 0000",
		"a timestamp of too many nanos":     "d7 ff ee6b2800 00000001",
		"a date that JavaScript cannot say": "d7 00 001eb208c2dc0001",
		"a date before all":                 "d7 00 8000000000000000",
		"a timestamp after all":             "c7 0c ff 00000000 7fffffffffffffff",
	} {
		if p, err := decode(ack(t, value)); err == nil {
			t.Errorf("%s was accepted: %s", name, describe(p))
		}
	}
}

func TestDecodingIsBoundedInDepth(t *testing.T) {
	t.Parallel()
	nested := func(open string, depth int) []byte { return ack(t, strings.Repeat(open, depth-1)+"90") }
	for _, open := range []string{"91", "81a0", "dd00000001"} {
		if p, err := decode(nested(open, 511)); err != nil { // and the list of arguments around it
			t.Errorf("%s, at the limit: %v", open, err)
		} else if n := bytes.Count(p.Data, []byte("[")) + bytes.Count(p.Data, []byte("{")); n != 512 {
			t.Errorf("%s: %d levels", open, n)
		}
		if _, err := decode(nested(open, 512)); err == nil {
			t.Errorf("%s, past the limit: no error", open)
		}
	}
	deep := "84 a178" + strings.Repeat("91", 1e6) + "90 a474797065 01 a36e7370 a12f"
	if _, err := decode(unhex(t, deep)); err == nil {
		t.Error("an unknown member may be as deep as it wants")
	}
}

func TestSIO_BIN_7_AttachmentsAreBounded(t *testing.T) {
	t.Parallel()
	l := parser.Limits{MaxAttachments: 2, MaxBytes: 4}
	for _, c := range []struct {
		value string
		ok    bool
	}{
		{"92 c40101 c7030001020 3", true},
		{"92 c40101 c704000102030 4", false},
		{"93 c400 c400 c700 00", false},
		{"91 c40501020304 05", false},
	} {
		_, err := msgpack.Parser{}.NewDecoder(l).Decode(parser.Message{Binary: true, Data: ack(t, c.value)})
		if (err == nil) != c.ok {
			t.Errorf("%s: error %v", c.value, err)
		}
	}
}

// What a peer sends takes up to six times as many bytes, and no more.
func TestMemoryFollowsTheMessage(t *testing.T) {
	t.Parallel()
	p, err := decode(ack(t, "da1000"+strings.Repeat("00", 0x1000)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(p.Data), len(`[""]`)+6*0x1000; got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}

// 100,000 members called "data" took seconds: for each, the decoder made a buffer as
// large as what was left of the message. What is allocated follows the message.
func TestMsgpackQuadratic(t *testing.T) {
	const n = 100_000
	head, tail := "df 000186a4 a474797065 02 a36e7370 a12f a26964 01", "a464617461 91a165"
	for name, in := range map[string]string{
		"data":                     head + strings.Repeat("a464617461 00", n) + tail,
		"data with bytes":          head + strings.Repeat("a464617461 91c40101", n) + tail,
		"unknown members":          head + strings.Repeat("a178 00", n) + tail,
		"unknown members of bytes": head + strings.Repeat("a178 92c40101c400", n) + tail,
		"empty bytes":              "84 a474797065 02 a36e7370 a12f a464617461 91a165 a178 dd000186a0" + strings.Repeat("c400", n),
		"a large value":            "83 a474797065 02 a36e7370 a12f a464617461 92a165 db000186a0" + strings.Repeat("78", n),
		"bytes":                    "83 a474797065 02 a36e7370 a12f a464617461 92a165 c6000186a0" + strings.Repeat("78", n),
		"numbers":                  "83 a474797065 02 a36e7370 a12f a464617461 92a165 dd000186a0" + strings.Repeat("00", n),
	} {
		p := unhex(t, in)
		if strings.HasPrefix(in, "df") { // there are three more members, and the last data
			p[4] = byte((n + 4) & 0xff)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		k, err := decode(p)
		runtime.ReadMemStats(&after)
		if err != nil || !strings.HasPrefix(string(k.Data), `["e"`) {
			t.Fatalf("%s: error %v", name, err)
		}
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(20*len(p)); got > most {
			t.Errorf("%s: %d bytes were allocated for a message of %d", name, got, len(p))
		}
	}
}

// Heads that promise more than there is are refused before anything is done about it.
func TestHeadsThatPromiseTooMuch(t *testing.T) {
	for _, value := range []string{
		"dd ffffffff", "dd 7fffffff 00", "dc ffff 00", "9f 00", "df ffffffff", "df 80000000 a0", "de ffff a000", "8f a000",
		"db 7fffffff", "c6 7fffffff", "c9 7fffffff 00", "c8 ffff 00", "da ffff",
	} {
		in := ack(t, value)
		if n := testing.AllocsPerRun(10, func() {
			if _, err := decode(in); err == nil {
				t.Error("accepted")
			}
		}); n > 20 {
			t.Errorf("%s: %v allocations", value, n)
		}
	}
}

func TestDecodedPacketsOwnTheirMemory(t *testing.T) {
	t.Parallel()
	in := ack(t, "93 c403010203 a3616263 c7 01 00 09")
	d := msgpack.Parser{}.NewDecoder(limits)
	p, err := d.Decode(parser.Message{Binary: true, Data: in})
	if err != nil {
		t.Fatal(err)
	}
	want := describe(p)
	clear(in)
	if _, err := d.Decode(parser.Message{Binary: true, Data: ack(t, "93 c403070707 a3646464 c7 01 00 07")}); err != nil {
		t.Fatal(err)
	}
	if got := describe(p); got != want {
		t.Errorf("%s became %s", want, got)
	}
}
