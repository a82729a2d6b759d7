package packet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/packet"
)

// describe writes a packet in a form that a table can hold: type, namespace, id,
// name, raw arguments and data, in this order, if there.
func describe(k packet.Packet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s", k.Type, k.Namespace)
	if k.HasID {
		fmt.Fprintf(&b, " id=%d", k.ID)
	}
	if k.Name != nil {
		fmt.Fprintf(&b, " name=%q", k.Name)
	}
	for i, raw := range k.Args.All() {
		fmt.Fprintf(&b, " %d=%s", i, raw)
	}
	if k.Data != nil {
		fmt.Fprintf(&b, " data=%s", k.Data)
	}
	return b.String()
}

// The lines of the reference's table 2.1, and the examples of 1.3 that have no
// attachments. What upstream accepts by accident is refused.
func TestDecodeText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ id, in, want string }{
		{"2.1 CONNECT", `0`, `CONNECT /`},
		{"2.1 CONNECT", `0/admin`, `CONNECT /admin`},
		{"SIO-ENC-2", `0/admin,`, `CONNECT /admin`},
		{"2.1 CONNECT", `0/admin,{"a":1}`, `CONNECT /admin data={"a":1}`},
		{"2.1 CONNECT", `0{"a":1}`, `CONNECT / data={"a":1}`},
		{"2.1 CONNECT with id", `0123`, `CONNECT / id=123`},
		{"2.1 no comma", `0/admin{"a":1}`, `CONNECT /admin{"a":1}`},
		{"SIO-V2-3", `0/nsp?token=abc`, `CONNECT /nsp?token=abc`},
		{"2.1 root by name", `0/,{}`, `CONNECT / data={}`},
		{"1.3 recovery", `0{"pid":"p","offset":"o"}`, `CONNECT / data={"pid":"p","offset":"o"}`},

		{"2.1 DISCONNECT", `1`, `DISCONNECT /`},
		{"2.1 DISCONNECT", `1/admin`, `DISCONNECT /admin`},
		{"SIO-ENC-2", `1/admin,`, `DISCONNECT /admin`},

		{"2.1 EVENT", `2["a"]`, `EVENT / name="a"`},
		{"2.1 empty name", `2[""]`, `EVENT / name=""`},
		{"2.1 number as name", `2[1]`, `EVENT / name="1"`},
		{"2.1 number as name", `2[1.5]`, `EVENT / name="1.5"`},
		{"2.1 number as name", `2[-1e2,3]`, `EVENT / name="-1e2" 0=3`},
		{"2.1 not reserved", `2["connection"]`, `EVENT / name="connection"`},
		{"2.1 not reserved", `2["error"]`, `EVENT / name="error"`},
		{"2.1 not reserved", `2["message"]`, `EVENT / name="message"`},
		{"1.3 event", `2["hello",1,{"a":[true]}]`, `EVENT / name="hello" 0=1 1={"a":[true]}`},
		{"SIO-ENC-3", `2/admin,456["project:delete",123]`, `EVENT /admin id=456 name="project:delete" 0=123`},
		{"SIO-ENC-3 zero", `20["a"]`, `EVENT / id=0 name="a"`},
		{"id at limit", `29007199254740991["a"]`, `EVENT / id=9007199254740991 name="a"`},
		{"leading zeros", `2007["a"]`, `EVENT / id=7 name="a"`},
		{"escaped name", `2["a\"\u00e9\ud83d\ude00\n\/\ud800x",1]`, `EVENT / name="a\"é😀\n/�x" 0=1`},
		{"space", "2[ \"a\" ,\t1 , [ 2 , 3 ]\r\n] ", "EVENT / name=\"a\" 0=1 1=[ 2 , 3 ]"},
		{"SIO-BIN-4 without attachments", `2["a",{"_placeholder":true,"num":7}]`, `EVENT / name="a" 0={"_placeholder":true,"num":7}`},
		{"SIO-BIN-10", `2["a",{"__proto__":{"x":1}}]`, `EVENT / name="a" 0={"__proto__":{"x":1}}`},

		{"2.1 ACK without id", `3`, `ACK /`},
		{"2.1 ACK without id", `3[]`, `ACK /`},
		{"1.3 ack", `3456[]`, `ACK / id=456`},
		{"1.3 ack", `3/admin,456["ok"]`, `ACK /admin id=456 0="ok"`},
		{"ack of anything", `31[null,{}]`, `ACK / id=1 0=null 1={}`},

		{"2.1 CONNECT_ERROR", `4`, `CONNECT_ERROR /`},
		{"2.1 CONNECT_ERROR", `4"x"`, `CONNECT_ERROR / data="x"`},
		{"2.1 CONNECT_ERROR", `4{}`, `CONNECT_ERROR / data={}`},
	} {
		t.Run(c.id+"/"+c.in, func(t *testing.T) {
			t.Parallel()
			var d packet.Decoder
			got, complete, err := d.Text([]byte(c.in))
			if err != nil || !complete {
				t.Fatalf("complete %t, error %v", complete, err)
			}
			if s := describe(got); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

func TestDecodeTextErrors(t *testing.T) {
	t.Parallel()
	const (
		payload = "invalid payload"
		illegal = "Illegal attachments"
		many    = "too many attachments"
	)
	for _, c := range []struct {
		id, want string
		in       []string
	}{
		{"2.1 CONNECT", payload, []string{`0null`, `0[]`, `0"x"`, `0,`, `0/admin,"invalid"`, `0{`, `0{}x`, `0 {}`, `0/admin, {}`}},
		{"2.1 DISCONNECT", payload, []string{`1{}`, `1/admin,{}`, `1"x"`}},
		{"2.1 EVENT without data", payload, []string{`2`, `2/admin`, `2/admin,`, `212`, `51-`}},
		{"2.1 EVENT", payload, []string{
			`2[]`, `2[null]`, `2[true]`, `2[{}]`, `2[[]]`, `2{}`, `2"x"`, `2[{"toString":"foo"}]`, `2[-]`,
		}},
		{"2.1 reserved", payload, []string{
			`2["connect"]`, `2["connect_error"]`, `2["disconnect"]`, `2["disconnecting"]`,
			`2["newListener"]`, `2["removeListener"]`, `2["connec\u0074"]`, `2/admin,1["disconnect","123"]`,
			`51-["connect"]`,
		}},
		{"2.1 broken JSON", payload, []string{
			`2["some","data"`, `2abc["x"]`, `2["a"]]`, `2["a",]`, `2["a"1]`, `2[,"a"]`, `2["a","\x"]`,
			`2["a","\u12g4"]`, "2[\"a\",\"\n\"]", `2["a",01]`, `2["a",1.]`, `2["a",.5]`, `2["a",1e]`, `2["a",+1]`, `2["a",nul]`,
			`2["a",{"b"}]`, `2["a",{"b`, `2["a",{"b":}]`, `2["a",{b:1}]`, `2["a",{"b":1,}]`, `2["a",{"b":1`, `2["a",[1`, `2["a","\u12`, `2["a","\`, `2["a","`,
		}},
		{"2.1 space", payload, []string{`2 ["a"]`, "2\n[\"a\"]"}},
		{"2.1 id above 2^53-1", payload, []string{
			`29007199254740992["a"]`, `29007199254740993["a"]`, `299999999999999999999999999["a"]`,
		}},
		{"2.1 ACK", payload, []string{`3{}`, `3"x"`, `31{}`}},
		{"2.1 CONNECT_ERROR", payload, []string{`4[]`, `4null`, `4true`, `4"x`}},
		{"2.1 UTF-8", payload, []string{"2[\"a\xff\"]", "2/\xc3,[\"a\"]", "2[\"a\",\"\xed\xa0\x80\"]", "0{\"a\":\"\xf8\"}"}},
		{"2.1 attachments", illegal, []string{
			`5`, `50-["a"]`, `500-["a"]`, `5-`, `5-["a"]`, `5a-`, `51`, `51.23-["a"]`, `5woooot`, `6`, `6x`, `51["a"]`,
		}},
		{"2.1 attachment count of digits only", illegal, []string{
			`5 1-["a"]`, `5+1-["a"]`, `51e0-["a"]`, `50x1-["a"]`, `51.0-["a"]`, `5-1-["a"]`,
		}},
		{"SIO-BIN-7", many, []string{
			`511-["a"]`, `611-["a"]`, `599999999999999999999999999-["a"]`, `518446744073709551617-["a"]`,
		}},
		{"2.1 type", "unknown packet type 7", []string{`7`, `7["a"]`}},
		{"13.15.17", "unknown packet type 9", []string{`999`}},
		{"2.1 type", "unknown packet type NaN", []string{`a`, `["a"]`, ` 2["a"]`, "\xff"}},
		{"2.1 empty", "empty packet", []string{``}},
		{"13.15.15", payload, []string{
			`442["some","data"`, `0/admin,"invalid"`, `0[]`, `1/admin,{}`, `2/admin,"invalid`, `2/admin,{}`,
			`2[{"toString":"foo"}]`, `2[true,"foo"]`, `2[null,"bar"]`, `2["connect"]`, `2["disconnect","123"]`,
		}},
		{"13.15.16", illegal, []string{`5`, `51`, `5a-`, `51.23-`}},
	} {
		for _, in := range c.in {
			t.Run(c.id+"/"+in, func(t *testing.T) {
				t.Parallel()
				var d packet.Decoder
				got, complete, err := d.Text([]byte(in))
				if err == nil || complete {
					t.Fatalf("accepted: %s", describe(got))
				}
				if err.Error() != c.want {
					t.Errorf("error %q, want %q", err, c.want)
				}
			})
		}
	}
}

// 13.15.1: the values are those on the wire.
func TestTypes(t *testing.T) {
	t.Parallel()
	for want, typ := range []packet.Type{
		packet.Connect, packet.Disconnect, packet.Event, packet.Ack, packet.ConnectError,
	} {
		if int(typ) != want {
			t.Errorf("%v is %d, want %d", typ, typ, want)
		}
	}
	if s := packet.Type(9).String(); s != "UNKNOWN" {
		t.Errorf("an unknown type is %q", s)
	}
}

func nested(open, shut string, n int) string {
	return strings.Repeat(open, n) + strings.Repeat(shut, n)
}

func TestDecodeDepth(t *testing.T) {
	t.Parallel()
	inner := packet.MaxDepth - 1 // the list of arguments is the outermost level
	for _, c := range []struct {
		name, in string
		ok       bool
	}{
		{"arrays at limit", "2[\"a\"," + nested("[", "]", inner) + "]", true},
		{"arrays past limit", "2[\"a\"," + nested("[", "]", inner+1) + "]", false},
		{"objects at limit", "31[" + nested(`{"a":`, "}", inner-1)[:5*(inner-1)] + "{}" + strings.Repeat("}", inner-1) + "]", true},
		{"objects past limit", "31[" + strings.Repeat(`{"a":`, inner) + "{}" + strings.Repeat("}", inner) + "]", false},
		{"connect at limit", `0{"a":` + nested("[", "]", inner) + "}", true},
		{"connect past limit", `0{"a":` + nested("[", "]", inner+1) + "}", false},
		{"wide, not deep", "2[\"a\"" + strings.Repeat(",[]", 2*packet.MaxDepth) + "]", true},
		{"hostile", "2[\"a\"," + strings.Repeat("[", 1<<20), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var d packet.Decoder
			_, complete, err := d.Text([]byte(c.in))
			if complete != c.ok || c.ok == errors.Is(err, packet.ErrInvalidPayload) {
				t.Errorf("complete %t, error %v", complete, err)
			}
		})
	}
}

// A packet may be kept although the reader reuses its buffer.
func TestDecodedPacketOwnsItsMemory(t *testing.T) {
	t.Parallel()
	var d packet.Decoder
	for _, in := range []string{
		`2/chat,7["say","hello",{"a":1}]`, `2["s\u0061y","hello"]`, `37["x"]`, `0/chat,{"token":"t"}`,
	} {
		buf := []byte(in)
		got, _, err := d.Text(buf)
		if err != nil {
			t.Fatal(err)
		}
		before := describe(got)
		for i := range buf {
			buf[i] = '#'
		}
		if after := describe(got); after != before {
			t.Errorf("changed from %s to %s", before, after)
		}
	}
}

func TestDecoderNamespaces(t *testing.T) {
	t.Parallel()
	var d packet.Decoder
	long := "/" + strings.Repeat("n", 200)
	for _, ns := range []string{"/a", "/a", "/b", "/", "/a", long, long, "/a", "/日本"} {
		got, _, err := d.Text([]byte("2" + ns + `,["x"]`))
		if err != nil || got.Namespace != ns {
			t.Errorf("namespace %q, error %v, want %q", got.Namespace, err, ns)
		}
	}
}
