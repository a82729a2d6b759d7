package cluster_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	"github.com/sioplug/sioplug/core/adapter"
)

// A variant is an adapter with options, in both languages.
type variant struct {
	name     string
	adapter  string // node/servers.js knows it
	options  map[string]any
	goes     func(client redis.UniversalClient) adapter.Cluster
	emitter  func(client redis.UniversalClient) redisadapter.Emitter
	recovery bool
}

const (
	classic = "classic"
	sharded = "sharded"
	streams = "streams"

	postgres = "postgres" // see postgres_test.go
)

func variants() []variant {
	return []variant{
		{
			name: "classic", adapter: classic,
			goes:    func(c redis.UniversalClient) adapter.Cluster { return redisadapter.Classic(c) },
			emitter: func(c redis.UniversalClient) redisadapter.Emitter { return redisadapter.ClassicEmitter(c) },
		},
		{
			name: "classic, specific responses, key", adapter: classic,
			options: map[string]any{"publishOnSpecificResponseChannel": true, "key": "app"},
			goes: func(c redis.UniversalClient) adapter.Cluster {
				return redisadapter.Classic(c, redisadapter.ClassicOptions{PublishOnSpecificResponseChannel: true, Key: "app"})
			},
			emitter: func(c redis.UniversalClient) redisadapter.Emitter {
				return redisadapter.ClassicEmitter(c, redisadapter.ClassicEmitterOptions{Key: "app"})
			},
		},
		{
			name: "sharded dynamic", adapter: sharded,
			goes:    func(c redis.UniversalClient) adapter.Cluster { return redisadapter.Sharded(c) },
			emitter: func(c redis.UniversalClient) redisadapter.Emitter { return redisadapter.ShardedEmitter(c) },
		},
		{
			name: "sharded static, prefix", adapter: sharded,
			options: map[string]any{"subscriptionMode": "static", "channelPrefix": "app"},
			goes: func(c redis.UniversalClient) adapter.Cluster {
				return redisadapter.Sharded(c, redisadapter.ShardedOptions{SubscriptionMode: redisadapter.Static, ChannelPrefix: "app"})
			},
			emitter: func(c redis.UniversalClient) redisadapter.Emitter {
				return redisadapter.ShardedEmitter(c, redisadapter.ShardedEmitterOptions{SubscriptionMode: redisadapter.Static, ChannelPrefix: "app"})
			},
		},
		{
			name: "sharded dynamic-private", adapter: sharded,
			options: map[string]any{"subscriptionMode": "dynamic-private"},
			goes: func(c redis.UniversalClient) adapter.Cluster {
				return redisadapter.Sharded(c, redisadapter.ShardedOptions{SubscriptionMode: redisadapter.DynamicPrivate})
			},
			emitter: func(c redis.UniversalClient) redisadapter.Emitter {
				return redisadapter.ShardedEmitter(c, redisadapter.ShardedEmitterOptions{SubscriptionMode: redisadapter.DynamicPrivate})
			},
		},
		{
			name: "streams", adapter: streams,
			goes:    func(c redis.UniversalClient) adapter.Cluster { return redisadapter.Streams(c) },
			emitter: func(c redis.UniversalClient) redisadapter.Emitter { return redisadapter.StreamsEmitter(c) },
		},
		{
			name: "streams, sharded pubsub", adapter: streams,
			options: map[string]any{"useShardedPubSub": true, "streamName": "app", "channelPrefix": "app"},
			goes: func(c redis.UniversalClient) adapter.Cluster {
				return redisadapter.Streams(c, redisadapter.StreamsOptions{UseShardedPubSub: true, StreamName: "app", ChannelPrefix: "app"})
			},
			emitter: func(c redis.UniversalClient) redisadapter.Emitter {
				return redisadapter.StreamsEmitter(c, redisadapter.StreamsEmitterOptions{StreamName: "app"})
			},
		},
		{
			name: "streams, two", adapter: streams, options: map[string]any{"streamCount": 2},
			goes: func(c redis.UniversalClient) adapter.Cluster {
				return redisadapter.Streams(c, redisadapter.StreamsOptions{StreamCount: 2})
			},
			emitter: func(c redis.UniversalClient) redisadapter.Emitter {
				return redisadapter.StreamsEmitter(c, redisadapter.StreamsEmitterOptions{StreamCount: 2})
			},
		},
	}
}

// ids are the ids of the rules that a test shows, by adapter.
type ids map[string]string

// run runs a test whose name has the ids that hold for the variant.
func (c *cluster) run(t *testing.T, rules ids, name string, f func(t *testing.T)) {
	t.Helper()
	if id := rules[c.variant.adapter]; id != "" {
		name = id + " " + name
	}
	t.Run(name, f)
}
