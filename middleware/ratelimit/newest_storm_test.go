package ratelimit_test

import (
	"sync/atomic"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// A counting cluster counts what servers tell each other for broadcasts.
type counting struct {
	adapter.Cluster

	published *atomic.Int64
}

type countingAdapter struct {
	adapter.Adapter

	published *atomic.Int64
}

func (c counting) Join(namespace string, n adapter.Node) adapter.Adapter {
	return countingAdapter{c.Cluster.Join(namespace, n), c.published}
}

func (a countingAdapter) Publish(m *adapter.Message) error {
	a.published.Add(1)
	return a.Adapter.Publish(m)
}

// One user opens many sockets at the same moment. Each of them replaces all others, which
// the servers tell each other in two messages, not in two for each.
func TestAStormOfOneUserIsNoStormBetweenServers(t *testing.T) {
	t.Parallel()
	const sockets = 50
	var published atomic.Int64
	cluster := counting{slow{adapter.NewMemory(), 10 * time.Millisecond}, &published}
	servers(t, 2, cluster, sio.Options{}, func(t *testing.T, nodes []network) {
		limitAll(nodes, func() sio.Middleware { return newest(1) })
		for i := range sockets {
			nodes[i%2].WebSocket(t).Send(`40{"user":"ann"}`)
		}
		time.Sleep(time.Second)
		if n := count(nodes); n != 1 {
			t.Errorf("%d sockets are left", n)
		}
		if n := published.Load(); n > 2*sockets {
			t.Errorf("%d sockets made %d messages", sockets, n)
		}
	})
}
