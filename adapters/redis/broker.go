package redisadapter

import (
	"context"

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

// receive passes on a packet from the channel of t. If the packet has no namespace, it gets
// that of the channel.
func (b *broker) receive(p *cluster.Packet, t target) {
	if (p.Namespace == "") != (t.role == ofServers) {
		if p.Namespace != "" {
			return // only packets without a namespace are for that channel
		}
		p.Namespace = t.namespace
	}
	b.in.Receive(p)
}
