package packet_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// encodeAgain writes a decoded packet from its parts.
func encodeAgain(t *testing.T, k packet.Packet) ([]byte, [][]byte) {
	t.Helper()
	h := packet.Header{Namespace: k.Namespace, ID: k.ID, HasID: k.HasID}
	values := make([]any, k.Args.Len())
	for i, raw := range k.Args.All() {
		values[i] = json.RawMessage(raw)
	}
	var (
		p   []byte
		bin [][]byte
		err error
	)
	switch k.Type {
	case packet.Connect:
		p = packet.AppendConnect(nil, k.Namespace, k.Data)
	case packet.Disconnect:
		p = packet.AppendDisconnect(nil, k.Namespace)
	case packet.Event:
		p, bin, err = packet.AppendEvent(nil, nil, h, string(k.Name), values)
	case packet.Ack:
		p, bin, err = packet.AppendAck(nil, nil, h, values)
	case packet.ConnectError:
		p = packet.AppendConnect(nil, k.Namespace, k.Data)
		p[0] = '4'
	}
	if err != nil {
		t.Fatalf("encoding %s again: %v", describe(k), err)
	}
	return p, bin
}

// Whatever is accepted is a packet that can be written, read back as the same,
// and decoded.
func FuzzDecodePacket(f *testing.F) {
	for _, s := range []string{
		"0", "0/admin,{\"a\":1}", "0/admin{\"a\":1}", "1/admin,", "2[\"a\"]", "2/admin,456[\"project:delete\",123]",
		"2[ \"a\\u0062\" , {\"x\" : [1,2.5e3,null]} ] ", "2[1.5,true]", "3456[]", "3", "4\"no\"", "4{\"message\":\"m\"}",
		"2[\"connect\"]", "29007199254740993[\"a\"]", "51-[\"m\",{\"_placeholder\":true,\"num\":0}]", "9", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var d packet.Decoder
		input := bytes.Clone(p)
		k, complete, err := d.Text(input)
		if !bytes.Equal(p, input) {
			t.Fatal("the input was changed")
		}
		if err != nil || !complete {
			return
		}
		clear(input)
		checkPacket(t, k)
		wire, _ := encodeAgain(t, k)
		again, complete, err := new(packet.Decoder).Text(wire)
		if err != nil || !complete {
			t.Fatalf("%q from %q: complete %t, error %v", wire, p, complete, err)
		}
		if k.Type == packet.Connect || k.Type == packet.Disconnect || k.Type == packet.ConnectError {
			k.ID, k.HasID = 0, false // accepted, but never written
		}
		if describe(again) != describe(k) {
			t.Fatalf("%q: %s became %s", p, describe(k), describe(again))
		}
	})
}

// checkPacket checks what is promised of every packet.
func checkPacket(t *testing.T, k packet.Packet) {
	t.Helper()
	if k.Namespace == "" || k.Namespace[0] != '/' || k.ID >= 1<<53 || k.Type > packet.ConnectError {
		t.Fatalf("impossible packet: %s", describe(k))
	}
	if (k.Name != nil) != (k.Type == packet.Event) || packet.Reserved(string(k.Name)) || !utf8.Valid(k.Name) {
		t.Fatalf("impossible name: %s", describe(k))
	}
	n := 0
	for i, raw := range k.Args.All() {
		var want, got any
		wantErr := json.Unmarshal(raw, &want)
		dst := make([]any, i+1)
		dst[i] = &got
		if err := k.Args.Decode(nil, dst...); (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
			t.Fatalf("argument %d of %s: got %v, error %v; want %v, error %v", i, describe(k), got, err, want, wantErr)
		}
		if rest := k.Args.Without(i); rest.Len() != k.Args.Len()-1 || !json.Valid(rest.AppendData(nil)) {
			t.Fatalf("%s without argument %d: %s", describe(k), i, rest.AppendData(nil))
		}
		if n++; n > 10 {
			break // the rest would take quadratic time
		}
	}
}

