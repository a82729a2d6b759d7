package packet_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/internal/packet"
)

type note struct {
	Title string `json:"title"`
	Done  bool   `json:"done,omitempty"`
}

func TestAppendEvent(t *testing.T) {
	t.Parallel()
	admin := packet.Header{Namespace: "/admin", ID: 456, HasID: true}
	for _, c := range []struct {
		id   string
		h    packet.Header
		name string
		args []any
		want string
	}{
		{"1.3 event", packet.Header{}, "hello", []any{1, map[string]any{"a": []any{true}}}, `2["hello",1,{"a":[true]}]`},
		{"no arguments", packet.Header{Namespace: "/"}, "hello", nil, `2["hello"]`},
		{"SIO-ENC-2", packet.Header{Namespace: "/admin"}, "a", nil, `2/admin,["a"]`},
		{"1.3 namespace and id", admin, "project:delete", []any{123}, `2/admin,456["project:delete",123]`},
		{"SIO-ENC-3 zero", packet.Header{HasID: true}, "a", nil, `20["a"]`},
		{"SIO-ENC-8 nil", packet.Header{}, "a", []any{nil, (*note)(nil), []any(nil)}, `2["a",null,null,null]`},
		{"SIO-ENC-8 time", packet.Header{}, "a", []any{time.UnixMilli(1500).UTC()}, `2["a","1970-01-01T00:00:01.5Z"]`},
		{"section 14 HTML", packet.Header{}, "<b>", []any{"&\u2028", map[string]string{"<": "&"}}, "2[\"<b>\",\"&\u2028\",{\"<\":\"&\"}]"},
		{"escapes", packet.Header{}, "\"\\/\b\f\n\r\t\x00\x1f\x7f", nil, `2["\"\\/\b\f\n\r\t\u0000\u001f` + "\x7f" + `"]`},
		{"UTF-8", packet.Header{}, "é😀", []any{"\xff日\xed\xa0\x80"}, "2[\"é😀\",\"\ufffd日\ufffd\ufffd\ufffd\"]"},
		{"bools", packet.Header{}, "a", []any{true, false}, `2["a",true,false]`},
		{"ints", packet.Header{}, "a", []any{int8(-8), int16(-16), int32(-32), int64(math.MinInt64)}, `2["a",-8,-16,-32,-9223372036854775808]`},
		{"uints", packet.Header{}, "a", []any{uint(1), uint8(8), uint16(16), uint32(32), uint64(math.MaxUint64), uintptr(7)}, `2["a",1,8,16,32,18446744073709551615,7]`},
		{"floats", packet.Header{}, "a", []any{1.0, 0.1, 1e20, 1e21, 1e-6, 1e-7, float32(0.1), 5e-324}, `2["a",1,0.1,100000000000000000000,1e+21,0.000001,1e-7,0.1,5e-324]`},
		{"raw", packet.Header{}, "a", []any{json.RawMessage(`{"k": [1]}`), json.RawMessage(nil)}, `2["a",{"k": [1]},null]`},
		{"struct", packet.Header{}, "a", []any{note{Title: "t"}, &note{"u", true}}, `2["a",{"title":"t"},{"title":"u","done":true}]`},
	} {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			got, attachments, err := packet.AppendEvent([]byte("head4"), nil, c.h, c.name, c.args)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != "head4"+c.want {
				t.Errorf("got  %s\nwant head4%s", got, c.want)
			}
			if attachments != nil {
				t.Errorf("attachments %v", attachments)
			}
		})
	}
}

func TestAppendAck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id   string
		h    packet.Header
		args []any
		want string
	}{
		{"1.3 ack", packet.Header{ID: 456, HasID: true}, nil, `3456[]`},
		{"1.3 ack", packet.Header{Namespace: "/admin", ID: 456, HasID: true}, []any{"ok"}, `3/admin,456["ok"]`},
		{"13.15.7", packet.Header{ID: 123, HasID: true}, []any{"a", 1, struct{}{}}, `3123["a",1,{}]`},
	} {
		got, _, err := packet.AppendAck(nil, nil, c.h, c.args)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, error %v, want %s", c.id, got, err, c.want)
		}
	}
}

