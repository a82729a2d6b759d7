//go:build !race

package cluster_test

import (
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// Encoding needs no memory if the caller has it. Decoding takes the packet, the message,
// the sender, the rooms with a list, and of MessagePack the JSON and the attachments.
//
//nolint:paralleltest // AllocsPerRun counts the allocations of the whole process
func TestAllocations(t *testing.T) {
	dst := make([]byte, 0, 4096)
	for _, c := range []struct {
		name, form     string
		encode         func([]byte, *cluster.Packet) ([]byte, error)
		encoded, after float64
	}{
		{"small", "JSON", cluster.AppendJSON, 0, 5},
		{"1KiB", "JSON", cluster.AppendJSON, 0, 5},
		{"small", "MessagePack", cluster.AppendMessagePack, 0, 6},
		{"1KiB", "MessagePack", cluster.AppendMessagePack, 0, 6},
		{"bytes", "MessagePack", cluster.AppendMessagePack, 0, 7},
	} {
		p := broadcasts(t)[c.name]
		var in []byte
		got := testing.AllocsPerRun(100, func() {
			var err error
			if in, err = c.encode(dst, p); err != nil {
				t.Fatal(err)
			}
		})
		if got > c.encoded {
			t.Errorf("%s %s: encoding takes %v allocations, want at most %v", c.form, c.name, got, c.encoded)
		}
		got = testing.AllocsPerRun(100, func() {
			if _, err := cluster.Decode(in); err != nil {
				t.Fatal(err)
			}
		})
		if got > c.after {
			t.Errorf("%s %s: decoding takes %v allocations, want at most %v", c.form, c.name, got, c.after)
		}
	}
}
