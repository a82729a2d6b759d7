//go:build !race

package msgpack_test

import (
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
)

// Encoding takes the message and the list that it is in. Decoding takes the packet,
// its JSON, and what its attachments need.
//
//nolint:paralleltest // AllocsPerRun counts the allocations of the whole process
func TestAllocations(t *testing.T) {
	text := &parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(`["echo",{"text":"` + strings.Repeat("x\\n", 100) + `","n":[1,2.5,null]}]`)}
	for _, c := range []struct {
		name           string
		p              *parser.Packet
		encode, decode float64
	}{
		{"text", text, 2, 2},
		{"attachment", hello(), 2, 4},
	} {
		in := parser.Message{Binary: true, Data: encode(t, c.p)}
		if got := testing.AllocsPerRun(100, func() { encode(t, c.p) }); got > c.encode {
			t.Errorf("%s: encoding takes %v allocations, want at most %v", c.name, got, c.encode)
		}
		d := msgpack.Parser{}.NewDecoder(limits)
		got := testing.AllocsPerRun(100, func() {
			if _, err := d.Decode(in); err != nil {
				t.Fatal(err)
			}
		})
		if got > c.decode {
			t.Errorf("%s: decoding takes %v allocations, want at most %v", c.name, got, c.decode)
		}
	}
}
