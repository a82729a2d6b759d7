package sioclient

import (
	"context"
	"slices"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
)

// An outgoing is an event on its way out.
type outgoing struct {
	frames []*frame.Frame
	size   int
	id     uint64 // of its ack, if ack is not nil
	ack    ackWaiter
	seen   *seen // for OnAnyOutgoing; nil if there are no functions
}

// A seen is an event for the functions of OnAnyOutgoing.
type seen struct {
	event string
	args  sio.Args
}

// Emit sends an event. Any []byte in the arguments, at any depth, travels as binary data.
// Emit does not wait. While the socket is not connected, the event is kept, and is sent
// when it is; see Options.MaxSendBuffer.
func (s *Socket) Emit(event string, args ...any) error {
	if s.m.opts.Retries > 0 {
		return s.emitRetried(event, args, nil)
	}
	return s.emit(packet.Header{Namespace: s.ns}, event, args, nil)
}

// EmitVolatile sends an event if the connection can take it at once, and returns
// [ErrNotReady] otherwise: while the socket is not connected, the server does not read, or
// a request of polling is on its way.
func (s *Socket) EmitVolatile(event string, args ...any) error {
	out, err := s.outgoing(packet.Header{Namespace: s.ns}, event, args)
	if err != nil {
		return err
	}
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.connected || m.conn.engine.Expired() || !m.conn.engine.Writable() || !s.sendLocked(out) { // CLI-EM-3
		return ErrNotReady
	}
	return nil
}

func (s *Socket) emit(h packet.Header, event string, args []any, ack ackWaiter) error {
	out, err := s.outgoing(h, event, args)
	if err != nil {
		return err
	}
	out.id, out.ack = h.ID, ack
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.sendOrKeepLocked(out)
}

// outgoing encodes an event.
func (s *Socket) outgoing(h packet.Header, event string, args []any) (*outgoing, error) {
	frames, err := s.m.wire.event(h, event, args)
	if err != nil {
		return nil, err
	}
	return &outgoing{frames: frames, size: memory(frames), seen: s.see(event, args)}, nil
}

func memory(frames []*frame.Frame) (n int) {
	for _, f := range frames {
		n += f.Memory()
	}
	return n
}

// see prepares an event for the functions of OnAnyOutgoing.
func (s *Socket) see(event string, args []any) *seen {
	if len(s.on.outgoingFuncs()) == 0 {
		return nil
	}
	c, err := s.m.wire.content(event, args)
	if err != nil {
		return nil // it is not sent either
	}
	return s.seeContent(event, c)
}

func (s *Socket) seeContent(event string, c content) *seen {
	k, err := packet.Build(packet.Packet{Type: packet.Event}, c.data, c.attachments)
	if err != nil {
		return nil
	}
	return &seen{event, sio.ArgsOf(k.Args, s.m.wire.codec)}
}

// sendOrKeepLocked sends an event, or keeps it until the socket is connected.
func (s *Socket) sendOrKeepLocked(out *outgoing) error {
	m := s.m
	if s.connected {
		e := m.conn.engine
		switch {
		case e.Expired(): // CLI-EM-8
			e.Expire()
		case e.Queued() >= m.opts.MaxSendBuffer:
			return ErrBufferFull
		case s.sendLocked(out):
			return nil
		}
	}
	if err := s.makeRoomLocked(out.size); err != nil {
		return err
	}
	s.registerLocked(out)
	s.buffered = append(s.buffered, out)
	s.bufSize += out.size
	return nil
}

// makeRoomLocked makes room for an event that has to wait. One event may have any size.
func (s *Socket) makeRoomLocked(size int) error {
	for s.bufSize > 0 && s.bufSize+size > s.m.opts.MaxSendBuffer {
		if !s.m.opts.DropOldest || len(s.buffered) == 0 {
			return ErrBufferFull
		}
		oldest := s.buffered[0]
		s.buffered[0] = nil
		s.buffered = s.buffered[1:]
		s.bufSize -= oldest.size
		s.dropped++
		if oldest.ack == nil {
			continue
		}
		if w := s.takeAckLocked(oldest.id); w != nil {
			w.settleLocked(packet.Args{}, ErrDropped)
		}
	}
	return nil
}

func (s *Socket) registerLocked(out *outgoing) {
	if out.ack == nil {
		return
	}
	if s.acks == nil {
		s.acks = make(map[uint64]ackWaiter)
	}
	s.acks[out.id] = out.ack
}

// sendLocked gives an event to the connection. It reports false if that has ended.
func (s *Socket) sendLocked(out *outgoing) bool {
	if out.ack != nil {
		s.registerLocked(out)
	}
	if !s.m.conn.engine.Send(out.frames...) {
		return false
	}
	if out.seen != nil {
		s.observeLocked(out.seen)
	}
	return true
}

// observeLocked calls the functions of OnAnyOutgoing, in order with other calls.
func (s *Socket) observeLocked(o *seen) {
	for _, f := range s.on.outgoingFuncs() {
		s.m.pushLocked(&s.queue, "OnAnyOutgoing", func() { f(s, o.event, o.args) })
	}
	s.m.line.Start()
}

// sendBufferedLocked sends what waited for the socket to be connected.
func (s *Socket) sendBufferedLocked() {
	waiting := s.buffered
	if len(waiting) == 0 {
		return
	}
	s.buffered, s.bufSize = nil, 0
	for i, out := range waiting {
		if !s.sendLocked(out) {
			for _, out := range waiting[i:] {
				s.buffered = append(s.buffered, out)
				s.bufSize += out.size
			}
			return
		}
	}
}

// isBufferedLocked reports whether the event of an ack waits to be sent.
func (s *Socket) isBufferedLocked(id uint64) bool {
	return slices.ContainsFunc(s.buffered, func(o *outgoing) bool { return o.ack != nil && o.id == id })
}

// unbufferLocked takes an event out that nobody waits for any more (CLI-EM-4).
func (s *Socket) unbufferLocked(id uint64) {
	i := slices.IndexFunc(s.buffered, func(o *outgoing) bool { return o.ack != nil && o.id == id })
	if i >= 0 {
		s.bufSize -= s.buffered[i].size
		s.buffered = slices.Delete(s.buffered, i, i+1)
	}
}

// Flush waits until everything that was emitted before has been written to the connection.
// It fails if the socket is not connected, or the connection ends before.
func (s *Socket) Flush(ctx context.Context) error {
	m := s.m
	m.mu.Lock()
	if !s.connected {
		m.mu.Unlock()
		return ErrDisconnected
	}
	e := m.conn.engine
	m.mu.Unlock()
	if err := e.Flush(ctx); err != nil && ctx.Err() == nil {
		return ErrDisconnected
	}
	return ctx.Err()
}

// OnAnyOutgoing adds a function that sees every event when it is sent. It is called in
// order with the socket's handlers. Acks are not events.
func (s *Socket) OnAnyOutgoing(f func(s *Socket, event string, args sio.Args)) {
	register(&s.on, "OnAnyOutgoing", f == nil, func(r *registered) { r.outgoing = append(slices.Clip(r.outgoing), f) })
}
