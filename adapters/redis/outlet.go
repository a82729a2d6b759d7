package redisadapter

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/internal/misuse"
)

// ClassicEmitterOptions are the options of [ClassicEmitter]. A zero value means the default.
type ClassicEmitterOptions struct {
	Key string // as ClassicOptions.Key of the servers
}

// ShardedEmitterOptions are the options of [ShardedEmitter]. A zero value means the default.
type ShardedEmitterOptions struct {
	ChannelPrefix    string           // as ShardedOptions.ChannelPrefix of the servers
	SubscriptionMode SubscriptionMode // as ShardedOptions.SubscriptionMode of the servers
}

// StreamsEmitterOptions are the options of [StreamsEmitter]. A zero value means the default.
type StreamsEmitterOptions struct {
	StreamName  string // as StreamsOptions.StreamName of the servers
	StreamCount int    // as StreamsOptions.StreamCount of the servers
	MaxLen      int    // as StreamsOptions.MaxLen of the servers
}

// ClassicEmitter returns an [Emitter] for servers with the adapter [Classic], or the
// official one, as @socket.io/redis-emitter. client is one of redis.NewClient,
// redis.NewFailoverClient or redis.NewClusterClient. Unless it has no retries, the emitter
// opens connections of its own, with the options of the client. They are closed when
// nobody has the emitter any more. Of a Redis Cluster, it uses those of the client: leave
// ClusterOptions.MaxRetries 0, or messages can arrive twice. ClassicEmitter panics if an
// option is wrong.
func ClassicEmitter(client redis.UniversalClient, opts ...ClassicEmitterOptions) Emitter {
	o := misuse.One("redisadapter", "ClassicEmitter", opts)
	key := cmp.Or(o.Key, defaultPrefix)
	return newEmitter(client, "ClassicEmitter", func(p *cluster.Packet) (posting, error) {
		channel := channelOf(key+"-request", p.Namespace)
		if p.Type == cluster.Broadcast {
			if channel = channelOf(key, p.Namespace); len(p.Message.Target.Rooms) == 1 {
				channel += p.Message.Target.Rooms[0] + "#"
			}
		} else if p.Type != cluster.ServerSideEmit {
			p.From = "" // as the official one has it
		}
		message, err := appendClassic(nil, p)
		return posting{channel, []any{"publish", channel, message}}, err
	})
}

// ShardedEmitter is [ClassicEmitter] for servers with the adapter [Sharded], or the official
// one, for which there is no official emitter.
func ShardedEmitter(client redis.UniversalClient, opts ...ShardedEmitterOptions) Emitter {
	o := misuse.One("redisadapter", "ShardedEmitter", opts)
	s := sharded{prefix: cmp.Or(o.ChannelPrefix, defaultPrefix), mode: cmp.Or(o.SubscriptionMode, Dynamic)}
	switch s.mode {
	case Static, Dynamic, DynamicPrivate:
	default:
		misuse.Panic(fmt.Sprintf("redisadapter: ShardedEmitter: there is no SubscriptionMode %q: use Static, Dynamic or DynamicPrivate", s.mode))
	}
	var mu sync.Mutex
	return newEmitter(client, "ShardedEmitter", func(p *cluster.Packet) (posting, error) {
		encode := cluster.AppendJSON
		if p.HasBinary() {
			encode = cluster.AppendMessagePack
		}
		message, err := encode(nil, p)
		mu.Lock()
		defer mu.Unlock()
		if p.Type == cluster.SocketsJoin && s.mode != Static {
			s.joined.Note(p.Namespace, p.Message.Rooms)
		}
		channel := s.channel(p)
		return posting{channel, []any{"spublish", channel, message}}, err
	})
}

