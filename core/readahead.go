package sio

import "slices"

// readAheadFactor is how many times MaxPendingBytes one client may have waiting beyond
// the limits of its sockets, while something is awaited that may come behind.
const readAheadFactor = 8

// A source is a socket as what fills its queue: the read loop of its client. It
// implements [serial.Source].
//
// When the queue is full, the loop waits, and nothing of the client is read. But the
// ack that a handler waits for may be behind the events that wait for this handler,
// and so may be the pong that shows that the client is still there. While one of the
// two is awaited, reading goes on beyond the limits, up to a budget that all sockets
// of the client share. When that is used up, those who wait for acks get an error,
// and so nobody waits for ever.
type source Socket

// ReadAhead implements [serial.Source].
func (s *source) ReadAhead(bytes int) bool {
	c := s.client
	c.mu.Lock()
	asked := c.ackWaiters > 0
	c.mu.Unlock()
	if !asked && !c.session.AwaitsHeartbeat() {
		return false
	}
	most := readAheadFactor * int64(s.ns.server.opts.MaxPendingBytes)
	if c.aheadBytes.Add(int64(bytes)) <= most {
		return true
	}
	c.aheadBytes.Add(-int64(bytes))
	if asked {
		c.failAcks()
	}
	return false
}

// Handled implements [serial.Source].
func (s *source) Handled(bytes int) { s.client.aheadBytes.Add(-int64(bytes)) }

// Hold implements [serial.Source].
func (s *source) Hold() {
	c := s.client
	c.mu.Lock()
	c.blockedOn = (*Socket)(s)
	c.mu.Unlock()
	c.line.Start() // the read loop, which would call Work next, has to wait for it
	c.session.Hold()
	c.ReadOn() // an ack may be awaited since we looked
}

// Release implements [serial.Source].
func (s *source) Release() {
	c := s.client
	c.mu.Lock()
	c.blockedOn = nil
	c.mu.Unlock()
	c.session.Release()
}

// ReadOn implements [engine.Reader]: it has the read loop look again whether it has
// to wait.
func (c *client) ReadOn() {
	c.mu.Lock()
	s := c.blockedOn
	c.mu.Unlock()
	if s != nil {
		s.queue.Wake()
	}
}

// addAckWaiter notes that somebody waits for an ack of the client.
func (c *client) addAckWaiter() {
	c.mu.Lock()
	c.ackWaiters++
	c.mu.Unlock()
	c.ReadOn()
}

// removeAckWaiter takes addAckWaiter back.
func (c *client) removeAckWaiter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ackWaiters--
}

// failAcks tells those who wait for acks of the client that these cannot be read.
func (c *client) failAcks() {
	c.mu.Lock()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		for _, w := range s.takeAwaitedAcks() {
			w.failed(s, ErrAckBlocked)
		}
	}
}

// takeAwaitedAcks returns those who wait for acks of the socket's client, and forgets
// them. An ack that nobody waits for may still be read when handlers have returned.
func (s *Socket) takeAwaitedAcks() (waiting []ackWaiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, w := range s.acks {
		if w.hasWaiters() {
			waiting = append(waiting, w)
			delete(s.acks, id)
		}
	}
	return waiting
}
