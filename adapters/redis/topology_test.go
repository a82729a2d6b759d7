package redisadapter_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	"github.com/sioplug/sioplug/internal/redistest"
)

func TestClassicSentinelFailover(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: redistest.MasterName, SentinelAddrs: []string{s.Addr}})
	t.Cleanup(func() { _ = client.Close() })
	a, b := join(t, redisadapter.Classic(client), "/", "a"), join(t, redisadapter.Classic(client), "/", "b")
	connected(t, a, b)
	s.Master.Kill()
	s.AwaitFailover()
	connected(t, a, b)
	a.publish("1")
	b.expect("1")
	eventually(t, "the gap is noticed", func() bool { return b.cluster.Status().Gaps > 0 && b.cluster.Status().Healthy })
}

// clusterAdapters makes each adapter that works on a Redis Cluster.
func clusterAdapters() map[string]func(redis.UniversalClient) server {
	all := adapters()
	all["sharded static"] = func(c redis.UniversalClient) server {
		return redisadapter.Sharded(c, redisadapter.ShardedOptions{SubscriptionMode: redisadapter.Static})
	}
	all["streams sharded"] = func(c redis.UniversalClient) server {
		return redisadapter.Streams(c, redisadapter.StreamsOptions{UseShardedPubSub: true})
	}
	return all
}

// Each master is killed in turn, and its replica takes over.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 1)
	client := newClusterClient(t, c)
	type pair struct{ a, b *node }
	pairs := make(map[string]pair)
	for name, newCluster := range clusterAdapters() {
		a, b := join(t, newCluster(client), "/"+name, name+" a"), join(t, newCluster(client), "/"+name, name+" b")
		pairs[name] = pair{a, b}
		connected(t, a, b)
	}
	c.Masters[0].Kill()
	for name, p := range pairs {
		connected(t, p.a, p.b)
		p.a.publish("1")
		p.b.expect("1")
		eventually(t, name+" is well", func() bool { return p.a.cluster.Status().Healthy && p.b.cluster.Status().Healthy })
	}
}

// A slot moves to another master (CAP-F-19): the subscription follows, and nothing of it is
// left.
func TestASlotMoves(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 0)
	client := newClusterClient(t, c)
	newCluster := func() server { return redisadapter.Sharded(client) }
	a, b := join(t, newCluster(), "/", "a"), join(t, newCluster(), "/", "b")
	connected(t, a, b)
	const slot = 13868 // of socket.io#/#
	from, to := c.Owner(slot), c.Masters[0]
	if from == to {
		t.Fatal("the slot is at the master that it should move to")
	}
	c.Migrate(slot, to)
	connected(t, a, b)
	a.publish("1")
	b.expect("1")
	eventually(t, "the move is noticed", func() bool { return b.cluster.Status().Gaps > 0 && b.cluster.Status().Healthy })
	if left := from.MustDo("PUBSUB", "SHARDCHANNELS", "socket.io#/#"); len(left) > 0 {
		t.Errorf("subscribed at the former master: %q", left)
	}
	if n := to.MustDo("PUBSUB", "SHARDNUMSUB", "socket.io#/#"); n[1] != "2" {
		t.Errorf("subscribed at the new master: %q", n)
	}
}

// CAP-F-19: servers are counted over all masters, and where the channel is.
func TestCountOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 0)
	client := newClusterClient(t, c)
	for name, newCluster := range clusterAdapters() {
		var nodes []*node
		for i := range 3 {
			nodes = append(nodes, join(t, newCluster(client), "/"+name, fmt.Sprint(name, i)))
		}
		connected(t, nodes...)
		prefix := "socket.io"
		command, channel := "NUMSUB", prefix+"#/"+name+"#"
		if strings.Contains(name, "sharded") {
			command = "SHARDNUMSUB"
		} else if name == "classic" {
			channel = prefix + "-request#/" + name + "#"
		}
		var counts []string
		for _, m := range c.Masters {
			if n, err := m.Do("PUBSUB", command, channel); err == nil {
				counts = append(counts, n[1])
			}
		}
		if slices.Sort(counts); !slices.Equal(counts, []string{"0", "0", "3"}) {
			t.Errorf("%s: subscribers of the masters: %q", name, counts)
		}
	}
}
