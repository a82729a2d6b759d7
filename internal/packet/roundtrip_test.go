package packet_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/sioplug/sioplug/internal/packet"
)

// 13.15.2 to 9: what the encoder writes, the decoder reads.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	must := func(p []byte, _ [][]byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	refusal := func(v any) []byte {
		p, err := packet.AppendConnectError(nil, nil, "/", v)
		return must(p, nil, err)
	}
	list := []any{"a", 1, struct{}{}}
	for _, c := range []struct {
		id   string
		wire []byte
		want string
	}{
		{"13.15.2", packet.AppendConnect(nil, "/woot", []byte(`{"token":"123"}`)), `CONNECT /woot data={"token":"123"}`},
		{"13.15.3", packet.AppendDisconnect(nil, "/woot"), `DISCONNECT /woot`},
		{"13.15.4", must(packet.AppendEvent(nil, nil, packet.Header{}, "a", list[1:])), `EVENT / name="a" 0=1 1={}`},
		{"13.15.5", must(packet.AppendEvent(nil, nil, packet.Header{}, "1", list[:1])), `EVENT / name="1" 0="a"`},
		{"13.15.6", must(packet.AppendEvent(nil, nil, packet.Header{"/test", 1, true}, "a", list[1:])), `EVENT /test id=1 name="a" 0=1 1={}`},
		{"13.15.7", must(packet.AppendAck(nil, nil, packet.Header{"/", 123, true}, list)), `ACK / id=123 0="a" 1=1 2={}`},
		{"13.15.8", refusal("Unauthorized"), `CONNECT_ERROR / data="Unauthorized"`},
		{"13.15.9", refusal(map[string]string{"message": "Unauthorized"}), `CONNECT_ERROR / data={"message":"Unauthorized"}`},
		{"SIO-ENC-3 limit", must(packet.AppendAck(nil, nil, packet.Header{"", 1<<53 - 1, true}, nil)), `ACK / id=9007199254740991`},
	} {
		got, complete, err := new(packet.Decoder).Text(c.wire)
		if err != nil || !complete || describe(got) != c.want {
			t.Errorf("%s: %s became %s, error %v, want %s", c.id, c.wire, describe(got), err, c.want)
		}
	}
}

// Any tree of JSON values and byte slices arrives as it was sent.
func TestTreesRoundTrip(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		want := make([]any, r.IntN(4))
		for i := range want {
			want[i] = tree(r, 4)
		}
		text, bin, err := packet.AppendEvent(nil, nil, packet.Header{}, "e", want)
		if err != nil {
			t.Fatal(err)
		}
		k, err := receive(&packet.Decoder{MaxAttachments: max(len(bin), 1)}, string(text), bin...)
		if err != nil {
			t.Fatalf("seed %d: %s: %v", seed, text, err)
		}
		if got, err := decodeAll(k.Args); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %s: got %v, error %v, want %v", seed, text, got, err, want)
		}
	}
}

// tree returns a random value of at most this depth.
func tree(r *rand.Rand, depth int) any {
	kinds := 8
	if depth == 0 {
		kinds = 6
	}
	switch r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2:
		return math.Trunc(r.NormFloat64() * 1e6)
	case 3:
		return r.NormFloat64()
	case 4:
		return text(r)
	case 5:
		return append([]byte{}, text(r)...)
	case 6:
		list := make([]any, r.IntN(4))
		for i := range list {
			list[i] = tree(r, depth-1)
		}
		return list
	default:
		object := make(map[string]any)
		for range r.IntN(4) {
			object[text(r)] = tree(r, depth-1)
		}
		return object
	}
}

// text returns a random string in which every kind of character is likely.
func text(r *rand.Rand) string {
	alphabet := []rune("abc 12[]{},:\"\\/\n\t\x00\x7fé日😀\u2028\ufffd_")
	s := make([]rune, r.IntN(20))
	for i := range s {
		s[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(s)
}

// Numbers look as encoding/json writes them, and survive.
func TestFloatsRoundTrip(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		f := math.Float64frombits(r.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		small := float32(math.Mod(f, math.MaxFloat32))
		want, err := json.Marshal([]any{f, small})
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := packet.AppendAck(nil, nil, packet.Header{}, []any{f, small})
		if err != nil || string(got) != "3"+string(want) {
			t.Fatalf("got %s, error %v, want %s", got, err, want)
		}
		var back float64
		if err := args(t, string(got[2:len(got)-1])).Decode(nil, &back); err != nil || back != f {
			t.Fatalf("%v became %v, error %v", f, back, err)
		}
	}
}
