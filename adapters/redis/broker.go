package redisadapter

import (
	"context"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// A broker is what the three adapters share. Their brokers embed it.
type broker struct {
	nodes *nodes
	self  string
	in    cluster.Inbound
	subs  *subscriptions
	pub   publisher
	asker *asker

	scratch []byte // of the publishing goroutine
}

// start begins to connect. nodes is the channel for packets without a namespace.
func (b *broker) start(self string, in cluster.Inbound, deliver func(target, []byte, []byte), ours topic) {
	b.self, b.in = self, in
	b.asker = newAsker(b.nodes)
	b.subs = newSubscriptions(b.nodes, in, deliver)
	b.subs.addGroup("", map[topic]target{ours: {role: ofServers}})
}

// Unsubscribe implements [cluster.Broker].
func (b *broker) Unsubscribe(namespace string) { b.subs.removeGroup(namespace) }

// Publish implements [cluster.Broker].
func (b *broker) Publish(ctx context.Context, packets []*cluster.Packet) (all, lost int, err error) {
	if err := b.subs.awaitReady(ctx); err != nil {
		return 0, 0, err
	}
	return b.pub.publish(ctx, packets)
}

// Close implements [cluster.Broker].
func (b *broker) Close() error {
	b.subs.close()
	b.pub.close()
	b.asker.close()
	return nil
}

// subscribers counts those of a channel on all servers.
func (b *broker) subscribers(ctx context.Context, channel string) (int, error) {
	servers, err := b.nodes.masters(ctx)
	if err != nil {
		return 0, err
	}
	return b.asker.subscribers(ctx, servers, "NUMSUB", channel)
}

// gone returns those servers whose own channels have no subscriber.
func gone(ids []string, subscribers func(id string) (int, error)) (list []string, err error) {
	for _, id := range ids {
		n, err := subscribers(id)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			list = append(list, id)
		}
	}
	return list, nil
}

// The roles of topics.
const (
	ofServers    role = iota // packets without a namespace
	ofBroadcasts             // or of all, if the adapter has one channel for them
	ofRequests
	ofResponses
)

// appendPublish appends a command with a channel and a payload.
func appendPublish(dst []byte, command, channel string, payload []byte) []byte {
	dst = appendHead(dst, len([...]string{"command", "channel", "payload"}))
	dst = appendBulk(dst, command)
	dst = appendBulk(dst, channel)
	return appendBulk(dst, payload)
}

// since says since when the broker is subscribed to a channel.
func (b *broker) since(channel uint32) (time.Time, bool) { return b.subs.since(channel) }

// adopt gives a packet without a namespace that of its channel. It reports false if the
// packet is not for that channel.
func (t target) adopt(p *cluster.Packet) bool {
	if p.Namespace == "" {
		p.Namespace = t.namespace
		return true
	}
	return t.role != ofServers
}
