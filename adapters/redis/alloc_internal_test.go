//go:build !race

package redisadapter

import (
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// Publishing takes the name of the channel for each packet, and timers for each batch.
// Receiving takes the payload, its JSON, the packet, the message and the name of the sender.
// What this server has sent itself takes the payload alone.
//
//nolint:paralleltest // AllocsPerRun counts the allocations of the whole process
func TestAllocations(t *testing.T) {
	for _, c := range []struct {
		name  string
		rooms []string
		n     int
		most  float64 // per packet
	}{
		{"one broadcast", nil, 1, 7},
		{"one broadcast to a room", []string{"r"}, 1, 8},
		{"a full pipeline", nil, maxPipeline, 1.2},
	} {
		packets := make([]*cluster.Packet, c.n)
		for i := range packets {
			packets[i] = broadcastFrom(me, c.rooms...)
		}
		send := publishing(t, newTestClassic(nil), packets)
		got := testing.AllocsPerRun(200, func() {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}) / float64(c.n)
		if got > c.most {
			t.Errorf("publishing %s takes %v allocations per packet, want at most %v", c.name, got, c.most)
		}
	}
	for name, most := range map[string]float64{me: 1, other: 5} {
		in := &inbound{}
		receive := receiver(newTestClassic(in), published(t, broadcastFrom(name)))
		got := testing.AllocsPerRun(200, func() {
			if err := receive(); err != nil || in.refused != nil {
				t.Fatal(err, in.refused)
			}
		})
		if got > most {
			t.Errorf("receiving from %s takes %v allocations, want at most %v", name, got, most)
		}
		if (in.received > 0) != (name == other) {
			t.Errorf("%d packets of %s were passed on", in.received, name)
		}
	}
}
