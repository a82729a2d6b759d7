package cluster_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	sio "github.com/sioplug/sioplug/core"
)

// startGoRedisServer starts a server in Go with the cluster's adapter. addr is where Redis
// listens. The server stops with the test.
func (c *cluster) startGoRedisServer(t *testing.T, name, addr string, recovery *sio.Recovery) *goServer {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return c.startGoServer(t, name, c.variant.goes(client), recovery)
}