// StreamsEmitter is [ClassicEmitter] for servers with the adapter [Streams], or the official
// one, as @socket.io/redis-streams-emitter.
func StreamsEmitter(client redis.UniversalClient, opts ...StreamsEmitterOptions) Emitter {
	o := misuse.One("redisadapter", "StreamsEmitter", opts)
	if o.MaxLen < 0 || o.StreamCount < 0 {
		misuse.Panic("redisadapter: StreamsEmitter: MaxLen or StreamCount is negative: leave them 0 for the default")
	}
	streams := StreamsOptions{StreamName: cmp.Or(o.StreamName, defaultPrefix), StreamCount: cmp.Or(o.StreamCount, 1)}
	maxLen := strconv.Itoa(cmp.Or(o.MaxLen, defaultMaxLen))
	return newEmitter(client, "StreamsEmitter", func(p *cluster.Packet) (posting, error) {
		var data []byte
		var err error
		if p.HasBinary() {
			if data, err = cluster.AppendDataMessagePack(nil, p); err == nil {
				data = base64.StdEncoding.AppendEncode(nil, data)
			}
		} else {
			data, err = cluster.AppendDataJSON(nil, p)
		}
		stream := streams.streamOf(p.Namespace)
		return posting{stream, []any{
			"xadd", stream, "maxlen", "~", maxLen, "*",
			"uid", p.From, "nsp", p.Namespace, "type", strconv.Itoa(int(p.Type)), "data", data,
		}}, err
	})
}

// A posting is a command for Redis. Its key says which server of a Redis Cluster it is for.
type posting struct {
	key  string
	args []any
}

// An outlet sends the messages of emitters. No command is sent again that Redis may have
// got.
type outlet struct {
	command func(p *cluster.Packet) (posting, error)
	single  *redis.Client        // nil for a cluster
	cluster *redis.ClusterClient // nil for a single server
}

func newEmitter(client redis.UniversalClient, function string, f func(p *cluster.Packet) (posting, error)) Emitter {
	newNodes(client, defaultReadTimeout, function) // which panics if the client is of no use
	o := &outlet{command: f}
	switch c := client.(type) {
	case *redis.ClusterClient:
		o.cluster = c
	case *redis.Client:
		if o.single = c; c.Options().MaxRetries > 0 {
			o.single = withoutRetries(c)
			runtime.AddCleanup(o, func(own *redis.Client) { _ = own.Close() }, o.single)
		}
	}
	return cluster.NewEmitter(o.send)
}

// withoutRetries returns a client with the options of another one that sends each command
// once.
func withoutRetries(c *redis.Client) *redis.Client {
	o := *c.Options()
	o.MaxRetries = -1
	if o.ReadTimeout == 0 { // which NewClient would take for the default
		o.ReadTimeout = -1
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = -1
	}
	return redis.NewClient(&o)
}

func (o *outlet) send(ctx context.Context, p *cluster.Packet) error {
	c, err := o.command(p)
	if err != nil {
		return err
	}
	if o.single != nil {
		return o.single.Process(ctx, redis.NewCmd(ctx, c.args...))
	}
	master, err := o.cluster.MasterForKey(ctx, c.key)
	if err != nil {
		return err
	}
	err = master.Process(ctx, redis.NewCmd(ctx, c.args...))
	if !redis.HasErrorPrefix(err, "MOVED") {
		return err
	}
	// That master has not taken it, and has said who would.
	o.cluster.ReloadState(ctx)
	if master = o.master(ctx, err); master != nil {
		return master.Process(ctx, redis.NewCmd(ctx, c.args...))
	}
	return err
}

// master returns the master that an error of another one names, or nil if it is not known.
func (o *outlet) master(ctx context.Context, moved error) *redis.Client {
	var found atomic.Pointer[redis.Client]
	addr := moved.Error()[strings.LastIndexByte(moved.Error(), ' ')+1:]
	_ = o.cluster.ForEachMaster(ctx, func(_ context.Context, c *redis.Client) error {
		if c.Options().Addr == addr {
			found.Store(c)
		}
		return nil
	})
	return found.Load()
}
