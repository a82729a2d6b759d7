package redisadapter

import (
	"bytes"
	"context"
	"strings"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// A classic is the broker of [Classic]. Each namespace has a channel for broadcasts, one for
// each room, one for requests, and two for responses: to all, and to this server.
type classic struct {
	broker

	key      string
	specific bool   // answers of all kinds go to the channel of the server that has asked
	own      []byte // how every broadcast of this server begins; no other does
}

func newClassic(n *nodes, o ClassicOptions) *classic {
	c := &classic{broker: broker{nodes: n}, key: o.Key, specific: o.PublishOnSpecificResponseChannel}
	c.pub = publisher{nodes: n, encode: c.encode}
	return c
}

// serversChannel is the channel for packets without a namespace. No official server
// subscribes to it: their channels have a namespace, with a slash, after the first #.
func serversChannel(prefix string) string { return prefix + "-nodes#" }

func (c *classic) broadcasts(namespace string) string { return c.key + "#" + namespace + "#" }
func (c *classic) requests(namespace string) string   { return c.key + "-request#" + namespace + "#" }

func (c *classic) responses(namespace string) string { return c.key + "-response#" + namespace + "#" }

// Start implements [cluster.Broker].
func (c *classic) Start(self string, in cluster.Inbound) {
	c.identify(self, in)
	c.start(self, in, c.deliver, topic{channel, serversChannel(c.key)})
}

// identify notes whose broker this is.
func (c *classic) identify(self string, in cluster.Inbound) {
	c.self, c.in = self, in
	sample := &cluster.Packet{Type: cluster.Broadcast, From: self, Namespace: "/", Message: &adapter.Message{Data: []byte(`["event"]`)}}
	if out, err := appendClassic(nil, sample); err == nil { // otherwise nothing can be published
		before, _, _ := bytes.Cut(out, []byte(self))
		c.own = out[:len(before)+len(self)]
	}
}

// Subscribe implements [cluster.Broker].
func (c *classic) Subscribe(namespace string) {
	c.subs.addGroup(namespace, map[topic]target{
		{pattern, escapeGlob(c.broadcasts(namespace)) + "*"}: {namespace, ofBroadcasts},
		{channel, c.requests(namespace)}:                     {namespace, ofRequests},
		{channel, c.responses(namespace)}:                    {namespace, ofResponses},
		{channel, c.responses(namespace) + c.self + "#"}:     {namespace, ofResponses},
	})
}

// escapeGlob makes a pattern of a text that only that text matches.
func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// Count implements [cluster.Counter].
func (c *classic) Count(ctx context.Context, namespace string) (int, error) {
	return c.subscribers(ctx, c.requests(namespace))
}

// Gone implements [cluster.Prober].
func (c *classic) Gone(ctx context.Context, namespace string, ids []string) ([]string, error) {
	return gone(ids, func(id string) (int, error) { return c.subscribers(ctx, c.responses(namespace)+id+"#") })
}

// encode is called by the publisher.
func (c *classic) encode(_ context.Context, dst []byte, p *cluster.Packet) (out []byte, key string, err error) {
	if p.Namespace == "" {
		c.scratch, err = cluster.AppendMessagePack(c.scratch[:0], p)
	} else {
		c.scratch, err = appendClassic(c.scratch[:0], p)
	}
	if err != nil {
		return dst, "", err
	}
	if len(c.scratch) == 0 {
		return dst, "", errNothing
	}
	return appendPublish(dst, "PUBLISH", c.channel(p), c.scratch), "", nil
}

// channel returns the channel for a packet.
func (c *classic) channel(p *cluster.Packet) string {
	switch {
	case p.Namespace == "":
		return serversChannel(c.key)
	case p.Type.IsResponse():
		channel := c.responses(p.Namespace)
		if p.To != "" && (cluster.IsOurs(p.To) || c.specific && p.Type != cluster.ServerSideEmitResponse) {
			channel += p.To + "#"
		}
		return channel
	case p.Type == cluster.Broadcast && p.RequestID == "":
		channel := c.broadcasts(p.Namespace)
		if rooms := p.Message.Target.Rooms; len(rooms) == 1 {
			channel += rooms[0] + "#"
		}
		return channel
	default:
		return c.requests(p.Namespace)
	}
}

// deliver takes a message.
func (c *classic) deliver(t target, _, payload []byte) {
	if t.role == ofBroadcasts && len(c.own) > 0 && bytes.HasPrefix(payload, c.own) {
		return // Redis sends it also to the server that has published it
	}
	p, err := c.decode(t, payload)
	switch {
	case err != nil:
		c.in.Refused(err)
	case p == nil:
	case p.Namespace != "" && p.Namespace != t.namespace: // ECO-RC-11
	default:
		p.Namespace = t.namespace
		if asks := confirmation(p); asks != nil {
			c.in.Receive(asks)
			p.RequestID = ""
		}
		c.in.Receive(p)
	}
}

func (c *classic) decode(t target, payload []byte) (*cluster.Packet, error) {
	switch t.role {
	case ofServers:
		return cluster.Decode(payload)
	case ofResponses:
		return decodeClassicResponse(payload)
	case ofBroadcasts, ofRequests:
		return decodeClassic(payload)
	default:
		return decodeClassic(payload)
	}
}
