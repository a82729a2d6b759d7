package redisadapter

import (
	"context"
	"encoding/base64"
	"strconv"
	"sync"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/sharedlog"
)

// A streams is the broker of [Streams]. Messages without answers are entries of a stream,
// which readers read. Requests and answers go over pub/sub: each namespace has a channel for
// requests, and one for answers to this server.
type streams struct {
	broker

	opts    StreamsOptions
	keys    []string // of the streams
	kind    topicKind
	logs    *streamLogs
	state   *streamState
	readers sync.WaitGroup
	stop    context.CancelFunc

	order   *sequencer
	last    map[string]lastEntry // by stream; of the publishing goroutine, as the next one
	unknown bool                 // the ids of entries of the current batch are not known yet

	mu     sync.RWMutex
	spaces map[string]struct{} // the namespaces that are subscribed to
}

func newStreams(n *nodes, o StreamsOptions, logs *streamLogs) *streams {
	s := &streams{broker: broker{nodes: n}, opts: o, logs: logs, spaces: make(map[string]struct{}), keys: o.streams()}
	if o.UseShardedPubSub {
		s.kind = shard
	}
	s.pub = publisher{nodes: n, encode: s.encode, done: s.done}
	s.last = make(map[string]lastEntry)
	return s
}

// A lastEntry is the last entry that this server has added to a stream.
type lastEntry struct {
	id entryID
	at time.Time
}

// servers is the channel for packets without a namespace.
func (s *streams) servers() string {
	return serversChannel(s.opts.ChannelPrefix) + s.opts.StreamName + "#"
}

// Start implements [cluster.Broker].
func (s *streams) Start(self string, in cluster.Inbound) {
	s.state = newStreamState(in, s.keys)
	s.order = newSequencer(in.Receive, s.since, s.keys...)
	s.start(self, s.state, s.deliver, topic{s.kind, s.servers()})
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	for _, key := range s.keys {
		r := &streamReader{
			nodes: s.nodes, key: key, count: s.opts.ReadCount, block: s.opts.BlockTime,
			entry: func(id entryID, fields []reply) { s.entry(key, id, fields) }, state: s.state,
			begin: s.logs.order(key).Begin, advance: func(id entryID) { s.order.advance(hashOf(key), id) },
		}
		s.readers.Go(func() { r.run(ctx) })
	}
}

// Close implements [cluster.Broker].
func (s *streams) Close() error {
	s.stop()
	s.readers.Wait()
	err := s.broker.Close()
	s.order.close()
	return err
}

// Subscribe implements [cluster.Broker].
func (s *streams) Subscribe(namespace string) {
	s.mu.Lock()
	s.spaces[namespace] = struct{}{}
	s.mu.Unlock()
	name := channelOf(s.opts.ChannelPrefix, namespace)
	s.subs.addGroup(namespace, map[topic]target{
		{s.kind, name}:                {namespace, ofRequests},
		{s.kind, name + s.self + "#"}: {namespace, ofResponses},
	})
}

// Unsubscribe implements [cluster.Broker].
func (s *streams) Unsubscribe(namespace string) {
	s.mu.Lock()
	delete(s.spaces, namespace)
	s.mu.Unlock()
	s.subs.removeGroup(namespace)
}

// Count implements [cluster.Counter].
func (s *streams) Count(ctx context.Context, namespace string) (int, error) {
	return s.countOf(ctx, channelOf(s.opts.ChannelPrefix, namespace))
}

// Gone implements [cluster.Prober].
func (s *streams) Gone(ctx context.Context, namespace string, ids []string) ([]string, error) {
	return gone(ids, func(id string) (int, error) {
		return s.countOf(ctx, channelOf(s.opts.ChannelPrefix, namespace)+id+"#")
	})
}

func (s *streams) countOf(ctx context.Context, channel string) (int, error) {
	if s.kind == shard {
		return s.count(ctx, "SHARDNUMSUB", channel)
	}
	return s.subscribers(ctx, channel)
}

