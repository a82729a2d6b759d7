package sio

import (
	"context"
	"errors"
	"fmt"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

// An Answer is a client's acknowledgement of one event, which may not have come yet:
// see [Ask] and [Socket.Ask]. It may be copied, and used by several goroutines.
type Answer[T any] struct {
	pending *pendingAck
	event   string
}

// Ask sends an event that the client is to acknowledge, and does not wait. The event is
// queued before Ask returns, in order with other events to the socket. [Answer.Wait]
// waits for the acknowledgement, and decodes its first value into a T. A T of [Args]
// takes all values.
//
// If the event cannot be sent, the error is that of [Socket.Emit].
//
// Without a call of Wait, an Answer is kept until the client acknowledges or
// disconnects. It takes some 300 bytes, and a client may never acknowledge. So use Emit
// if you do not need the acknowledgement.
func Ask[T any](s *Socket, event string, args ...any) (Answer[T], error) {
	p, err := s.ask(event, args)
	return Answer[T]{p, event}, err
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
// acknowledgement or error. When ctx ends and no other goroutine waits, the
// acknowledgement is dropped, and later calls return the same error. An acknowledgement
// that has come already is returned even if ctx has ended.
//
// A handler may wait for its own client, as with [Socket.EmitWithAck]: derive ctx from
// [Ctx.Context].
func (a Answer[T]) Wait(ctx context.Context) (v T, err error) {
	if a.pending == nil {
		return v, errNotAsked
	}
	s := a.pending.socket
	end := s.observeAckWait(ctx, a.event)
	args, err := a.pending.wait(ctx, nil)
	end(err)
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

// EmitWithAck sends an event and waits for the client to acknowledge it. The error
// matches the context's error if ctx ends first, and [ErrDisconnected] if the client
// disconnects. Without a deadline it waits as long as the client is connected, so give
// ctx one. To send other events before waiting, use [Socket.Ask].
//
// It may be called from a handler of the same socket: acknowledgements do not wait for
// handlers. The socket's next event waits for the handler. If too many events come
// before the acknowledgement, it cannot be read, and the error is [ErrAckBlocked].
//
// In a handler, derive ctx from [Ctx.Context]. Then the client's other namespaces go on
// at once, and not a tenth of a second later: see [Handler].
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return s.emitWithAck(ctx, nil, event, args)
}

// EmitWithAck is [Socket.EmitWithAck], whatever ctx is derived from.
func (c *Ctx) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return c.emitWithAck(ctx, c.task, event, args)
}

func (s *Socket) emitWithAck(ctx context.Context, t *task, event string, args []any) (Args, error) {
	end, err := s.observeAckWait(ctx, event), rescue.ErrExited
	defer func() { end(err) }() // also if it panics
	a, err := s.askAndWait(ctx, t, event, args)
	return a, err
}

func (s *Socket) askAndWait(ctx context.Context, t *task, event string, args []any) (Args, error) {
	p, err := s.ask(event, args)
	if err != nil {
		return Args{}, err
	}
	return p.wait(ctx, t)
}

// EmitWithAck is [Socket.EmitWithAck] with the answer's first value decoded. A
// client that acknowledges without a value gives the zero T. A T of [Args] takes all
// values.
func EmitWithAck[T any](ctx context.Context, s *Socket, event string, args ...any) (v T, err error) {
	values, err := s.emitWithAck(ctx, nil, event, args)
	if err != nil {
		return v, err
	}
	return v, values.first(&v)
}

// A pendingAck is an acknowledgement that one client owes. It implements [ackWaiter].
type pendingAck struct {
	socket  *Socket
	id      uint64
	waiters int           // running calls of wait; guarded by the socket's mu
	done    chan struct{} // closed when values and err are final
	values  packet.Args
	err     error
}

// ask queues an event that is to be acknowledged.
func (s *Socket) ask(event string, args []any) (*pendingAck, error) {
	id := s.ns.ackIDs.Add(1)
	h := packet.Header{Namespace: s.ns.name, ID: id, HasID: true}
	s.ns.observe(s, event, args)
	m, err := s.wire().event(frame.Single(), h, event, args)
	if err != nil {
		return nil, err
	}
	p := &pendingAck{socket: s, id: id, done: make(chan struct{})}
	if err := s.registerAck(id, s.ns.server.observeAck(p, func() string { return event })); err != nil {
		return nil, err
	}
	if err := s.send(m); err != nil {
		s.takeAck(id)
		return nil, err
	}
	return p, nil
}

// wait waits for the acknowledgement. t is the task that waits; if it is nil, ctx may
// belong to one.
func (p *pendingAck) wait(ctx context.Context, t *task) (Args, error) {
	select {
	case <-p.done:
		return p.result()
	default:
	}
	if t == nil {
		t = taskOf(ctx)
	}
	done := ctx.Done() // before addWaiter, because a nil ctx panics
	p.addWaiter()
	t.yield()
	var ended error
	select {
	case <-p.done:
	case <-done:
		ended = fmt.Errorf("%w: %w", errNoAnswer, ctx.Err())
	}
	return p.removeWaiter(ended) //nolint:contextcheck // observers get none
}

// addWaiter counts a waiter. While there are waiters, the server reads more of the
// client than usual: see [source].
func (p *pendingAck) addWaiter() {
	p.socket.mu.Lock()
	p.waiters++
	p.socket.mu.Unlock()
	p.socket.client.addAckWaiter()
}

// removeWaiter undoes addWaiter, and returns the acknowledgement. ended is the error of a
// context that has ended, or nil.
func (p *pendingAck) removeWaiter(ended error) (Args, error) {
	s := p.socket
	s.client.removeAckWaiter()
	s.mu.Lock()
	p.waiters--
	w, open := s.acks[p.id] // if not open, another goroutine is about to call resolve
	dropped := open && ended != nil && p.waiters == 0
	if dropped {
		delete(s.acks, p.id)
		p.resolve(packet.Args{}, ended)
	}
	s.mu.Unlock()
	if open && ended != nil {
		if dropped {
			ackAbandoned(w, s, ended)
		}
		return Args{}, ended
	}
	<-p.done // it is closed in a moment at the latest; a socket's end closes it before its context ends
	return p.result()
}

// result returns what [pendingAck.resolve] got. done is closed.
func (p *pendingAck) result() (Args, error) {
	if p.err != nil {
		return Args{}, p.err
	}
	return Args{args: p.values, codec: p.socket.wire().codec}, nil
}

func (p *pendingAck) resolve(values packet.Args, err error) {
	p.values, p.err = values, err
	close(p.done)
}

func (p *pendingAck) acked(_ *Socket, a Args)     { p.resolve(a.args, nil) }
func (p *pendingAck) failed(_ *Socket, err error) { p.resolve(packet.Args{}, err) }

// hasWaiters implements [ackWaiter]; the socket's mu is held.
func (p *pendingAck) hasWaiters() bool { return p.waiters > 0 }
