package natsadapter

import (
	"errors"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// errSubject refuses packets that did not come over their subject. Permissions of NATS are
// about subjects. So who may publish to one namespace cannot reach others.
var errSubject = errors.New("natsadapter: the packet is not for the subject that it came over")

// deliver passes on what comes.
func (b *broker) deliver() {
	for done := 0; ; {
		var list []*nats.Msg
		if list, done = b.pending.take(b.ctx, done); list == nil {
			return
		}
		for i, m := range list {
			if b.ctx.Err() != nil {
				return
			}
			b.receive(m)
			list[i] = nil
		}
	}
}

// receive takes one message.
func (b *broker) receive(m *nats.Msg) {
	rest, ok := strings.CutPrefix(m.Subject, b.prefix)
	if !ok {
		return
	}
	last := rest[strings.LastIndexByte(rest, '.')+1:]
	if strings.HasPrefix(rest, toInbox) && last != answerTo {
		b.receiveProbe(m, last)
		return
	}
	p, err := cluster.Decode(m.Data)
	if err == nil && !b.fits(p, rest, last) {
		err = errSubject
	}
	if err != nil {
		b.in.Refused(err)
		return
	}
	b.in.Receive(p)
}

// fits reports whether a packet is for its subject: the part behind the prefix, and the last
// token of it.
func (b *broker) fits(p *cluster.Packet, subject, last string) bool {
	name, room, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(subject, toNamespace), toRoom), ".")
	switch {
	case subject == toServers:
		return p.Namespace == ""
	case strings.HasPrefix(subject, toInbox):
		return p.Namespace != "" && p.Type.IsResponse() && p.To == b.self
	case strings.HasPrefix(subject, toRoom):
		return b.is(p.Namespace, name) && p.Type == cluster.Broadcast && p.RequestID == "" &&
			len(p.Message.Target.Rooms) == 1 && token(p.Message.Target.Rooms[0]) == room
	default:
		return b.is(p.Namespace, last)
	}
}

// is reports whether a namespace has that token.
func (b *broker) is(namespace, name string) bool {
	b.mu.Lock()
	s := b.spaces[namespace]
	b.mu.Unlock()
	if s == nil { // this server is not in it any more
		return namespace != "" && token(namespace) == name
	}
	return s.token == name
}
