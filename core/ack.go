package sio

import (
	"context"
	"fmt"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
)

// Args are values that came from somewhere else: those of a client's
// acknowledgement, for example.
type Args struct {
	args  packet.Args
	codec packet.Codec
}

// Len returns the number of values.
func (a Args) Len() int { return a.args.Len() }

// Bind decodes the values into dst, by position, as [Ctx.Bind] does.
func (a Args) Bind(dst ...any) error {
	if err := a.args.Decode(a.codec, dst...); err != nil {
		return fmt.Errorf("decoding values: %w", err)
	}
	return nil
}

// EmitWithAck sends an event and waits for the client to acknowledge it. It
// returns an error that matches the context's if ctx ends before, and one that
// matches [ErrDisconnected] if the client goes. Without a deadline it waits as
// long as the client is there, so ctx should have one.
//
// It may be called from a handler of the same socket: acknowledgements do not
// wait for handlers. Events do, so a handler that waits keeps the socket's next
// event waiting. If the client has sent so many events before its acknowledgement
// that this cannot be read, the error is [ErrAckBlocked].
//
// In a handler, derive ctx from [Ctx.Context]. Then the client's other namespaces
// go on at once, and not a tenth of a second later: see [Handler].
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return s.ask(ctx, taskOf(ctx), event, args)
}

// EmitWithAck is [Socket.EmitWithAck], whatever ctx is derived from.
func (c *Ctx) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return c.ask(ctx, c.in, event, args)
}

// ask is EmitWithAck for a task that waits for the answer, nil if it is not known.
func (s *Socket) ask(ctx context.Context, task *inbound, event string, args []any) (Args, error) {
	id := s.ns.ackIDs.Add(1)
	h := packet.Header{Namespace: s.ns.name, ID: id, HasID: true}
	s.ns.observe(s, event, args)
	m, err := s.wire().event(frame.Single(), h, event, args)
	if err != nil {
		return Args{}, err
	}
	answer := make(answer, 1)
	if err := s.await(id, answer); err != nil {
		return Args{}, err
	}
	defer s.unawait(id)
	if err := s.send(m); err != nil {
		return Args{}, err
	}
	task.yield()
	select {
	case a := <-answer:
		return a.args, a.err
	case <-ctx.Done():
		if why := s.whyEnded(); why != nil { // ctx may come from the socket's
			return Args{}, why
		}
		return Args{}, fmt.Errorf("%w: %w", errNoAnswer, ctx.Err())
	}
}

// EmitWithAck is [Socket.EmitWithAck] with the answer's first value decoded. A
// client that acknowledges without a value gives the zero T.
func EmitWithAck[T any](ctx context.Context, s *Socket, event string, args ...any) (v T, err error) {
	a, err := s.EmitWithAck(ctx, event, args...)
	if err != nil || a.Len() == 0 {
		return v, err
	}
	return v, a.Bind(&v)
}

// A waiter waits for the answers of one or more sockets to one ack id. Exactly
// one of its methods is called for each of them, unless the socket has been told
// to forget it; neither may block.
type waiter interface {
	answered(s *Socket, a Args)
	failed(s *Socket, err error) // there will be no answer
}

// An answer waits for one socket. It has room for one value.
type answer chan answered

type answered struct {
	args Args
	err  error
}

func (ch answer) answered(_ *Socket, a Args)  { ch <- answered{args: a} }
func (ch answer) failed(_ *Socket, err error) { ch <- answered{err: err} }

// await notes that w is to get the ack of that id, and has more read of the client
// than usual meanwhile: the ack may be behind events that wait for the handler that
// is about to wait for it. An unawait has to follow, unless there is an error.
func (s *Socket) await(id uint64, w waiter) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := s.addAck(id, w); err != nil {
		return err
	}
	s.client.awaitsAck()
	return nil
}

func (s *Socket) addAck(id uint64, w waiter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != nil {
		return s.why
	}
	if s.acks == nil {
		s.acks = make(map[uint64]waiter)
	}
	s.acks[id] = w
	return nil
}

func (s *Socket) unawait(id uint64) {
	s.takeAck(id)
	s.client.awaited()
}

// takeAck returns who waits for an ack, if anybody does, and forgets it.
func (s *Socket) takeAck(id uint64) waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.acks[id]
	delete(s.acks, id)
	return w
}

// settle gives an acknowledgement to whoever waits for it; one that nobody
// waits for is ignored (SIO-BAD-6).
func (s *Socket) settle(p packet.Packet) {
	if !p.HasID {
		return
	}
	if w := s.takeAck(p.ID); w != nil {
		w.answered(s, Args{p.Args, s.wire().codec})
	}
}
