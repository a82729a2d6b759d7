package redisadapter

import (
	"context"
	"unicode/utf16"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// A sharded is the broker of [Sharded]. Each namespace has a channel for everything, one for
// answers to this server, and one for each room, depending on the mode.
type sharded struct {
	broker

	prefix string
	mode   SubscriptionMode
	joined cluster.RecentJoins
	marks  markWriter
	order  *sequencer // nil on a single server, which keeps the order
}

func newSharded(n *nodes, o ShardedOptions) *sharded {
	s := &sharded{broker: broker{nodes: n}, prefix: o.ChannelPrefix, mode: o.SubscriptionMode}
	s.pub = publisher{nodes: n, encode: s.encode}
	return s
}

// channelOf returns the channel of a namespace.
func channelOf(prefix, namespace string) string { return prefix + "#" + namespace + "#" }

// Start implements [cluster.Broker].
func (s *sharded) Start(self string, in cluster.Inbound) {
	if s.nodes.cluster != nil {
		s.order = newSequencer(in.Receive, s.since)
	}
	s.start(self, in, s.deliver, topic{shard, serversChannel(s.prefix)})
}

// Subscribe implements [cluster.Broker].
func (s *sharded) Subscribe(namespace string) {
	name := channelOf(s.prefix, namespace)
	s.subs.addGroup(namespace, map[topic]target{
		{shard, name}:                {namespace, ofBroadcasts},
		{shard, name + s.self + "#"}: {namespace, ofResponses},
	})
}

// WatchesRooms implements [cluster.RoomSubscriber].
func (s *sharded) WatchesRooms() bool { return s.mode != Static }

// RoomCreated implements [cluster.RoomSubscriber].
func (s *sharded) RoomCreated(namespace, room string) {
	if s.hasChannel(room) {
		s.subs.add(s.topicOf(namespace, room), target{namespace, ofBroadcasts})
	}
}

// RoomDeleted implements [cluster.RoomSubscriber].
func (s *sharded) RoomDeleted(namespace, room string) {
	if s.hasChannel(room) {
		s.subs.remove(s.topicOf(namespace, room))
	}
}

func (s *sharded) topicOf(namespace, room string) topic {
	return topic{shard, channelOf(s.prefix, namespace) + room + "#"}
}

// privateLength is the length of a socket's id in UTF-16, which is how the official servers
// count. They take every room with such a name for that of a socket.
const privateLength = 20

// hasChannel reports whether a room has a channel of its own (ECO-SH-4). In the mode
// dynamic, nobody publishes to rooms with the length of a socket's id, so there is no need
// to subscribe to them.
func (s *sharded) hasChannel(room string) bool {
	switch s.mode {
	case DynamicPrivate:
		return true
	case Dynamic:
		return utf16Length(room) != privateLength
	case Static:
		return false
	default:
		return false
	}
}

func utf16Length(s string) (n int) {
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// Count implements [cluster.Counter].
func (s *sharded) Count(ctx context.Context, namespace string) (int, error) {
	return s.count(ctx, "SHARDNUMSUB", channelOf(s.prefix, namespace))
}

// Gone implements [cluster.Prober].
func (s *sharded) Gone(ctx context.Context, namespace string, ids []string) ([]string, error) {
	return gone(ids, func(id string) (int, error) {
		return s.count(ctx, "SHARDNUMSUB", channelOf(s.prefix, namespace)+id+"#")
	})
}

// count asks the server that has the channel.
func (b *broker) count(ctx context.Context, command, channel string) (int, error) {
	addr, err := b.nodes.owner(ctx, channel)
	if err != nil {
		return 0, err
	}
	return b.asker.subscribers(ctx, []string{addr}, command, channel)
}

// encode is called by the publisher.
func (s *sharded) encode(ctx context.Context, dst []byte, p *cluster.Packet) (out []byte, key string, err error) {
	if p.Type == cluster.SocketsJoin && s.mode != Static {
		s.joined.Note(p.Namespace, p.Message.Rooms)
	}
	if p.HasBinary() {
		s.scratch, err = cluster.AppendMessagePack(s.scratch[:0], p)
	} else {
		s.scratch, err = cluster.AppendJSON(s.scratch[:0], p)
	}
	if err != nil {
		return dst, "", err
	}
	key = s.channel(p)
	if s.order != nil && p.Namespace != "" && p.Type != cluster.Relayed {
		addr, err := s.nodes.owner(ctx, key)
		if err != nil && len(dst) > 0 {
			return dst, key, errNextBatch // asking for each packet would take too long
		}
		if err != nil {
			// The publisher asks again. If the masters are unknown even then, the packet
			// stays with it; otherwise the mark says what came before over any of them.
			addr = ""
		}
		m := s.marks.next(key, addr)
		s.scratch = m.appendTo(s.scratch)
	}
	return appendPublish(dst, "SPUBLISH", key, s.scratch), key, nil
}

// channel returns the channel for a packet.
func (s *sharded) channel(p *cluster.Packet) string {
	if p.Namespace == "" {
		return serversChannel(s.prefix)
	}
	name := channelOf(s.prefix, p.Namespace)
	switch {
	case p.Type.IsResponse() && p.To != "":
		return name + p.To + "#"
	case p.Type == cluster.Broadcast && p.RequestID == "":
		if rooms := p.Message.Target.Rooms; len(rooms) == 1 && s.hasChannel(rooms[0]) && !s.joined.Has(p.Namespace, rooms[0]) {
			return name + rooms[0] + "#"
		}
	}
	return name
}

// deliver takes a message.
func (s *sharded) deliver(t target, channel, payload []byte) {
	p, err := cluster.Decode(payload)
	switch {
	case err != nil:
		s.in.Refused(err)
	case !t.adopt(p):
	case s.order == nil || t.role == ofServers || p.Type == cluster.Relayed:
		s.in.Receive(p)
	default:
		m := readMark(payload)
		s.order.arrive(p, hashOf(channel), m, 0, len(payload))
	}
}

// Close implements [cluster.Broker].
func (s *sharded) Close() error {
	err := s.broker.Close()
	if s.order != nil {
		s.order.close()
	}
	return err
}
