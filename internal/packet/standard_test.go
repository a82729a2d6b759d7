package packet_test

import (
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/packet"
)

// What the default codec decodes is what encoding/json decodes. These types have all
// that makes a difference to decoders.

type list struct {
	V    int
	Next *list
	Kids []list
	M    map[string]*list
}

type plain struct {
	A int
	B string `json:"b"`
}

// Pointed is exported, so that decoders can allocate it.
type Pointed struct {
	A int
	C *int
}

type fromText struct{ s string }

func (x *fromText) UnmarshalText(p []byte) error { x.s = "T" + string(p); return nil }

type fromJSON struct{ s string }

func (x *fromJSON) UnmarshalJSON(p []byte) error { x.s = "J" + string(p); return nil }

type everything struct {
	plain
	*Pointed

	I8       int8
	U8       uint8
	I        int
	U        uint64
	F32      float32
	F        float64
	S        string
	Bool     bool
	P        *int
	PP       **string
	Slice    []int
	Array    [2]int
	Bytes    []byte
	Bytes4   [4]byte
	Map      map[string]int
	Ints     map[int]string
	Texts    map[fromText]int
	Any      any
	Anys     []any
	Anything map[string]any
	At       time.Time
	Took     time.Duration
	Big      *big.Int
	Number   json.Number
	Raw      json.RawMessage
	QInt     int     `json:"qi,string"`
	QString  string  `json:"qs,string"`
	QBool    bool    `json:",string"`
	QPtr     *int    `json:",string"`
	QFloat   float64 `json:",string"`
	Text     fromText
	JSON     fromJSON
	PText    *fromText
	PJSON    *fromJSON
	Dash     int `json:"-,"` //nolint:staticcheck // what it means must not change
	Gone     int `json:"-"`
	Odd      int `json:"odd name"`
	Upper    int `json:"CASE"`
	Lower    int `json:"case"`
	Closer   interface{ Close() error }
	List     list
	Inline   struct{ X, Y int }
	Empty    struct{}
}

// filled is one that had other values before.
func filled() *everything {
	n, s := 7, "before"
	p := &s
	return &everything{
		P: &n, PP: &p, Slice: []int{9, 8, 7}, Array: [2]int{5, 6}, Bytes: []byte{1, 2, 3}, S: "before",
		Map: map[string]int{"a": 9, "z": 1}, Ints: map[int]string{1: "before"},
		Any: map[string]any{"q": 1}, Anything: map[string]any{"q": 1}, Anys: []any{1, 2, 3},
		List: list{Kids: []list{{V: 1, Next: &list{V: 5}}, {V: 2}}},
	}
}

func destinations() []any {
	return []any{
		new(everything), filled(), new(*everything), new(any), new([]any), new([3]any), new(map[string]any), new(map[string]int),
		new(map[fromText]int), new(map[int]*list), new([]string), new([]point), new([]map[string][]int), new(time.Time),
		new(json.Number), new([]json.Number), new(big.Int), new(list), new(float64), new(*int), new(struct{}),
	}
}

