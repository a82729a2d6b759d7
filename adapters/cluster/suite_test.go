package cluster_test

import (
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	asJSON := func(p *cluster.Packet) ([]byte, error) {
		if p.HasBinary() {
			return cluster.AppendMessagePack(nil, p)
		}
		return cluster.AppendJSON(nil, p)
	}
	asMessagePack := func(p *cluster.Packet) ([]byte, error) { return cluster.AppendMessagePack(nil, p) }
	for _, tt := range []struct {
		name      string
		uncounted bool
		encode    func(p *cluster.Packet) ([]byte, error)
	}{
		{"a broker that counts", false, nil},
		{"a broker that does not count", true, nil},
		{"JSON", false, asJSON},
		{"MessagePack", true, asMessagePack},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			siotest.TestCluster(t, func(_ *testing.T, n int) []adapter.Cluster {
				h := newHub()
				h.uncounted, h.encode = tt.uncounted, tt.encode
				all := make([]adapter.Cluster, n)
				for i := range all {
					all[i] = h.cluster(cluster.Options{})
				}
				return all
			})
		})
	}
}
