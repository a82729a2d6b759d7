package packet_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/packet"
)

// The ceilings that the server's own are built on. They are not parallel:
// AllocsPerRun counts the allocations of the whole process.

//nolint:paralleltest // see above
func TestDecodeAllocations(t *testing.T) {
	for _, c := range []struct {
		name, in string
		dst      any
		want     float64
	}{
		{"small", `2["echo","0123456789"]`, nil, 1},
		{"namespace and id", `2/chat,17["say","hello",42,true]`, nil, 1},
		{"escaped name", `2["\u0061bc",1]`, nil, 1},
		{"long name", `2["` + strings.Repeat("n", 200) + `"]`, nil, 1},
		{"to string", `2["echo","0123456789"]`, new(string), 1},
		{"to escaped string", `2["echo","0123456789\n"]`, new(string), 2},
		{"to int", `2["echo",1234567]`, new(int), 1},
		{"to float64", `2["echo",1.25]`, new(float64), 1},
		{"to reused raw", `2["echo",{"a":1}]`, &json.RawMessage{0, 0, 0, 0, 0, 0, 0, 0}, 1},
		{"ack", `312["ok"]`, nil, 1},
		{"ack without arguments", `312[]`, nil, 0},
		{"refused", `2["echo",`, nil, 0},
	} {
		var d packet.Decoder
		in := []byte(c.in)
		got := testing.AllocsPerRun(100, func() {
			k, _, err := d.Text(in)
			if err == nil && c.dst != nil {
				err = k.Args.Decode(nil, c.dst)
			}
			if err != nil && c.name != "refused" {
				t.Fatal(err)
			}
		})
		if got > c.want {
			t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.want)
		}
	}
}

//nolint:paralleltest // see above
func TestEncodeAllocations(t *testing.T) {
	dst := make([]byte, 0, 1024)
	data := []byte{1, 2, 3}
	for _, c := range []struct {
		name string
		args []any
		want float64
	}{
		{"string", []any{"0123456789"}, 0},
		{"scalars", []any{"a\nb", 1234567, 1.25, true, nil, uint8(3), json.RawMessage(`{"a":[1]}`)}, 0},
		{"bytes", []any{data}, 1},
	} {
		got := testing.AllocsPerRun(100, func() {
			if _, _, err := packet.AppendEvent(dst, nil, packet.Header{Namespace: "/chat", ID: 7, HasID: true}, "echo", c.args); err != nil {
				t.Fatal(err)
			}
		})
		if got > c.want {
			t.Errorf("%s: %v allocations, want at most %v", c.name, got, c.want)
		}
	}
}