func FuzzDecodeStandard(f *testing.F) {
	for _, s := range []string{
		`{"A":1,"b":"x","C":3,"I8":1,"U8":255,"I":-5,"U":18446744073709551615,"F32":1.5,"F":1e300,"S":"a\u0000","Bool":true,"P":1,"PP":"x"}`,
		`{"Slice":[1,2],"Array":[1,2,3],"Bytes":"AQI=","Bytes4":[1,2],"Map":{"a":1},"Ints":{"1":"a"},"Texts":{"k":1},"Any":{"a":[1,null]}}`,
		`{"Anys":[1,"x"],"Anything":{"a":1},"At":"2026-01-02T03:04:05Z","Took":5,"Big":12,"Number":12.50,"Raw":{"a": 1},"qi":"5","qs":"\"x\""}`,
		`{"QBool":"true","QPtr":"5","QFloat":"1.5","Text":"t","JSON":[1],"PText":"t","PJSON":null,"-":2,"Gone":3,"odd name":4,"CASE":5,"case":6}`,
		`{"Closer":null,"List":{"V":1,"Next":{"V":2},"Kids":[{"V":3}],"M":{"a":{"V":1}}},"Inline":{"X":1},"Empty":{},"unknown":[{}]}`,
		`{"a":1,"a":2,"slice":[1],"SLICE":[2,3],"map":{"a":1},"Map":{"b":2}}`, `{"I8":300}`, `{"F32":1e300}`, `{"F":1e999}`, `{"Any":1e999}`,
		`{"Number":"1"}`, `{"Number":"x"}`, `{"Number":null}`, `{"qi":5}`, `{"qi":"x"}`, `{"qi":null}`, `{"QPtr":"null"}`, `{"QBool":"null"}`,
		`{"qs":"x"}`, `{"Bytes":"!"}`, `{"Bytes":[1,2]}`, `{"Bytes":null}`, `{"Ints":{"x":"a"}}`, `{"At":"x"}`, `{"Closer":1}`, `{"Array":[1]}`,
		`{"P":null,"PP":null}`, `{"Empty":1}`, `{"S":1}`, `{"I":1.0}`, `{"I":1e2}`, `{"I":"1"}`, `{"S":"\ud800"}`, "{\"\u017flice\":[1]}",
		`{"Big":1.5}`, `{"Big":"12"}`, `{"JSON":null,"Text":null}`, `{"Texts":{"a":null}}`, `{"Bytes4":"AQIDBA=="}`, `{"Raw":null}`, `{"List":[]}`,
		`{"Slice":null,"Map":null}`, `{"Bytes":{"_placeholder":true,"num":0}}`, `null`, `[]`, `[1,"a",null,{}]`, `"2026-01-02T03:04:05Z"`, `12`, `1e999`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		k, complete, err := new(packet.Decoder).Text(append([]byte("3["), append(p, ']')...))
		if err != nil || !complete || k.Args.Len() != 1 {
			return
		}
		got := destinations()
		for i, want := range destinations() {
			wantErr := json.Unmarshal(k.Args.Raw(0), want)
			err := k.Args.Decode(nil, got[i])
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("%s into %T: error %v, want %v", p, want, err, wantErr)
			}
			if err == nil && !reflect.DeepEqual(got[i], want) {
				t.Fatalf("%s into %T:\ngot  %+v\nwant %+v", p, want, reflect.ValueOf(got[i]).Elem(), reflect.ValueOf(want).Elem())
			}
			if err != nil && !strings.HasSuffix(err.Error(), wantErr.Error()) {
				t.Fatalf("%s into %T: error %v, want %v", p, want, err, wantErr)
			}
		}
	})
}

// Trees are written as encoding/json writes them, but for escapes that are not
// necessary.
func TestTreesMatchEncodingJSON(t *testing.T) {
	t.Parallel()
	var none map[string]any
	for _, v := range []any{
		map[string]any{},
		[]any{},
		none, []any(nil),
		[]any{none, []any(nil), nil},
		map[string]any{"b": 1, "a": []any{"x", 1.5, true, nil, uint8(3)}, "\u00e9": map[string]any{"": []any{}}, "\"\n": "\t"},
		[]any{point{1, 2, "n"}, &plain{3, "b"}, []string{"s"}, map[int]string{2: "b", 1: "a"}, time.Unix(0, 0).UTC(), json.Number("1.50")},
		map[string]any{"raw": json.RawMessage(`{"a":[1]}`), "max": uint64(math.MaxUint64), "min": int64(math.MinInt64)},
	} {
		want, err := packet.DefaultCodec().Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, bin, err := packet.AppendAck(nil, nil, packet.Header{}, []any{v})
		if err != nil || bin != nil || string(got) != "3["+string(want)+"]" {
			t.Errorf("got %s, error %v, want %s", got, err, want)
		}
	}
	got, _, err := packet.AppendAck(nil, nil, packet.Header{}, []any{[]any{"<&>\u2028", math.Inf(1)}})
	if err == nil {
		t.Errorf("infinity was written: %s", got)
	}
}

