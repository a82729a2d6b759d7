package sio

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

// An Ack is one of the answers that [BroadcastWithAck] and
// [ServerSideEmitWithAck] collect.
type Ack[T any] struct {
	Server string // that the answer comes from; "" if it is this one, or unknown
	Socket string // of the client that answered or should have; "" if unknown, or if a server answers
	Value  T      // the first value of the answer; the zero T if there was none; all if T is [Args]

	// Err is nil for an answer. It matches [ErrDisconnected] if the client has
	// gone instead, [ErrNotReady] if it was not sent a volatile event,
	// [ErrAckBlocked] if its answer cannot be read, and the context's error if it
	// did not answer in time.
	Err error
}

// BroadcastWithAck emits an event to all clients in b and yields their answers
// as they come. It ends when every client has answered or disconnected, or when
// ctx ends; those that have not answered then come last, with Err set. Without a
// deadline it waits for as long as the clients are there.
//
// The event is sent when the iteration begins, and each time that one begins. If
// it cannot be encoded, the only element is the error. Leaving the loop early
// forgets the answers still to come. In a cluster, other servers' clients are
// asked too; if some server does not answer, an element without Socket tells.
//
// It can be used in handlers: acknowledgements do not wait for them. See
// [Socket.EmitWithAck].
func BroadcastWithAck[T any](ctx context.Context, b Broadcast, event string, args ...any) iter.Seq[Ack[T]] {
	return decodeAcks[T](b.ask(ctx, event, args))
}

// decodeAcks decodes the first value of each answer.
func decodeAcks[T any](answers iter.Seq[Ack[Args]]) iter.Seq[Ack[T]] {
	return func(yield func(Ack[T]) bool) {
		for a := range answers {
			b := Ack[T]{Server: a.Server, Socket: a.Socket, Err: a.Err}
			if a.Err == nil {
				b.Err = a.Value.first(&b.Value)
			}
			if !yield(b) {
				return
			}
		}
	}
}

// ask is BroadcastWithAck with answers as they came.
func (b Broadcast) ask(ctx context.Context, event string, args []any) iter.Seq[Ack[Args]] {
	return func(yield func(Ack[Args]) bool) {
		c, err := b.ns.server.wire.eventContent(event, args)
		if err != nil {
			yield(Ack[Args]{Err: err})
			return
		}
		q := newQuestion(ctx, b.ns.server.wire.codec)
		for _, n := range b.ns.members() {
			m := b.message(adapter.Broadcast, c)
			q.put(n, m)
			if !b.local {
				q.putToOthers(n, m)
			}
		}
		q.answers(ctx, yield)
	}
}

// A question is something that was asked of clients or servers, and whose
// answers are awaited.
type question struct {
	ctx     context.Context //nolint:containedctx // lives as long as the call that has it
	cancel  context.CancelFunc
	codec   packet.Codec
	asked   sync.WaitGroup
	replies chan *adapter.Reply
	fails   chan error
	left    chan struct{}      // closed when nobody wants answers any more
	pending map[respondent]int // who has not answered, and how many of that name
	silent  atomic.Bool        // other servers may have more to say, but time is over
}

// A respondent is somebody who was asked.
type respondent struct{ server, socket string }

func newQuestion(ctx context.Context, codec packet.Codec) *question {
	q := &question{
		codec:   codec,
		replies: make(chan *adapter.Reply),
		fails:   make(chan error),
		left:    make(chan struct{}),
		pending: make(map[respondent]int),
	}
	q.ctx, q.cancel = context.WithCancel(ctx)
	return q
}

// put asks a namespace on this server.
func (q *question) put(n *Namespace, m *adapter.Message) {
	q.asked.Go(func() { node{n}.Answer(q.ctx, m, q.reply) }) // ends with the question
}

// putToOthers asks the namespace on all other servers.
func (q *question) putToOthers(n *Namespace, m *adapter.Message) {
	if !n.live.Load() || n.adapter == nil {
		return
	}
	q.asked.Go(func() { // ends with the question
		err := rescue.Apart(func() error {
			if err := n.adapter.Ask(q.ctx, m, q.reply); !n.over(err) {
				return err
			}
			return nil
		})
		if err == nil {
			return
		}
		if q.ctx.Err() != nil {
			q.silent.Store(true)
			return
		}
		select {
		case q.fails <- err:
		case <-q.left:
		}
	})
}

func (q *question) reply(r *adapter.Reply) {
	select {
	case q.replies <- r:
	case <-q.left:
	}
}

