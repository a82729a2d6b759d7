package sioclient

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/packet"
)

// An ackWaiter waits for an acknowledgement. settleLocked is called once, with the
// Manager's mu held, unless the waiter was unregistered.
type ackWaiter interface {
	settleLocked(values packet.Args, err error)
}

// A pendingAck is an acknowledgement that a caller waits for.
type pendingAck struct {
	s      *Socket
	id     uint64
	retry  *retried // of an event that is sent again; nil for others
	done   chan struct{}
	closed bool // done is
	waits  bool // somebody waits
	values packet.Args
	err    error
}

func (p *pendingAck) settleLocked(values packet.Args, err error) {
	if p.closed {
		return
	}
	p.closed, p.values, p.err = true, values, err
	close(p.done)
}

// takeAckLocked unregisters the waiter for an ack and returns it, nil if there is none.
func (s *Socket) takeAckLocked(id uint64) ackWaiter {
	w := s.acks[id]
	delete(s.acks, id)
	return w
}

// failAcksLocked tells all that wait that the socket was disconnected (CLI-EM-6). Events
// that have not been sent stay.
func (s *Socket) failAcksLocked(why error) {
	for id, w := range s.acks {
		if !s.isBufferedLocked(id) {
			delete(s.acks, id)
			w.settleLocked(packet.Args{}, why)
		}
	}
}

// newAckID returns the id for an ack (CLI-EM-7).
func (s *Socket) newAckID() uint64 {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.nextAck++
	return s.nextAck - 1
}

// An Answer is the acknowledgement of an event that was sent by [Ask].
type Answer[T any] struct{ p *pendingAck }

// Wait waits for the acknowledgement and returns its first value: see [EmitWithAck].
func (a *Answer[T]) Wait(ctx context.Context) (v T, err error) {
	args, err := a.p.wait(ctx)
	if err != nil {
		return v, err
	}
	return firstValue[T](args)
}

// Ask sends an event that the server is to acknowledge, and does not wait.
func Ask[T any](s *Socket, event string, args ...any) (*Answer[T], error) {
	p, err := s.ask(event, args)
	if err != nil {
		return nil, err
	}
	return &Answer[T]{p}, nil
}

// EmitWithAck sends an event, waits until the server acknowledges it, and returns the
// first value of the acknowledgement. One without a value gives the zero T. A T of
// [sio.Args] takes all values.
//
// If the only value is an object whose only member is "error", an object with a message,
// the error is a [*sio.Error] with that message and the data: so a handler of this
// project's server tells that it failed. For a T of Args it is a value as any other.
//
// Other errors are [ErrAckTimeout] if ctx or Options.AckTimeout ends before the
// acknowledgement comes, and a [*DisconnectError] if the connection is lost after the
// event was sent: the server may have got it. An event that waits for a connection goes on
// waiting. In a handler, too many events may wait to be handled before the
// acknowledgement: then the error is [ErrAckBlocked].
func EmitWithAck[T any](ctx context.Context, s *Socket, event string, args ...any) (v T, err error) {
	a, err := Ask[T](s, event, args...)
	if err != nil {
		return v, err
	}
	return a.Wait(ctx)
}

// EmitWithAck is the function [EmitWithAck] for all values of the acknowledgement.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (sio.Args, error) {
	return EmitWithAck[sio.Args](ctx, s, event, args...)
}

func (s *Socket) ask(event string, args []any) (*pendingAck, error) {
	p := &pendingAck{s: s, done: make(chan struct{})}
	if s.m.opts.Retries > 0 {
		return p, s.emitRetried(event, args, p)
	}
	p.id = s.newAckID()
	return p, s.emit(packet.Header{Namespace: s.ns, ID: p.id, HasID: true}, event, args, p)
}

func (p *pendingAck) wait(ctx context.Context) (sio.Args, error) {
	m := p.s.m
	if limit := m.opts.AckTimeout; limit > 0 && m.opts.Retries == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	m.mu.Lock()
	p.waits = true
	m.mu.Unlock()
	m.waiting(1)
	defer m.waiting(-1)
	select {
	case <-p.done:
	case <-ctx.Done():
		p.giveUp(fmt.Errorf("%w: %w", ErrAckTimeout, ctx.Err()))
	}
	if p.err != nil {
		return sio.Args{}, p.err
	}
	return sio.ArgsOf(p.values, m.wire.codec), nil
}

// waiting counts calls that wait. Meanwhile more of the connection is read.
func (m *Manager) waiting(n int) {
	m.ackWaiters.Add(int64(n))
	if n > 0 {
		m.mu.Lock()
		sockets := slices.Clone(m.sockets)
		m.mu.Unlock()
		for _, s := range sockets {
			s.queue.Wake()
		}
	}
}

// failBlockedAcks fails the acknowledgements that somebody waits for. They cannot be read:
// too many events that the server sent before wait for handlers.
func (m *Manager) failBlockedAcks() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sockets {
		for id, w := range s.acks {
			if p, ok := w.(*pendingAck); ok && p.waits && !s.isBufferedLocked(id) {
				delete(s.acks, id)
				p.settleLocked(packet.Args{}, ErrAckBlocked)
			}
		}
	}
}

// giveUp settles the ack with err, unless it has come.
func (p *pendingAck) giveUp(err error) {
	s := p.s
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if p.closed {
		return
	}
	if p.retry != nil {
		s.dropRetriedLocked(p.retry)
	} else {
		s.takeAckLocked(p.id)
		s.unbufferLocked(p.id)
	}
	p.settleLocked(packet.Args{}, err)
}

// firstValue decodes the first value of an acknowledgement.
func firstValue[T any](args sio.Args) (v T, err error) {
	switch dst := any(&v).(type) {
	case *sio.Args:
		*dst = args
		return v, nil
	case *struct{}:
		return v, ackError(args)
	}
	if args.Len() == 0 {
		return v, nil
	}
	if err := ackError(args); err != nil {
		return v, err
	}
	err = args.Bind(&v)
	return v, err
}

// ackError returns the error that an acknowledgement stands for, or nil.
func ackError(args sio.Args) error {
	if e := failureIn(args); e != nil {
		return e
	}
	return nil
}

// failureIn returns nil for a value of any other form: {error: {message, data}}.
func failureIn(args sio.Args) *sio.Error {
	var raw json.RawMessage
	if args.Len() == 1 {
		_ = args.Bind(&raw) // it stays empty
	}
	var members map[string]json.RawMessage
	if len(raw) > 0 && raw[0] == '{' {
		_ = json.Unmarshal(raw, &members) // it is valid
	}
	if len(members) != 1 {
		return nil
	}
	var failure struct {
		Message *string `json:"message"`
		Data    any     `json:"data"`
	}
	if err := json.Unmarshal(members["error"], &failure); err == nil && failure.Message != nil {
		return &sio.Error{Message: *failure.Message, Data: failure.Data}
	}
	return nil
}
