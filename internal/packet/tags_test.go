package packet_test

import (
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/packet"
)

type inner struct {
	A int
	B string `json:"b,omitempty"`
}

type stringer struct{ s string }

func (s *stringer) MarshalText() ([]byte, error) { return []byte("ptr:" + s.s), nil }

// tagged has what struct tags and types can make difficult. A nil Bytes sends
// it through the encoder for binary values, but leaves nothing binary in it.
type tagged struct {
	*inner

	Bytes    []byte
	Quoted   int    `json:",string"`
	QuotedS  string `json:"qs,string"`
	Empty    inner  `json:",omitempty"` //nolint:modernize // that it has no effect is the point
	Zero     inner  `json:",omitzero"`
	NilMap   map[string]int
	NilSlice []int
	OmitNil  *int           `json:",omitempty"`
	OmitFlt  float64        `json:"of,omitempty"`
	Keys     map[int]string `json:"keys"`
	Sorted   map[string]any
	When     time.Time
	Dur      time.Duration
	Big      *big.Int
	Bytes4   [4]byte
	Number   json.Number
	Floats   []float64
	F32      float32
	Text     string `json:"text <odd>"`
	Ptr      *stringer
	Val      stringer
	Vals     []stringer
	ignored  int
	Dash     int `json:"-,"` //nolint:staticcheck // what it means must not change
	Gone     int `json:"-"`
}

func exampleTagged() tagged {
	return tagged{
		Quoted: 7, QuotedS: "q\"", Keys: map[int]string{10: "x", 9: "y"},
		Sorted: map[string]any{"b": 1, "a": []any{nil, "<x>"}, "\u00e9": map[string]any{}},
		When:   time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Dur: time.Second, Big: big.NewInt(1 << 60),
		Bytes4: [4]byte{1, 2, 3, 4}, Number: "12.50", Floats: []float64{1, 1e21, 1e-7, math.Copysign(0, -1)}, F32: 0.1,
		Text: "<&>\x01\"", Ptr: &stringer{"p"}, Val: stringer{"v"}, Vals: []stringer{{"w"}}, inner: &inner{A: 3}, ignored: 1, Dash: 2, Gone: 3,
	}
}

func TestStructTagsMeanTheSameWithBinary(t *testing.T) {
	t.Parallel()
	for _, v := range []any{exampleTagged(), new(exampleHolder), &exampleHolder{T: exampleTagged()}} {
		want, err := packet.DefaultCodec().Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, bin, err := packet.AppendEvent(nil, nil, packet.Header{}, "e", []any{v})
		if err != nil || bin != nil {
			t.Fatalf("attachments %v, error %v", bin, err)
		}
		if string(got) != `2["e",`+string(want)+`]` {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

type exampleHolder struct {
	T tagged
	P *tagged
}

func TestStructTagsMeanTheSameWhenDecodingBinary(t *testing.T) {
	t.Parallel()
	const values = `"quoted":"7","QS":"\"q\"","keys":{"9":"y"},"Sorted":{"a":[null,1]},"When":"2026-01-02T03:04:05Z",` +
		`"Dur":5,"Big":12,"Bytes4":[1,2],"Number":12.50,"Floats":[1,2e3],"F32":0.1,"a":3,"b":"x","-":2,"Gone":9,"unknown":{}`
	var want, got tagged
	want.inner, got.inner = new(inner), new(inner) // of a type that is not exported, so decoders cannot allocate it
	if err := json.Unmarshal([]byte(`{`+values+`}`), &want); err != nil {
		t.Fatal(err)
	}
	want.Bytes = []byte{1}
	k, err := receive(new(packet.Decoder), `51-["e",{`+values+`,"Bytes":{"_placeholder":true,"num":0}}]`, want.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Args.Decode(nil, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