// isEntry reports whether a packet goes into a stream. A server-side event does if nobody
// waits for answers: so it is not missed by servers that are disconnected. The official
// adapter understands it there, but sends it over pub/sub.
func isEntry(p *cluster.Packet) bool {
	changes := p.Type == cluster.SocketsJoin || p.Type == cluster.SocketsLeave || p.Type == cluster.DisconnectSockets
	return changes || (p.Type == cluster.Broadcast || p.Type == cluster.ServerSideEmit) && p.RequestID == ""
}

// encode is called by the publisher.
func (s *streams) encode(_ context.Context, dst []byte, p *cluster.Packet) (out []byte, key string, err error) {
	if len(dst) == 0 {
		s.unknown = false
	}
	if isEntry(p) {
		s.unknown = true
		return s.encodeEntry(dst, p)
	}
	ordered := p.Namespace != "" && p.Type != cluster.Relayed
	if s.unknown && ordered {
		return dst, "", errNextBatch
	}
	if s.scratch, err = cluster.AppendMessagePack(s.scratch[:0], p); err != nil {
		return dst, "", err
	}
	channel := s.channel(p)
	if ordered {
		if e := s.last[s.logs.streamOf(p.Namespace)]; time.Since(e.at) < orderTime {
			m := mark{stream: e.id}
			s.scratch = m.appendTo(s.scratch)
		}
	}
	if s.kind == shard {
		return appendPublish(dst, "SPUBLISH", channel, s.scratch), channel, nil
	}
	return appendPublish(dst, "PUBLISH", channel, s.scratch), "", nil
}

// done is called with the replies of Redis.
func (s *streams) done(p *cluster.Packet, r reply) {
	if !isEntry(p) {
		return
	}
	if id, ok := sharedlog.ParsePlace(string(r.text)); ok {
		s.last[s.logs.streamOf(p.Namespace)] = lastEntry{id, time.Now()}
	}
}

func (s *streams) channel(p *cluster.Packet) string {
	if p.Namespace == "" {
		return s.servers()
	}
	name := channelOf(s.opts.ChannelPrefix, p.Namespace)
	if p.Type.IsResponse() && p.To != "" {
		name += p.To + "#"
	}
	return name
}

func (s *streams) encodeEntry(dst []byte, p *cluster.Packet) (out []byte, key string, err error) {
	if p.HasBinary() {
		s.scratch, err = cluster.AppendDataMessagePack(s.scratch[:0], p)
		n := len(s.scratch)
		s.scratch = base64.StdEncoding.AppendEncode(s.scratch, s.scratch)[n:]
	} else {
		s.scratch, err = cluster.AppendDataJSON(s.scratch[:0], p)
	}
	if err != nil {
		return dst, "", err
	}
	key = s.logs.streamOf(p.Namespace)
	kind := strconv.Itoa(int(p.Type))
	s.logs.sending(p, kind, string(s.scratch))
	const args = 14
	dst = appendHead(dst, args)
	for _, arg := range [...]string{
		"XADD", key, "MAXLEN", "~", strconv.Itoa(s.opts.MaxLen), "*",
		fieldUID, p.From, fieldNSP, p.Namespace, fieldType, kind, fieldData,
	} {
		dst = appendBulk(dst, arg)
	}
	return appendBulk(dst, s.scratch), key, nil
}

// deliver takes a message from a channel.
func (s *streams) deliver(t target, channel, payload []byte) {
	p, err := cluster.Decode(payload)
	switch {
	case err != nil:
		s.in.Refused(err)
	case !t.adopt(p):
	case t.role == ofServers || p.Type == cluster.Relayed: // which does not wait for entries of streams
		s.in.Receive(p)
	default:
		m := readMark(payload)
		s.order.arrive(p, hashOf(channel), m, hashOf(s.logs.streamOf(p.Namespace)), len(payload))
	}
}

// entry takes an entry of a stream. Readers call it for all entries, in order, also for
// those of this server.
func (s *streams) entry(stream string, id entryID, fields []reply) {
	e := streamEntry{id: id}
	for i := 0; i+1 < len(fields); i += 2 {
		if to := e.field(string(fields[i].text)); to != nil {
			*to = string(fields[i+1].text)
		}
	}
	s.mu.RLock()
	_, wanted := s.spaces[e.namespace]
	s.mu.RUnlock()
	if wanted {
		s.logs.read(stream, s.self, &e, s.state)
	}
}