// What a client sends can be sent on: whatever completes can be decoded, and then be
// encoded with no more attachments and bytes than it had, and is the same to whoever
// gets that. It never fails, and nobody who gets it finds fault with it.
func FuzzReassemble(f *testing.F) {
	f.Add([]byte(`51-["m",{"_placeholder":true,"num":0}]`), []byte{1, 2}, []byte{}, uint8(1))
	f.Add([]byte(`52-["m",{"_placeholder":true,"num":1},[{"x":{"num":0,"_placeholder":true}}]]`), []byte{1}, []byte{2}, uint8(2))
	f.Add([]byte(`61-/a,7[{"_placeholder":1,"num":9},{"\u005fplaceholder":true,"num":0e0}]`), []byte{}, []byte{1}, uint8(1))
	f.Add([]byte(`51-["m",{"_placeholder":true,"num":"splice"}]`), []byte{1}, []byte{1}, uint8(3))
	f.Add([]byte(`52-["m",{"_placeholder":true,"num":0,"x":{"_placeholder":true,"num":1}}]`), []byte{1}, []byte{1}, uint8(2))
	f.Add([]byte(`52-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":-0.0}]`), []byte{1}, []byte{1}, uint8(2))
	f.Fuzz(func(t *testing.T, text, a, b []byte, n uint8) {
		d := packet.Decoder{MaxAttachments: 4, MaxBytes: 64}
		k, complete, err := d.Text(text)
		size := 0
		for i := 0; i < int(n%6) && err == nil && !complete; i++ {
			p := [][]byte{a, b}[i%2]
			size += len(p)
			k, complete, err = d.Binary(p)
		}
		if err != nil || !complete || text[0] < '5' {
			return
		}
		values, err := decodeAll(k.Args)
		if err != nil {
			if _, ok := errors.AsType[*packet.ArgumentError](err); !ok {
				t.Fatalf("%q: %v", text, err)
			}
			return // a number that float64 cannot hold
		}
		h := packet.Header{Namespace: k.Namespace, ID: k.ID, HasID: k.HasID}
		wire, bin, err := packet.AppendAck(nil, nil, h, values)
		if err != nil {
			t.Fatalf("encoding %v: %v", values, err)
		}
		if len(bin) > len(k.Args.Attachments()) || len(bytes.Join(bin, nil)) > size {
			t.Fatalf("%q: %d attachments became %d", text, len(k.Args.Attachments()), len(bin))
		}
		again := packet.Decoder{MaxAttachments: 4, MaxBytes: 64}
		mustDecodeAs(t, text, values)(receive(&again, string(wire), bin...))
		data, bin, err := packet.AppendAckData(nil, nil, values)
		if err != nil {
			t.Fatal(err)
		}
		mustDecodeAs(t, text, values)(packet.Build(packet.Packet{Type: packet.Ack, Namespace: "/"}, data, bin))
	})
}

// mustDecodeAs returns what compares a packet with the values that it had.
func mustDecodeAs(t *testing.T, text []byte, want []any) func(packet.Packet, error) {
	return func(k packet.Packet, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got, err := decodeAll(k.Args); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %v, error %v, want %v", text, got, err, want)
		}
	}
}

// Values of any kind that look like placeholders, beside binary data: what is encoded
// for other encodings is what it was, and what is encoded for clients is that or an
// error.
func FuzzLookalikes(f *testing.F) {
	for _, s := range []string{
		`{"_placeholder":true,"num":0}`, `[{"\u005fplaceholder":true,"num":1}]`, `"_placeholder"`, `{"a":"say \"_placeholder\""}`,
		`{"_placeholder":{"_placeholder":true,"num":0},"num":-0}`, `{"_placeholder":true,"_placeholder":false}`, `"\\_placeholder"`,
	} {
		f.Add([]byte(s), []byte{1})
	}
	f.Fuzz(func(t *testing.T, raw, bin []byte) {
		var tree any
		if !utf8.Valid(raw) || depth(raw) > 100 || json.Unmarshal(raw, &tree) != nil {
			return
		}
		type mixed struct {
			R json.RawMessage
			B []byte
			T any
		}
		data, list, err := packet.AppendAckData(nil, nil, []any{json.RawMessage(raw), tree, mixed{raw, bin, tree}, bin})
		if err != nil {
			t.Fatal(err)
		}
		k, err := packet.Build(packet.Packet{Type: packet.Ack}, data, list)
		if err != nil {
			t.Fatalf("%s: %s: %v", raw, data, err)
		}
		var again json.RawMessage
		var got any
		var both mixed
		if err := k.Args.Decode(nil, &again, &got, &both); err != nil {
			t.Fatalf("%s: %s: %v", raw, data, err)
		}
		var first, second any
		if json.Unmarshal(again, &first) != nil || json.Unmarshal(both.R, &second) != nil {
			t.Fatalf("%s: %s became %s and %s", raw, data, again, both.R)
		}
		for _, v := range []any{first, second, got, both.T} {
			if !reflect.DeepEqual(v, tree) {
				t.Fatalf("%s: %s became %v", raw, data, v)
			}
		}
		text, list, err := packet.AppendAck(nil, nil, packet.Header{}, []any{json.RawMessage(raw), bin})
		if err == packet.ErrLooksBinary {
			return
		}
		if err == nil {
			_, err = receive(new(packet.Decoder), string(text), list...)
		}
		if err != nil {
			t.Fatalf("%s: %s: %v", raw, text, err)
		}
	})
}