// all yields the replies until everybody who was asked has done.
func (q *question) all() iter.Seq2[*adapter.Reply, error] {
	return func(yield func(*adapter.Reply, error) bool) {
		done := make(chan struct{})
		go func() { // ends with the question
			q.asked.Wait()
			close(done)
		}()
		defer func() {
			close(q.left)
			q.cancel()
			<-done
		}()
		for {
			var r *adapter.Reply
			var err error
			select {
			case r = <-q.replies:
			case err = <-q.fails:
			case <-done:
				return
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// answers yields what comes until there is nothing more to come, and then what
// is missing.
func (q *question) answers(ctx context.Context, yield func(Ack[Args]) bool) {
	taskOf(ctx).yield()
	for r, err := range q.all() {
		switch {
		case err != nil:
			if !yield(Ack[Args]{Err: err}) {
				return
			}
		case r.Ack != nil:
			if !yield(q.settle(r.Server, r.Ack)) {
				return
			}
		default:
			for _, id := range r.Expected {
				q.pending[respondent{r.Server, id}]++
			}
		}
	}
	late := errNoAnswer
	if err := ctx.Err(); err != nil {
		late = fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	for who, n := range q.pending {
		for range n {
			if !yield(Ack[Args]{Server: who.server, Socket: who.socket, Err: late}) {
				return
			}
		}
	}
	if len(q.pending) == 0 && q.silent.Load() { // nobody knows who it is
		yield(Ack[Args]{Err: late})
	}
}

// settle notes who has answered, and returns what.
func (q *question) settle(server string, a *adapter.Ack) Ack[Args] {
	who := respondent{server, a.Socket}
	if q.pending[who]--; q.pending[who] <= 0 {
		delete(q.pending, who)
	}
	got := Ack[Args]{Server: server, Socket: a.Socket}
	switch {
	case a.Gone:
		got.Err = ErrDisconnected
	case a.Dropped:
		got.Err = ErrNotReady
	case a.Blocked:
		got.Err = ErrAckBlocked
	case a.Error != "":
		got.Err = &Error{Message: a.Error}
	default:
		list, err := packet.NewArgs(packet.Ack, a.Data, a.Attachments)
		got.Value, got.Err = Args{args: list, codec: q.codec}, err
	}
	return got
}

// A tally collects the acks of several sockets to one event.
type tally struct{ acks chan *adapter.Ack } // has room for all

func (t tally) answered(s *Socket, a Args) {
	t.acks <- &adapter.Ack{Socket: s.id, Data: a.args.AppendData(nil), Attachments: a.args.Attachments()}
}

func (tally) awaited() bool { return true }

func (t tally) failed(s *Socket, err error) {
	blocked := errors.Is(err, ErrAckBlocked)
	t.acks <- &adapter.Ack{Socket: s.id, Blocked: blocked, Gone: !blocked}
}

// askClients emits an event to this server's clients, and replies with their
// answers until all have come or ctx ends.
func (n *Namespace) askClients(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) {
	id := n.ackIDs.Add(1)
	h := packet.Header{Namespace: n.name, ID: id, HasID: true}
	var fs []*frame.Frame
	err := rescue.Apart(func() (err error) {
		fs, err = n.server.wire.frames(packet.Event, h, content{m.Data, m.Attachments})
		return err
	})
	if err != nil {
		n.logFailure("encoding a broadcast failed", err)
		return
	}
	sockets := n.index.List(target(m.Target))
	t := tally{make(chan *adapter.Ack, len(sockets))}
	asked := make([]string, 0, len(sockets))
	waited := sockets[:0]
	for _, s := range sockets {
		if s.await(id, t) == nil {
			waited, asked = append(waited, s), append(asked, s.id)
		}
	}
	defer func() {
		for _, s := range waited {
			s.unawait(id)
		}
	}()
	n.observeBroadcast(m)
	reply(&adapter.Reply{Expected: asked})
	for _, s := range waited {
		// Who is not sent to is not waited for. Without an entry to take, the
		// socket has told so itself: it has ended.
		if !s.deliver(fs, m.Volatile) && s.takeAck(id) != nil {
			t.acks <- &adapter.Ack{Socket: s.id, Dropped: m.Volatile, Gone: !m.Volatile}
		}
	}
	for range asked {
		select {
		case a := <-t.acks:
			reply(&adapter.Reply{Ack: a})
		case <-ctx.Done():
			return
		}
	}
}
