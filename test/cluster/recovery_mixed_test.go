//go:build recovery

// The adapter's log for recovery comes later: remove the build tag then.

package cluster_test

import (
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/redistest"
)

// TestMixedRecovery moves clients between servers of both languages.
func TestMixedRecovery(t *testing.T) {
	t.Parallel()
	for _, v := range recoveries() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			addr := redistest.Start(t).Addr
			c := newCluster(t, v)
			c.members = []member{
				c.startGoRedisServer(t, "a", addr, &sio.Recovery{}),
				c.startGoRedisServer(t, "b", addr, &sio.Recovery{}),
				startNodeServer(t, c.peer, "c", v, addr),
			}
			c.populate(t)
			a, b, node := c.members[0], c.members[1], c.members[2]
			t.Run("Go to Go", func(t *testing.T) { c.testRecovery(t, addr, a, b) })
			t.Run("Node to Go", func(t *testing.T) { c.testRecovery(t, addr, node, a) })
			t.Run("Go to Node", func(t *testing.T) { c.testRecovery(t, addr, b, node) })
		})
	}
}
