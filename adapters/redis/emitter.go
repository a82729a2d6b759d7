package redisadapter

import "github.com/sioplug/sioplug/adapters/cluster"

// An Emitter sends to the clients of a cluster from a process that is no server, such as a
// job or a command: see [cluster.Emitter]. It is made by [ClassicEmitter], [ShardedEmitter]
// or [StreamsEmitter]: take the one whose adapter the servers have.
type Emitter = cluster.Emitter