// Numbers keep their precision, wherever they are.
func TestNumbersKeepTheirPrecision(t *testing.T) {
	t.Parallel()
	type numbers struct {
		I int64
		U uint64
		N json.Number
		R json.RawMessage
		B []byte
	}
	const digits = "123456789012345678901234567890.123456789"
	for name, data := range map[string][]byte{"alone": nil, "beside binary": {1}} {
		want := numbers{math.MinInt64, math.MaxUint64, digits, json.RawMessage(digits), data}
		text, bin, err := packet.AppendAck(nil, nil, packet.Header{}, []any{
			want.I, want.U, want.R, want, []any{want.I, want.U, want.N, data},
		})
		if err != nil {
			t.Fatal(err)
		}
		k, err := receive(new(packet.Decoder), string(text), bin...)
		if err != nil {
			t.Fatal(err)
		}
		var got numbers
		var i int64
		var u uint64
		var r json.RawMessage
		var list []json.RawMessage
		if err := k.Args.Decode(nil, &i, &u, &r, &got, &list); err != nil {
			t.Fatal(err)
		}
		if i != want.I || u != want.U || string(r) != digits || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %d, %d, %s, %+v", name, i, u, r, got)
		}
		if string(list[0]) != "-9223372036854775808" || string(list[1]) != "18446744073709551615" || string(list[2]) != digits {
			t.Errorf("%s: in a list: %s", name, list)
		}
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	t.Parallel()
	k, err := receive(new(packet.Decoder), `51-["e",{"x":1,"z":{"_placeholder":true,"num":0},"name":"n"},{"x":1,"z":[{}],"name":"n"}]`, []byte{1})
	if err != nil {
		t.Fatal(err)
	}
	var a, b point
	if err := k.Args.Decode(nil, &a, &b); err != nil || a != (point{1, 0, "n"}) || b != a {
		t.Errorf("got %+v and %+v, error %v", a, b, err)
	}
}

// A codec is not asked about what has a direct path.
func TestDirectPathsNeedNoCodec(t *testing.T) {
	t.Parallel()
	var (
		s string
		i int
		u uint16
		f float64
		b bool
		r json.RawMessage
		p []byte
	)
	sent := []any{"s\n", -1, uint16(2), 1.5, true, json.RawMessage(`{"a":[]}`), []byte{1}, nil}
	text, bin, err := packet.AppendEvent(nil, failingCodec{}, packet.Header{}, "e", sent)
	if err != nil {
		t.Fatal(err)
	}
	k, err := receive(new(packet.Decoder), string(text), bin...)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Args.Decode(failingCodec{}, &s, &i, &u, &f, &b, &r, &p, nil); err != nil {
		t.Fatal(err)
	}
	if s != "s\n" || i != -1 || u != 2 || f != 1.5 || !b || string(r) != `{"a":[]}` || len(p) != 1 {
		t.Errorf("got %q, %d, %d, %v, %t, %s, %v", s, i, u, f, b, r, p)
	}
	var tree any
	if _, _, err := packet.AppendEvent(nil, failingCodec{}, packet.Header{}, "e", []any{[]any{1}}); err == nil {
		t.Error("a tree was not given to the codec")
	}
	if err := args(t, `[1]`).Decode(failingCodec{}, &tree); err == nil {
		t.Error("the codec was not asked for a tree")
	}
}

type failingCodec struct{}

func (failingCodec) Marshal(any) ([]byte, error) { return nil, errFailing }

func (failingCodec) Unmarshal([]byte, any) error { return errFailing }

type point struct {
	X, Y int
	Name string `json:"name"`
}
