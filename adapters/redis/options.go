package redisadapter

import (
	"cmp"
	"fmt"
	"time"
	"unicode/utf16"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/internal/misuse"
)

const (
	defaultPrefix      = "socket.io"
	defaultReadTimeout = 30 * time.Second
)

// ClassicOptions are the options of [Classic]. A zero value means the default.
type ClassicOptions struct {
	cluster.Options

	// Key is the prefix of all channels, "socket.io" by default. All servers and
	// emitters must have the same.
	Key string

	// PublishOnSpecificResponseChannel sends answers to the server that has asked, and
	// not to all. By default, that is so only among servers of this module. Servers of
	// the official adapter understand either.
	PublishOnSpecificResponseChannel bool

	// ReadTimeout is for how long Redis may be silent. Then its connection is given up.
	// Until then, a Redis that hangs only delays messages. It is 30 seconds by default.
	ReadTimeout time.Duration
}

// A SubscriptionMode is which channels servers of [Sharded] use.
type SubscriptionMode string

// The subscription modes.
const (
	// Static has one channel for each namespace. Every server gets all messages, and
	// has few subscriptions.
	Static SubscriptionMode = "static"

	// Dynamic has a channel for each room too, except for the rooms of single sockets.
	// A server gets messages to a room only if it has clients there.
	Dynamic SubscriptionMode = "dynamic"

	// DynamicPrivate has a channel for each room, also for those of single sockets.
	DynamicPrivate SubscriptionMode = "dynamic-private"
)

// ShardedOptions are the options of [Sharded]. A zero value means the default.
type ShardedOptions struct {
	cluster.Options

	// ChannelPrefix is the prefix of all channels, "socket.io" by default. All servers
	// and emitters must have the same.
	ChannelPrefix string

	// SubscriptionMode is [Dynamic] by default. All servers and emitters must have the
	// same.
	SubscriptionMode SubscriptionMode

	// ReadTimeout is for how long Redis may be silent. Then its connection is given up.
	// Until then, a Redis that hangs only delays messages. It is 30 seconds by default.
	ReadTimeout time.Duration
}

// StreamsOptions are the options of [Streams]. A zero value means the default.
type StreamsOptions struct {
	cluster.Options

	// StreamName is the key of the stream, "socket.io" by default. All servers and
	// emitters must have the same.
	StreamName string

	// StreamCount is the number of streams, 1 by default. If there are more, their
	// keys are StreamName with "-0", "-1" and so on, and each namespace is in one of
	// them. All servers must have the same.
	StreamCount int

	// ChannelPrefix is the prefix of the channels for requests and their answers,
	// "socket.io" by default.
	ChannelPrefix string

	// UseShardedPubSub is for Redis Cluster, since Redis 7: channels are spread over its
	// masters. All servers must have the same.
	UseShardedPubSub bool

	// MaxLen is about how many messages a stream keeps, 10,000 by default. A server that
	// is disconnected for longer misses messages.
	MaxLen int

	// ReadCount is how many messages are read at once, 100 by default.
	ReadCount int

	// BlockTime is how long Redis waits for new messages before it answers that there
	// are none, 5 seconds by default.
	BlockTime time.Duration

	// SessionKeyPrefix is the prefix of the keys of sessions, if the server has connection
	// state recovery, "sio:session:" by default. All servers must have the same.
	SessionKeyPrefix string

	// MaxSessions is how many sessions this server keeps in Redis at the same time,
	// 100,000 by default. The oldest go first.
	MaxSessions int

	// ReadTimeout is for how long Redis may be silent. Then its connection is given up.
	// Until then, a Redis that hangs only delays messages. It is 30 seconds by default.
	ReadTimeout time.Duration
}

// streams returns the keys of the streams.
func (o *StreamsOptions) streams() []string {
	if o.StreamCount == 1 {
		return []string{o.StreamName}
	}
	var keys []string
	for i := range o.StreamCount {
		keys = append(keys, fmt.Sprintf("%s-%d", o.StreamName, i))
	}
	return keys
}

// streamOf returns the key of the stream that a namespace is in (ECO-ST-7).
func (o *StreamsOptions) streamOf(namespace string) string {
	if o.StreamCount == 1 {
		return o.StreamName
	}
	var h int32
	for _, unit := range utf16.Encode([]rune(namespace)) {
		h = h*31 + int32(unit)
	}
	i := int(h) % o.StreamCount
	if i < 0 { // the official adapter takes a stream that it never reads
		i += o.StreamCount
	}
	return fmt.Sprintf("%s-%d", o.StreamName, i)
}

