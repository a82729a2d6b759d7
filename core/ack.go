package sio

import "github.com/sioplug/sioplug/internal/packet"

// A waiter gets the answers of one or more sockets to one ack id. Either answered or
// failed is called once for each of them, unless the socket has been told to forget
// it; neither may block.
type waiter interface {
	answered(s *Socket, a Args)
	failed(s *Socket, err error) // there will be no answer

	// awaited reports whether somebody waits at the moment. It is called with the
	// socket's mu held.
	awaited() bool
}

// await notes that w is to get the ack of that id, and has more read of the client
// than usual meanwhile: the ack may be behind events that wait for the handler that
// is about to wait for it. An unawait has to follow, unless there is an error.
func (s *Socket) await(id uint64, w waiter) error {
	if err := s.expect(id, w); err != nil {
		return err
	}
	s.client.awaitsAck()
	return nil
}

// expect notes that w is to get the ack of that id.
func (s *Socket) expect(id uint64, w waiter) error {
	if err := s.check(); err != nil {
		return err
	}
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
		w.answered(s, Args{args: p.Args, codec: s.wire().codec})
	}
}
