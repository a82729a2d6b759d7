// Package redisadapter connects servers to a cluster over Redis, also with servers of the
// official adapters for Node.js. One line makes a server part of the cluster:
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
//	srv := sio.New(&sio.Options{Adapter: redisadapter.Classic(client)})
//
// Which adapter to choose:
//
//   - [Classic] uses pub/sub. It works with every version of Redis, with Sentinel and with
//     Redis Cluster. Choose it if the other servers of the cluster do.
//   - [Sharded] uses sharded pub/sub of Redis 7. On a Redis Cluster it spreads messages over
//     the masters, and a server gets only those for rooms that it has clients in.
//   - [Streams] uses a stream of Redis. Servers that lose their connection miss nothing, as
//     long as the stream has it. Connection state recovery works across servers.
//
// All servers of a cluster need the same adapter, and the same names of channels in its
// options.
//
// An adapter opens connections of its own, with the options of the application's client. A
// Redis that hangs only delays messages, for up to ReadTimeout. A message is never sent
// twice. If a connection fails while messages are sent, these may be lost. They are counted
// in [adapter.Status], as are times after which messages of others may have been missed.
//
// The messages of one server arrive in the order in which it has sent them. With a Redis
// Cluster, that is so among servers of this module. With [Streams], it is so among them
// also for requests.
//
// [adapter.Status]: https://pkg.go.dev/github.com/sioplug/sioplug/core/adapter#Status
package redisadapter
