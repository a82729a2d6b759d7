package redisadapter_test

import (
	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	sio "github.com/sioplug/sioplug/core"
)

// A server in a cluster with others that use the same Redis.
func ExampleClassic() { //nolint:testableexamples // needs Redis
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	srv := sio.New(&sio.Options{Adapter: redisadapter.Classic(client)})
	_ = srv
}

// Servers on a Redis Cluster.
func ExampleSharded() { //nolint:testableexamples // needs Redis
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"localhost:7000", "localhost:7001", "localhost:7002"}})
	srv := sio.New(&sio.Options{Adapter: redisadapter.Sharded(client)})
	_ = srv
}

// A stream that keeps more messages than by default.
func ExampleStreams() { //nolint:testableexamples // needs Redis
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	srv := sio.New(&sio.Options{Adapter: redisadapter.Streams(client, redisadapter.StreamsOptions{MaxLen: 50_000})})
	_ = srv
}
