package packet_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/sioplug/sioplug/core/internal/packet"
)

// args returns the arguments of an ack with these values.
func args(t *testing.T, values string) packet.Args {
	t.Helper()
	k, err := receive(new(packet.Decoder), "31["+values+"]")
	if err != nil {
		t.Fatal(err)
	}
	return k.Args
}

func TestArgsValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want []string
	}{
		{``, nil},
		{` `, nil},
		{`1`, []string{"1"}},
		{` "a,]" , [1,"]\"",{"}":"{"}] ,null, {} `, []string{`"a,]"`, `[1,"]\"",{"}":"{"}]`, `null`, `{}`}},
	} {
		a := args(t, c.in)
		if a.Len() != len(c.want) {
			t.Errorf("[%s]: length %d, want %d", c.in, a.Len(), len(c.want))
		}
		var got []string
		for i, raw := range a.All() {
			got = append(got, string(raw))
			if string(a.Raw(i)) != string(raw) {
				t.Errorf("[%s]: Raw(%d) = %s", c.in, i, a.Raw(i))
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("[%s]: got %q, want %q", c.in, got, c.want)
		}
	}
	if raw := args(t, "1").Raw(1); raw != nil {
		t.Errorf("Raw past the end is %s", raw)
	}
	var zero packet.Args
	if zero.Len() != 0 || zero.Decode(nil) != nil {
		t.Error("the zero Args are not empty")
	}
}

func TestArgsSize(t *testing.T) {
	t.Parallel()
	k, err := receive(new(packet.Decoder), `52-["m",1,"xy"]`, make([]byte, 10), make([]byte, 20))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Args.Size(), len(`1,"xy"`)+30; got != want {
		t.Errorf("size %d, want %d", got, want)
	}
}

func TestArgsDecode(t *testing.T) {
	t.Parallel()
	var (
		s string
		n note
		f float64
	)
	if err := args(t, `"a\u00e9\n\"", 7, {"title":"t"}, -1.5e3, "surplus"`).Decode(nil, &s, nil, &n, &f); err != nil {
		t.Fatal(err)
	}
	if s != "aé\n\"" || n != (note{Title: "t"}) || f != -1500 {
		t.Errorf("got %q, %v, %v", s, n, f)
	}
}

// Every direct path does what encoding/json does, with values that fit and with
// values that do not.
func TestArgsDecodeMatchesEncodingJSON(t *testing.T) {
	t.Parallel()
	values := []string{
		`"x"`, `""`, `"\ud83d\ude00\ud800\t"`, `true`, `false`, `null`, `0`, `-0`, `1`, `-1`, `127`, `128`, `-128`, `-129`, `255`, `256`,
		`32768`, `65536`, `2147483648`, `4294967296`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775809`,
		`18446744073709551615`, `18446744073709551616`, `1.5`, `1.0`, `1e2`, `1e999`, `[1]`, `{"a":1}`, `"AQI="`,
	}
	types := []reflect.Type{
		reflect.TypeFor[string](), reflect.TypeFor[bool](), reflect.TypeFor[float64](), reflect.TypeFor[float32](),
		reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
		reflect.TypeFor[json.RawMessage](), reflect.TypeFor[[]byte](), reflect.TypeFor[any](), reflect.TypeFor[map[string]any](),
	}
	for _, typ := range types {
		for _, value := range values {
			got, want := reflect.New(typ), reflect.New(typ)
			wantErr := json.Unmarshal([]byte(value), want.Interface())
			err := args(t, value).Decode(nil, got.Interface())
			if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Errorf("%s into %v: got %v, error %v; want %v, error %v", value, typ, got.Elem(), err, want.Elem(), wantErr)
			}
		}
		var argument *packet.ArgumentError
		if err := args(t, "1").Decode(nil, reflect.Zero(reflect.PointerTo(typ)).Interface()); !errors.As(err, &argument) {
			t.Errorf("nil pointer to %v: error %v", typ, err)
		}
	}
}

func TestArgsDecodeNullLeavesValue(t *testing.T) {
	t.Parallel()
	s, i, b := "keep", math.MaxInt, true
	if err := args(t, "null,null,null").Decode(nil, &s, &i, &b); err != nil {
		t.Fatal(err)
	}
	if s != "keep" || i != math.MaxInt || !b {
		t.Errorf("got %q, %d, %t", s, i, b)
	}
}

func TestArgsDecodeErrors(t *testing.T) {
	t.Parallel()
	s, i := "", 0
	err := args(t, `"a"`).Decode(nil, &s, &i)
	var argument *packet.ArgumentError
	if !errors.As(err, &argument) || argument.Index != 1 || !errors.Is(err, packet.ErrMissingArgument) {
		t.Errorf("missing argument: %v", err)
	}
	if want := "argument 1: missing"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if s != "a" {
		t.Errorf("the argument before it is %q", s)
	}
	var typ *json.UnmarshalTypeError
	err = args(t, `"a",{}`).Decode(nil, &s, &i)
	if !errors.As(err, &argument) || argument.Index != 1 || !errors.As(err, &typ) {
		t.Errorf("wrong type: %v", err)
	}
}

// Decoding into a json.RawMessage must not hand out the memory of the packet.
func TestArgsDecodeRawCopies(t *testing.T) {
	t.Parallel()
	a := args(t, `{"k":1}`)
	var raw json.RawMessage
	if err := a.Decode(nil, &raw); err != nil {
		t.Fatal(err)
	}
	clear(raw)
	if got := string(a.Raw(0)); got != `{"k":1}` {
		t.Errorf("the packet changed to %q", got)
	}
}
