package sio

import "github.com/sioplug/sioplug/internal/packet"

// An ackWaiter gets the answers of one or more sockets to one ack id. Either acked or
// failed is called once for each of them, unless the socket has been told to forget
// it; neither may block.
type ackWaiter interface {
	acked(s *Socket, a Args)
	failed(s *Socket, err error) // there will be no answer

	// hasWaiters reports whether somebody waits at the moment. It is called with the
	// socket's mu held.
	hasWaiters() bool
}

// await notes that w is to get the ack of that id, and has more read of the client
// than usual meanwhile: the ack may be behind events that wait for the handler that
// is about to wait for it. A stopAwaiting has to follow, unless there is an error.
func (s *Socket) await(id uint64, w ackWaiter) error {
	if err := s.registerAck(id, w); err != nil {
		return err
	}
	s.client.addAckWaiter()
	return nil
}

// registerAck notes that w is to get the ack of that id.
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

func (s *Socket) stopAwaiting(id uint64) {
	s.takeAck(id)
	s.client.removeAckWaiter()
}

// takeAck returns who waits for an ack, if anybody does, and forgets it.
func (s *Socket) takeAck(id uint64) ackWaiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.acks[id]
	delete(s.acks, id)
	return w
}

// receiveAck gives an acknowledgement to whoever waits for it; one that nobody
// waits for is ignored (SIO-BAD-6).
func (s *Socket) receiveAck(p packet.Packet) {
	if !p.HasID {
		return
	}
	if w := s.takeAck(p.ID); w != nil {
		w.acked(s, Args{args: p.Args, codec: s.wire().codec})
	}
}
