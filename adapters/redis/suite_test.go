package redisadapter_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/redistest"
)

// prefixes keeps the subtests of one Redis apart.
var prefixes atomic.Int64

func newPrefix() string { return fmt.Sprintf("test-%d", prefixes.Add(1)) }

func newClient(tb testing.TB, addr string) *redis.Client {
	tb.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// suite runs the tests of package siotest. connect makes one cluster.
func suite(t *testing.T, connect func(prefix string) adapter.Cluster) {
	t.Helper()
	siotest.TestCluster(t, func(_ *testing.T, n int) []adapter.Cluster {
		prefix := newPrefix()
		all := make([]adapter.Cluster, n)
		for i := range all {
			all[i] = connect(prefix)
		}
		return all
	})
}

func TestClassicSuite(t *testing.T) {
	t.Parallel()
	client := newClient(t, redistest.Start(t).Addr)
	suite(t, func(prefix string) adapter.Cluster {
		return redisadapter.Classic(client, redisadapter.ClassicOptions{Key: prefix})
	})
}

func TestShardedSuite(t *testing.T) {
	t.Parallel()
	for _, mode := range []redisadapter.SubscriptionMode{redisadapter.Static, redisadapter.Dynamic, redisadapter.DynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			client := newClient(t, redistest.Start(t).Addr)
			suite(t, func(prefix string) adapter.Cluster {
				return redisadapter.Sharded(client, redisadapter.ShardedOptions{ChannelPrefix: prefix, SubscriptionMode: mode})
			})
		})
	}
}

func newClusterClient(tb testing.TB, c *redistest.Cluster) *redis.ClusterClient {
	tb.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()})
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

func TestClassicSuiteOnCluster(t *testing.T) {
	t.Parallel()
	client := newClusterClient(t, redistest.StartCluster(t, 0))
	suite(t, func(prefix string) adapter.Cluster {
		return redisadapter.Classic(client, redisadapter.ClassicOptions{Key: prefix})
	})
}

func TestShardedSuiteOnCluster(t *testing.T) {
	t.Parallel()
	client := newClusterClient(t, redistest.StartCluster(t, 0))
	for _, mode := range []redisadapter.SubscriptionMode{redisadapter.Static, redisadapter.Dynamic, redisadapter.DynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			suite(t, func(prefix string) adapter.Cluster {
				return redisadapter.Sharded(client, redisadapter.ShardedOptions{ChannelPrefix: prefix, SubscriptionMode: mode})
			})
		})
	}
}

func TestStreamsSuite(t *testing.T) {
	t.Parallel()
	client := newClient(t, redistest.Start(t).Addr)
	suite(t, func(prefix string) adapter.Cluster {
		return redisadapter.Streams(client, redisadapter.StreamsOptions{StreamName: prefix, ChannelPrefix: prefix})
	})
}