// The scanner accepts what encoding/json accepts, within our limits.
func FuzzScanJSON(f *testing.F) {
	for _, s := range []string{
		``, `1`, `-0.5e+10`, `01`, `"a\u00e9\n\"\\"`, `"\ud800"`, `{"a":[1,2,{"b":null}],"c":true}`, `[[[[]]]]`, `{,}`, `[1,]`,
		`{"a" : 1 , "b":"x"} , "long enough for a word\t"`, "\"\x1f\"", "\"\x7f\xff\"", "tru", `"\u12G4"`, ` `, `1 2`, "\u2028",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		array := append(append([]byte{'['}, p...), ']')
		want := json.Valid(array) && utf8.Valid(array) && depth(array) <= packet.MaxDepth
		k, complete, err := new(packet.Decoder).Text(append([]byte{'3'}, array...))
		if complete != want {
			t.Fatalf("%q: complete %t, error %v, want %t", array, complete, err, want)
		}
		if !complete {
			return
		}
		var values []json.RawMessage
		if err := json.Unmarshal(array, &values); err != nil {
			t.Fatal(err)
		}
		if len(values) != k.Args.Len() {
			t.Fatalf("%q: %d values, want %d", array, k.Args.Len(), len(values))
		}
		for i, raw := range k.Args.All() {
			if !bytes.Equal(raw, values[i]) {
				t.Fatalf("%q: value %d is %q, want %q", array, i, raw, values[i])
			}
		}
	})
}

// depth returns how deep arrays and objects stand in each other in valid JSON.
func depth(p []byte) (deepest int) {
	now, quoted := 0, false
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			now++
			deepest = max(deepest, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deepest
}

// A string is written as valid JSON that says the same, with no escapes but the
// necessary ones, and our own decoder reads it as encoding/json does.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c/\b\f\n\r\t\x00\x1f\x7f", "é日😀\u2028", "\xff\xed\xa0\x80x", "<&>", "12345678\"", "1234567\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p := rawjson.AppendString([]byte("x"), s)[1:]
		want := string([]rune(s)) // a conversion makes every invalid byte U+FFFD
		var got string
		if err := json.Unmarshal(p, &got); err != nil || got != want {
			t.Fatalf("%q became %s, which is %q, error %v", s, p, got, err)
		}
		if !utf8.Valid(p) || len(p) > 2+len(want)+5*escapes(want) {
			t.Fatalf("%q became %q", s, p)
		}
		for _, wire := range [][]byte{p, mustMarshal(t, want), []byte(asciiOnly(want))} {
			k, err := receive(new(packet.Decoder), "3["+string(wire)+"]")
			if err != nil {
				t.Fatal(err)
			}
			got = ""
			if err := k.Args.Decode(nil, &got); err != nil || got != want {
				t.Fatalf("%q was read as %q, error %v", wire, got, err)
			}
		}
	})
}

// escapes returns how many characters of s need an escape.
func escapes(s string) (n int) {
	for _, c := range s {
		if c < ' ' || c == '"' || c == '\\' {
			n++
		}
	}
	return n
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	p, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// asciiOnly writes s as JSON with an escape for every character, in pairs where
// UTF-16 needs them.
func asciiOnly(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, u)
	}
	b.WriteByte('"')
	return b.String()
}
