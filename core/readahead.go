package sio

import "slices"

// readAheadFactor times MaxPendingBytes is the read-ahead budget of a client: the bytes
// that may wait beyond the limits while the server awaits an ack or a pong.
const readAheadFactor = 8

// A source adds to a socket's queue. It is the read loop of the client, and implements
// [serial.Source].
//
// When the queue is full, the loop waits, and the client is not read. But a handler may
// wait for an ack that comes behind the events in the queue. A pong, which shows that
// the client is still there, may be behind them as well. While the server awaits an ack
// or a pong, it reads beyond the limits. All sockets of the client share one budget for
// that. When it is used up, waiters for acks get an error. So no handler waits for ever.
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

// ReadOn implements [engine.Reader]: the read loop checks again whether it has to wait.
func (c *client) ReadOn() {
	c.mu.Lock()
	s := c.blockedOn
	c.mu.Unlock()
	if s != nil {
		s.queue.Wake()
	}
}

// addAckWaiter counts an ack that a goroutine waits for.
func (c *client) addAckWaiter() {
	c.mu.Lock()
	c.ackWaiters++
	c.mu.Unlock()
	c.ReadOn()
}

// removeAckWaiter undoes addAckWaiter.
func (c *client) removeAckWaiter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ackWaiters--
}

// failAcks tells all goroutines that wait for acks of the client that the server cannot
// read them.
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

// takeAwaitedAcks unregisters and returns the waiters that a goroutine waits for. The
// others may get their acks later, when handlers have returned.
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
