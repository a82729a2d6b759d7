package sio

import "github.com/sioplug/sioplug/internal/packet"

// An ackWaiter waits for the acks of one or more sockets to one event. For each socket,
// acked or failed is called once, unless the ack was unregistered. Neither may block.
type ackWaiter interface {
	acked(s *Socket, a Args)
	failed(s *Socket, err error) // there will be no answer

	// hasWaiters reports whether a goroutine waits. The socket's mu is held.
	hasWaiters() bool
}

// await registers w for an ack. Until [Socket.stopAwaiting], the server reads more of
// the client than usual: the ack may come behind events that wait for the very handler
// that is about to wait. If there is an error, stopAwaiting must not be called.
func (s *Socket) await(id uint64, w ackWaiter) error {
	if err := s.registerAck(id, w); err != nil {
		return err
	}
	s.client.addAckWaiter()
	return nil
}

// registerAck registers w for an ack.
func (s *Socket) registerAck(id uint64, w ackWaiter) error {
	if err := s.checkConnected(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disconnectErr != nil {
		return s.disconnectErr
	}
	if s.acks == nil {
		s.acks = make(map[uint64]ackWaiter)
	}
	s.acks[id] = w
	return nil
}

// stopAwaiting unregisters and returns the waiter for an ack, nil if there is none any
// more.
func (s *Socket) stopAwaiting(id uint64) ackWaiter {
	w := s.takeAck(id)
	s.client.removeAckWaiter()
	return w
}

// takeAck unregisters the waiter for an ack and returns it, nil if there is none.
func (s *Socket) takeAck(id uint64) ackWaiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.acks[id]
	delete(s.acks, id)
	return w
}

// receiveAck gives an ack to its waiter. An ack without a waiter is ignored (SIO-BAD-6).
func (s *Socket) receiveAck(p packet.Packet) {
	if !p.HasID {
		return
	}
	if w := s.takeAck(p.ID); w != nil {
		w.acked(s, Args{args: p.Args, codec: s.wire().codec})
	}
}

// awaitsAck reports whether an ack of the client is awaited.
func (s *Socket) awaitsAck() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acks) > 0
}