func TestAppendConnectAndDisconnect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id, want string
		got      []byte
	}{
		{"1.3 connect", `0`, packet.AppendConnect(nil, "/", nil)},
		{"1.3 accepted", `40{"sid":"x"}`, packet.AppendConnect([]byte("4"), "/", []byte(`{"sid":"x"}`))},
		{"1.3 accepted", `0/admin,{"sid":"x"}`, packet.AppendConnect(nil, "/admin", []byte(`{"sid":"x"}`))},
		{"SIO-V2-2", `0/nsp,`, packet.AppendConnect(nil, "/nsp", nil)},
		{"1.3 disconnect", `1`, packet.AppendDisconnect(nil, "/")},
		{"1.3 disconnect", `41/admin,`, packet.AppendDisconnect([]byte("4"), "/admin")},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s: got %s, want %s", c.id, c.got, c.want)
		}
	}
}

func TestAppendConnectError(t *testing.T) {
	t.Parallel()
	type refusal struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}
	for _, c := range []struct {
		id, ns, want string
		v            any
	}{
		{"1.3 refusal", "/", `4{"message":"Invalid namespace"}`, refusal{Message: "Invalid namespace"}},
		{"1.3 refusal", "/admin", `4/admin,{"message":"not authorized","data":{"code":"E001"}}`, refusal{"not authorized", map[string]string{"code": "E001"}}},
		{"SIO-V2-4", "/", `4"no"`, "no"},
		{"SIO-ENC-6", "/", `4{"message":"m","data":"AQI="}`, refusal{"m", []byte{1, 2}}},
	} {
		got, err := packet.AppendConnectError(nil, nil, c.ns, c.v)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, error %v, want %s", c.id, got, err, c.want)
		}
	}
	if got, err := packet.AppendConnectError([]byte("4"), nil, "/", make(chan int)); err == nil || string(got) != "4" {
		t.Errorf("a channel: %s, error %v", got, err)
	}
}

type failing struct{}

var errFailing = errors.New("no")

func (failing) MarshalJSON() ([]byte, error) { return nil, errFailing }

func TestEncodeErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		arg  any
	}{
		{"NaN", math.NaN()},
		{"infinity", math.Inf(-1)},
		{"float32 infinity", float32(math.Inf(1))},
		{"broken raw", json.RawMessage(`{"a":`)},
		{"empty raw", json.RawMessage{}},
		{"two raw values", json.RawMessage(`1,2`)},
		{"raw of invalid UTF-8", json.RawMessage("\"\xff\"")},
		{"raw too deep", json.RawMessage(nested("[", "]", packet.MaxDepth))},
		{"channel", make(chan int)},
		{"MarshalJSON", failing{}},
		{"broken number beside binary", []any{json.Number("x"), []byte{1}}},
		{"MarshalJSON beside binary", []any{failing{}, []byte{1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, attachments, err := packet.AppendEvent([]byte("4"), nil, packet.Header{}, "a", []any{1, c.arg})
			var argument *packet.ArgumentError
			if !errors.As(err, &argument) || argument.Index != 1 {
				t.Errorf("error %v", err)
			}
			if string(got) != "4" || attachments != nil {
				t.Errorf("got %s, %v", got, attachments)
			}
		})
	}
	at := json.RawMessage(nested("[", "]", packet.MaxDepth-1))
	got, _, err := packet.AppendAck(nil, nil, packet.Header{}, []any{at})
	if err != nil {
		t.Fatal(err)
	}
	mustText(t, new(packet.Decoder), string(got), true)
}

type ring struct {
	Next *ring
	Any  any
}

type binaryRing struct {
	Data []byte
	Next *binaryRing
}

type pointer *pointer

type parent struct {
	Data   []byte
	Parent *parent `json:"-"`
}

