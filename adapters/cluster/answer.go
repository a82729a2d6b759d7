package cluster

import (
	"context"
	"errors"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
)

// An answerKey names a request of another server.
type answerKey struct{ from, request string }

const (
	// maxAnswers is how many requests of others a namespace may be answering.
	maxAnswers = 4096

	// maxReplyBytes is about how large a packet with descriptions of sockets gets, if
	// the server that asked takes several. Some brokers take no more than a megabyte, and
	// names can be six times as long in JSON.
	maxReplyBytes = 128 << 10
)

var errTooManyRequests = errors.New("cluster: too many requests of other servers have not been answered yet")

// beginAnswer answers a request on a goroutine of its own.
func (n *namespace) beginAnswer(p *Packet) {
	ctx, cancel := n.answerContext(p)
	key := answerKey{p.From, p.RequestID}
	n.mu.Lock()
	full := len(n.answers) >= maxAnswers
	_, running := n.answers[key]
	if !full && !running {
		n.answers[key] = cancel
	}
	n.mu.Unlock()
	if full || running {
		cancel()
		if full {
			n.link.Refused(errTooManyRequests)
		}
		return
	}
	go func() { // ends with the answer; the context asks for its end
		defer n.cancelAnswer(key)
		n.answer(ctx, p)
	}()
}

// answerContext returns a context that ends when nobody waits for the answer.
func (n *namespace) answerContext(p *Packet) (context.Context, context.CancelFunc) {
	switch {
	case p.Timeout > 0:
		return context.WithTimeout(n.ctx, p.Timeout)
	case p.Message.Kind != adapter.Fetch && IsOurs(p.From):
		return context.WithCancel(n.ctx) // the one that asks says when it does not wait any more
	default:
		return context.WithTimeout(n.ctx, n.cluster.opts.RequestsTimeout)
	}
}

func (n *namespace) cancelAnswer(key answerKey) {
	n.mu.Lock()
	cancel := n.answers[key]
	delete(n.answers, key)
	n.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

func (n *namespace) cancelAnswersTo(id string) {
	n.mu.Lock()
	var cancels []context.CancelFunc
	for key, cancel := range n.answers {
		if key.from == id {
			cancels = append(cancels, cancel)
		}
	}
	n.mu.Unlock()
	for _, cancel := range cancels {
		cancel()
	}
}

// answer makes the node answer.
func (n *namespace) answer(ctx context.Context, p *Packet) {
	var a answerer = &officialAnswer{namespace: n, request: p}
	if IsOurs(p.From) {
		a = &fullAnswer{namespace: n, request: p}
	}
	m := p.Message
	if k := p.requestedKind(); k != m.Kind {
		c := *m
		c.Kind = k
		m = &c
	}
	_ = rescue.Call(func() error { // a server of ours logs its failures itself
		n.node.Answer(ctx, m, a.reply)
		return nil
	})
	a.end(ctx.Err() == nil)
}

// An answerer sends the replies of a node.
type answerer interface {
	reply(r *adapter.Reply)
	end(complete bool)
}

func (n *namespace) respond(request *Packet, p Packet) error {
	if n.ctx.Err() != nil {
		return errClosed
	}
	p.From, p.To, p.Namespace, p.RequestID = n.link.self, request.From, n.name, request.RequestID
	return n.link.send(&p)
}

// A fullAnswer answers a server of this module.
type fullAnswer struct {
	namespace *namespace
	request   *Packet
	last      *adapter.Reply // that may be the last one
	waiting   int            // acks that have yet to come
	parts     int            // how many packets were made
	lost      bool           // a part was not sent
}

func (a *fullAnswer) send(p Packet) {
	a.parts++
	p.Part = a.parts
	if a.namespace.respond(a.request, p) != nil {
		a.lost = true
	}
}

func (a *fullAnswer) reply(r *adapter.Reply) {
	a.flush()
	c := *r
	a.waiting += len(r.Expected)
	if r.Ack != nil {
		a.waiting--
	}
	for size, i := 0, 0; i < len(c.Sockets); i++ {
		if size += socketSize(&c.Sockets[i]); size > maxReplyBytes && i+1 < len(c.Sockets) {
			a.send(Packet{Type: Answer, Reply: &adapter.Reply{Sockets: c.Sockets[:i+1]}})
			c.Sockets = c.Sockets[i+1:]
			size, i = 0, -1
		}
	}
	if a.waiting > 0 {
		a.send(Packet{Type: Answer, Reply: &c})
	} else {
		a.last = &c
	}
}

func (a *fullAnswer) flush() {
	if a.last != nil {
		a.send(Packet{Type: Answer, Reply: a.last})
		a.last = nil
	}
}

// end ends the answer. If it is not complete, because its time is over or a part was lost, the
// one that asks must not take it for that. But one that waits without a limit is told the
// end: it knows which clients have not answered.
func (a *fullAnswer) end(complete bool) {
	limited := a.request.Timeout > 0 || a.request.Message.Kind != adapter.Broadcast
	if !complete || a.lost && limited {
		a.flush()
		return
	}
	a.send(Packet{Type: Answer, Reply: a.last, Done: true})
}

// An officialAnswer answers a server of an official adapter. It cannot be told that a client
// has gone, or that a handler has failed: it waits as long as it has said.
type officialAnswer struct {
	namespace *namespace
	request   *Packet
	counted   bool
}

func (a *officialAnswer) reply(r *adapter.Reply) {
	kind := a.request.Message.Kind
	switch {
	case kind == adapter.Fetch:
		_ = a.namespace.respond(a.request, Packet{Type: FetchSocketsResponse, Reply: r})
	case kind == adapter.Broadcast && r.Ack == nil:
		a.counted = true
		_ = a.namespace.respond(a.request, Packet{Type: BroadcastClientCount, Clients: len(r.Expected)})
	case r.Ack == nil || r.Ack.Gone || r.Ack.Dropped || r.Ack.Blocked || r.Ack.Error != "":
	case kind == adapter.Broadcast:
		_ = a.namespace.respond(a.request, Packet{Type: BroadcastAck, Reply: r})
	case kind == adapter.ServerEvent:
		_ = a.namespace.respond(a.request, Packet{Type: ServerSideEmitResponse, Reply: r})
	}
}

func (a *officialAnswer) end(bool) {
	if a.request.Message.Kind == adapter.Broadcast && !a.counted {
		_ = a.namespace.respond(a.request, Packet{Type: BroadcastClientCount})
	}
}
