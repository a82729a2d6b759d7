package packet_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/sioplug/sioplug/internal/packet"
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
	const values = `1,"xy",[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`
	k, err := receive(new(packet.Decoder), `52-["m",`+values+`]`, make([]byte, 10), make([]byte, 20))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.Args.Size(), len(values)+30; got != want {
		t.Errorf("size %d, want %d", got, want)
	}
}

// What waits for a handler is counted by its memory. A packet must not keep more of it
// than Memory says, whatever is in it.
func TestMemoryOfPacketsIsWhatTheyCount(t *testing.T) {
	const n = 200
	long := strings.Repeat("x", 50_000)
	for name, c := range map[string]struct {
		text        string
		attachments [][]byte
	}{
		"a long name":                         {`2["` + long + `"]`, nil},
		"a long name, an argument":            {`2["` + long + `",1]`, nil},
		"a name of escapes":                   {`2["` + strings.Repeat(`\u0061`, 10_000) + `",1]`, nil},
		"space in front of the arguments":     {`2["e"` + strings.Repeat(" ", 50_000) + `,1]`, nil},
		"space behind the comma":              {`2["e",` + strings.Repeat(" ", 50_000) + `1]`, nil},
		"space in front of the name":          {`2[` + strings.Repeat(" ", 50_000) + `"e",1]`, nil},
		"space behind the arguments":          {`2["e",1` + strings.Repeat(" ", 50_000) + `]`, nil},
		"an ack with space":                   {`37[` + strings.Repeat(" ", 50_000) + `]`, nil},
		"many arguments":                      {`2["e"` + strings.Repeat(`,0`, 25_000) + `]`, nil},
		"an attachment":                       {header(1), [][]byte{make([]byte, 50_000)}},
		"attachments of a byte":               {header(100), repeat([]byte{1}, 100)},
		"empty attachments":                   {header(100), repeat([]byte{}, 100)},
		"a placeholder in escapes":            {`51-["m",{"` + strings.Repeat(`\u005f`, 1) + `placeholder":true,"num":0}]`, [][]byte{{1}}},
		"attachments of just above a class":   {header(10), repeat(make([]byte, 32<<10+1), 10)},
		"a placeholder with a lot beside num": {`51-["m",{"_placeholder":true,"num":0,"x":"` + long + `"}]`, [][]byte{{1}}},
	} {
		kept := make([]packet.Packet, n)
		before, counted := heap(), 0
		for i := range kept {
			k, err := receive(&packet.Decoder{MaxAttachments: 100}, c.text, c.attachments...)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			kept[i] = k
			counted += len(k.Name) + k.Args.Memory() + 256 // as the server counts it
		}
		if used := heap() - before; used > counted+counted/4+n*16 {
			t.Errorf("%s: a packet takes %d bytes, and counts as %d", name, used/n, counted/n)
		}
		runtime.KeepAlive(kept)
	}
}

func repeat(p []byte, n int) [][]byte { return slices.Repeat([][]byte{p}, n) }

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// An unknown name becomes a string without a copy if it is most of its packet, and
// otherwise does not keep the packet.
func TestEventName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 1000)
	for name, c := range map[string]struct {
		text   string
		space  []byte
		shares bool
	}{
		"long":          {`2["` + long + `",1]`, nil, true},
		"alone":         {`2["e"]`, nil, true},
		"in lent space": {`2["e"]`, make([]byte, 0, 100), false},
		"short":         {`2["e","` + long + `"]`, nil, false},
		"empty":         {`2[""]`, nil, false},
	} {
		k, _, err := (&packet.Decoder{Space: c.space}).Text([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		got := k.EventName()
		if got != string(k.Name) {
			t.Errorf("%s: name %q, want %q", name, got, k.Name)
		}
		if shares := len(k.Name) > 0 && unsafe.StringData(got) == &k.Name[0]; shares != c.shares {
			t.Errorf("%s: shares memory: %t, want %t", name, shares, c.shares)
		}
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
