package sio

import (
	"context"
	"errors"
	"fmt"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
)

// An Answer is a client's acknowledgement of one event, which may not have come yet:
// see [Ask] and [Socket.Ask]. It may be copied, and used by several goroutines.
type Answer[T any] struct{ expected *expected }

// Ask sends an event that the client is to acknowledge, and does not wait. The event
// is queued before Ask returns, in order with what else is emitted to the socket.
// [Answer.Wait] waits for the acknowledgement, and decodes its first value into a T.
// A T of [Args] takes all values.
//
// If the event cannot be sent, the error is that of [Socket.Emit].
//
// An Answer that nobody waits for is kept until the client acknowledges or
// disconnects. It takes some 300 bytes, and a client may never acknowledge: use
// Emit for an event whose acknowledgement is of no interest.
func Ask[T any](s *Socket, event string, args ...any) (Answer[T], error) {
	e, err := s.ask(event, args)
	return Answer[T]{e}, err
}

// Ask is the function [Ask] for all values of the acknowledgement.
func (s *Socket) Ask(event string, args ...any) (Answer[Args], error) {
	return Ask[Args](s, event, args...)
}

var errNotAsked = errors.New("sio: this Answer was not asked for: use one that Ask returned without an error")

// Wait waits for the client's acknowledgement. A client that acknowledges without a
// value gives the zero T.
//
// The error matches [ErrDisconnected] if the client disconnects before it
// acknowledges. It matches [ErrAckBlocked] if the acknowledgement cannot be read,
// because it comes behind too many events that wait for handlers. It matches the
// context's error if ctx ends first; without a deadline, Wait waits as long as the
// client is connected.
//
// Wait may be called again, and by several goroutines: all get the same
// acknowledgement or error. When ctx ends and nobody else waits, the acknowledgement
// is forgotten, and later calls return the same error. What has come already is
// returned even if ctx has ended.
//
// A handler may wait for its own client, as with [Socket.EmitWithAck]: derive ctx from
// [Ctx.Context].
func (a Answer[T]) Wait(ctx context.Context) (v T, err error) {
	if a.expected == nil {
		return v, errNotAsked
	}
	args, err := a.expected.wait(ctx, nil)
	if err != nil {
		return v, err
	}
	return v, args.first(&v)
}

// first decodes the first value, if there is one; all of them into an Args.
func (a Args) first(dst any) error {
	if all, is := dst.(*Args); is {
		*all = a
		return nil
	}
	if a.Len() == 0 {
		return nil
	}
	return a.Bind(dst)
}

// EmitWithAck sends an event and waits for the client to acknowledge it. It
// returns an error that matches the context's if ctx ends before, and one that
// matches [ErrDisconnected] if the client goes. Without a deadline it waits as
// long as the client is there, so ctx should have one. To send other events before
// waiting, use [Socket.Ask].
//
// It may be called from a handler of the same socket: acknowledgements do not
// wait for handlers. Events do, so a handler that waits keeps the socket's next
// event waiting. If the client has sent so many events before its acknowledgement
// that this cannot be read, the error is [ErrAckBlocked].
//
// In a handler, derive ctx from [Ctx.Context]. Then the client's other namespaces
// go on at once, and not a tenth of a second later: see [Handler].
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return s.emitWithAck(ctx, nil, event, args)
}

// EmitWithAck is [Socket.EmitWithAck], whatever ctx is derived from.
func (c *Ctx) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return c.emitWithAck(ctx, c.in, event, args)
}

func (s *Socket) emitWithAck(ctx context.Context, task *inbound, event string, args []any) (Args, error) {
	e, err := s.ask(event, args)
	if err != nil {
		return Args{}, err
	}
	return e.wait(ctx, task)
}

// EmitWithAck is [Socket.EmitWithAck] with the answer's first value decoded. A
// client that acknowledges without a value gives the zero T. A T of [Args] takes all
// values.
func EmitWithAck[T any](ctx context.Context, s *Socket, event string, args ...any) (v T, err error) {
	a, err := Ask[T](s, event, args...)
	if err != nil {
		return v, err
	}
	return a.Wait(ctx)
}

// An expected is the acknowledgement of one socket's client. It is a [waiter].
type expected struct {
	socket  *Socket
	id      uint64
	waiters int           // calls of wait; guarded by the socket's mu
	done    chan struct{} // closed when args and err are final
	args    Args
	err     error
}

// ask queues an event that is to be acknowledged.
func (s *Socket) ask(event string, args []any) (*expected, error) {
	id := s.ns.ackIDs.Add(1)
	h := packet.Header{Namespace: s.ns.name, ID: id, HasID: true}
	s.ns.observe(s, event, args)
	m, err := s.wire().event(frame.Single(), h, event, args)
	if err != nil {
		return nil, err
	}
	e := &expected{socket: s, id: id, done: make(chan struct{})}
	if err := s.expect(id, e); err != nil {
		return nil, err
	}
	if err := s.send(m); err != nil {
		s.takeAck(id)
		return nil, err
	}
	return e, nil
}

// wait waits for the acknowledgement, for a task that keeps its client's next ones
// waiting. If task is nil, ctx may tell which one that is.
func (e *expected) wait(ctx context.Context, task *inbound) (Args, error) {
	select {
	case <-e.done:
		return e.args, e.err
	default:
	}
	if task == nil {
		task = taskOf(ctx)
	}
	e.begin()
	task.yield()
	var ended error
	select {
	case <-e.done:
	case <-ctx.Done():
		ended = fmt.Errorf("%w: %w", errNoAnswer, ctx.Err())
	}
	return e.end(ended)
}

// begin notes that there is one waiter more. While there are some, more is read of
// the client: see [Socket.await].
func (e *expected) begin() {
	e.socket.mu.Lock()
	e.waiters++
	e.socket.mu.Unlock()
	e.socket.client.awaitsAck()
}

// end takes begin back. ended is the error of a context that has ended, or nil.
func (e *expected) end(ended error) (Args, error) {
	s := e.socket
	s.client.awaited()
	s.mu.Lock()
	e.waiters--
	_, open := s.acks[e.id] // if not, whoever took it out is about to make e final
	if open && ended != nil && e.waiters == 0 {
		delete(s.acks, e.id)
		e.finish(Args{}, ended)
	}
	s.mu.Unlock()
	if open && ended != nil {
		return Args{}, ended
	}
	<-e.done // at once, or in a moment; if the socket has ended, that comes before its context
	return e.args, e.err
}

func (e *expected) finish(args Args, err error) {
	e.args, e.err = args, err
	close(e.done)
}

func (e *expected) answered(_ *Socket, a Args)  { e.finish(a, nil) }
func (e *expected) failed(_ *Socket, err error) { e.finish(Args{}, err) }

// awaited implements [waiter]; the socket's mu is held.
func (e *expected) awaited() bool { return e.waiters > 0 }