// SIO-ENC-9, 13.15.10: circular data is an error, wherever it hides.
func TestCircularData(t *testing.T) {
	t.Parallel()
	object := map[string]any{"b": []byte{1}}
	object["self"] = object
	array := []any{nil, nil}
	array[0], array[1] = array, array
	plain := new(ring)
	plain.Next = plain
	through := new(ring)
	through.Any = through
	binary := new(binaryRing)
	binary.Next = binary
	var self any
	self = &self
	var p pointer
	p = &p
	for name, arg := range map[string]any{
		"object": object, "array": array, "struct": plain, "interface": through, "binary": binary,
		"pointer to itself": self, "pointer type": p, "beside binary": []any{[]byte{1}, self, p},
		"in a struct": struct {
			B []byte
			P pointer
		}{[]byte{1}, p},
		"in a typed map": map[int]any{1: array},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := packet.AppendEvent(nil, nil, packet.Header{}, "a", []any{arg}); err == nil {
				t.Error("no error")
			}
		})
	}
	t.Run("not encoded", func(t *testing.T) {
		t.Parallel()
		v := &parent{Data: []byte{1}}
		v.Parent = v
		got, _, err := packet.AppendEvent(nil, nil, packet.Header{}, "a", []any{v})
		if want := `51-["a",{"Data":{"_placeholder":true,"num":0}}]`; err != nil || string(got) != want {
			t.Errorf("got %s, error %v, want %s", got, err, want)
		}
	})
}

// upper is a codec that can be told from the default one.
type upper struct{}

func (upper) Marshal(v any) ([]byte, error) {
	p, err := json.Marshal(v)
	return []byte(strings.ToUpper(string(p))), err
}

func (upper) Unmarshal(data []byte, v any) error {
	return json.Unmarshal([]byte(strings.ToLower(string(data))), v)
}

func TestCodec(t *testing.T) {
	t.Parallel()
	got, _, err := packet.AppendEvent(nil, upper{}, packet.Header{}, "a", []any{"direct", []string{"codec"}, []any{[]byte{1}, "x"}})
	if want := `51-["a","direct",["CODEC"],[{"_placeholder":true,"num":0},"x"]]`; err != nil || string(got) != want {
		t.Errorf("got %s, error %v, want %s", got, err, want)
	}
	k, err := receive(new(packet.Decoder), string(got), []byte{1})
	if err != nil {
		t.Fatal(err)
	}
	var direct string
	var list []string
	if err := k.Args.Decode(upper{}, &direct, &list); err != nil {
		t.Fatal(err)
	}
	if direct != "direct" || !slices.Equal(list, []string{"codec"}) {
		t.Errorf("got %q, %q", direct, list)
	}
	if _, _, err := packet.AppendAck(nil, upper{}, packet.Header{}, []any{make(chan int)}); err == nil {
		t.Error("the codec's error is lost")
	}
	p, err := packet.DefaultCodec().Marshal(map[string]any{"a": "<"})
	if err != nil || string(p) != `{"a":"<"}` {
		t.Errorf("default codec: %s, error %v", p, err)
	}
}

func TestReserved(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		if !packet.Reserved(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
	for _, name := range []string{"", "connection", "error", "message", "Connect"} {
		if packet.Reserved(name) {
			t.Errorf("%s is reserved", name)
		}
	}
}

// What has a direct path looks like what encoding/json makes of it.
func TestDirectPathsMatchEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		0.0, math.Copysign(0, -1), 1.5, -1e-7, 1e-9, 1.234e-10, 1e21, 123456789e15, math.MaxFloat64, math.SmallestNonzeroFloat64,
		float32(1e-6), float32(1e-7), float32(1e21), float32(16777216), float32(0.3), math.Pi, int64(1 << 53),
		int64(math.MaxInt64), uint64(math.MaxUint64), true, "plain", "tab\t\"quote\"", nil,
	} {
		want, err := json.Marshal([]any{v})
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := packet.AppendAck(nil, nil, packet.Header{}, []any{v})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff("3"+string(want), string(got)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", v, diff)
		}
	}
}

func TestEscapeReplacements(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`2["echo","plain €😀\n"]`:           `2["echo","plain €😀\n"]`,
		"2[\"\ufffd x\",\"/\ufffd,\"]":     `2["\ufffd x","/\ufffd,"]`,
		"51-/\ufffd[1,17[\"\ufffd\"]":      "51-/\ufffd[1,17[\"\\ufffd\"]",
		"3/a,5[{\"\ufffd\":[\"\ufffd\"]}]": `3/a,5[{"\ufffd":["\ufffd"]}]`,
		"1/\ufffd,":                        "1/\ufffd,",
		"4\"a/b-\ufffd,\"":                 `4"a/b-\ufffd,"`,
		"4/a,\"\ufffd\"":                   `4/a,"\ufffd"`,
		"0":                                "0",
	} {
		if got := string(packet.EscapeReplacements([]byte("4"), []byte(in))); got != "4"+want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}
