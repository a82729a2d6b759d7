package cluster_test

import (
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	for name, uncounted := range map[string]bool{"a broker that counts": false, "a broker that does not count": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			siotest.TestCluster(t, func(_ *testing.T, n int) []adapter.Cluster {
				h := newHub()
				h.uncounted = uncounted
				all := make([]adapter.Cluster, n)
				for i := range all {
					all[i] = h.cluster(cluster.Options{})
				}
				return all
			})
		})
	}
}
