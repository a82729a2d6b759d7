package engine

// In revision 3 of the protocol the client pings (EIO section 14). Socket.IO 1 and 2
// use it. The encoding of its packets is in internal/payload.

// answerClientPing answers a ping (EIO-HB-20), and restarts the wait for the next one.
func (s *Session) answerClientPing() {
	s.mu.Lock()
	if s.state != stateOpen {
		s.mu.Unlock()
		return
	}
	if s.queue.bytes >= s.server.opts.MaxSendBuffer { // mostly by the pongs to a flood
		s.mu.Unlock()
		s.end(TransportError, ErrSlowClient, endByError)
		return
	}
	s.heartbeat.extended = false
	s.awaitClientPingLocked()
	wake := s.enqueueLocked(pongPacket)
	s.mu.Unlock()
	if wake {
		s.server.flushers.Add(s.shard, s)
	}
}

// awaitClientPingLocked starts the wait for the next ping.
func (s *Session) awaitClientPingLocked() { s.server.clientPingTimers.Set(&s.heartbeat.timer, s) }

// clientPingOverdue ends the session of a client that did not ping in time
// (EIO-HB-21). A session whose reading is paused has more time: see Hold.
func (s *Session) clientPingOverdue() {
	s.mu.Lock()
	overdue := s.state == stateOpen && s.server.clientPingTimers.Passed(&s.heartbeat.timer)
	if overdue && s.readPausedLocked() && !s.pausedTooLongLocked() {
		s.awaitClientPingLocked()
		overdue = false
	}
	if overdue && s.stoodStillLocked() {
		s.heartbeat.extended = true
		s.awaitClientPingLocked()
		overdue = false
	}
	s.mu.Unlock()
	if overdue {
		s.end(PingTimeout, nil, endByError)
	}
}