const (
	defaultSessionKeyPrefix = "sio:session:"
	defaultMaxSessions      = 100_000

	defaultMaxLen    = 10_000
	defaultReadCount = 100
	defaultBlockTime = 5 * time.Second

	minReadTimeout = time.Second
)

func checkTimeout(function string, d time.Duration) time.Duration {
	if d != 0 && d < minReadTimeout {
		misuse.Panic(fmt.Sprintf("redisadapter: %s: ReadTimeout is %v: use at least %v, or 0 for the default", function, d, minReadTimeout))
	}
	return cmp.Or(d, defaultReadTimeout)
}

// Classic returns an adapter that uses pub/sub of Redis, compatible with the official
// adapter @socket.io/redis-adapter. client is one of redis.NewClient,
// redis.NewFailoverClient or redis.NewClusterClient. The adapter opens connections of its
// own, with the options of the client. It does not close the client. Each server needs an
// adapter of its own. Classic panics if an option is wrong.
func Classic(client redis.UniversalClient, opts ...ClassicOptions) *cluster.Cluster {
	o := misuse.One("redisadapter", "Classic", opts)
	o.Key = cmp.Or(o.Key, defaultPrefix)
	n := newNodes(client, checkTimeout("Classic", o.ReadTimeout), "Classic")
	return cluster.New(func() cluster.Broker { return newClassic(n, o) }, o.Options)
}

// Sharded is [Classic] for sharded pub/sub, which needs Redis 7. It is compatible with
// createShardedAdapter of the official package. On a Redis Cluster, it spreads channels over
// the masters.
func Sharded(client redis.UniversalClient, opts ...ShardedOptions) *cluster.Cluster {
	o := misuse.One("redisadapter", "Sharded", opts)
	o.ChannelPrefix = cmp.Or(o.ChannelPrefix, defaultPrefix)
	o.SubscriptionMode = cmp.Or(o.SubscriptionMode, Dynamic)
	switch o.SubscriptionMode {
	case Static, Dynamic, DynamicPrivate:
	default:
		misuse.Panic(fmt.Sprintf("redisadapter: Sharded: there is no SubscriptionMode %q: use Static, Dynamic or DynamicPrivate", o.SubscriptionMode))
	}
	n := newNodes(client, checkTimeout("Sharded", o.ReadTimeout), "Sharded")
	return cluster.New(func() cluster.Broker { return newSharded(n, o) }, o.Options)
}

// Streams is [Classic] for a stream of Redis, which keeps messages while a server is
// disconnected. It is compatible with the official adapter @socket.io/redis-streams-adapter.
// If the server has connection state recovery, clients can come back to any server.
func Streams(client redis.UniversalClient, opts ...StreamsOptions) *StreamsCluster {
	o := misuse.One("redisadapter", "Streams", opts)
	for name, v := range map[string]int64{
		"StreamCount": int64(o.StreamCount), "MaxLen": int64(o.MaxLen), "ReadCount": int64(o.ReadCount), "BlockTime": int64(o.BlockTime),
		"MaxSessions": int64(o.MaxSessions),
	} {
		if v < 0 {
			misuse.Panic(fmt.Sprintf("redisadapter: Streams: %s is negative: leave it 0 for the default", name))
		}
	}
	if o.BlockTime != 0 && o.BlockTime < time.Millisecond {
		misuse.Panic("redisadapter: Streams: BlockTime is shorter than a millisecond: leave it 0 for 5 seconds")
	}
	o.StreamName = cmp.Or(o.StreamName, defaultPrefix)
	o.ChannelPrefix = cmp.Or(o.ChannelPrefix, defaultPrefix)
	o.StreamCount = cmp.Or(o.StreamCount, 1)
	o.MaxLen = cmp.Or(o.MaxLen, defaultMaxLen)
	o.ReadCount = cmp.Or(o.ReadCount, defaultReadCount)
	o.BlockTime = cmp.Or(o.BlockTime, defaultBlockTime)
	o.SessionKeyPrefix = cmp.Or(o.SessionKeyPrefix, defaultSessionKeyPrefix)
	o.MaxSessions = cmp.Or(o.MaxSessions, defaultMaxSessions)
	n := newNodes(client, checkTimeout("Streams", o.ReadTimeout), "Streams")
	logs := newStreamLogs(client, o.streamOf, o.SessionKeyPrefix, o.MaxSessions)
	return &StreamsCluster{cluster.New(func() cluster.Broker { return newStreams(n, o, logs) }, o.Options), logs}
}
