package engine

import (
	"time"

	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/rescue"
)

// maxPauseFactor is how many times PingInterval + PingTimeout a WebSocket may be on
// hold, without a byte being read, before its client is taken for gone.
const maxPauseFactor = 4

// heartbeat is the session's place in the server's lists of deadlines. While
// it is open that is the next ping or the awaited pong; afterwards, how long
// to wait for the client to take the news.
//
// The handler may keep the session from being read: see Hold. What is known of the
// client then depends on the transport. A polling client goes on polling, and a poll
// counts for a pong. A WebSocket is deaf: the pong is behind what is not read.
type heartbeat struct {
	timer      deadline.Item[*Session]
	extended   bool          // another packet already prolonged the wait for this pong (EIO-HB-4)
	holds      int           // see Hold
	heldSince  time.Duration // when the hold began, since the server's epoch
	pingSentAt time.Duration // when the last ping was sent, likewise
}

// readPausedLocked reports whether signs of life cannot be heard; mu is held.
func (s *Session) readPausedLocked() bool { return s.heartbeat.holds > 0 && s.ws != nil }

// pausedTooLongLocked reports whether the session has been deaf for too long; mu is held.
func (s *Session) pausedTooLongLocked() bool {
	most := maxPauseFactor * (s.server.opts.PingInterval + s.server.opts.PingTimeout)
	return s.readPausedLocked() && s.server.now()-s.heartbeat.heldSince >= most
}

// pingDue is called when the interval since the last pong has passed. A deaf session
// goes on being pinged, or its client would take us for dead (EIO-HB-7).
func (s *Session) pingDue() {
	s.mu.Lock()
	deaf, held := s.readPausedLocked(), s.heartbeat.holds > 0
	if s.state != stateOpen || (s.awaitingPong.Load() && !deaf) {
		s.mu.Unlock()
		return
	}
	if s.pausedTooLongLocked() {
		s.mu.Unlock()
		s.end(PingTimeout, nil, endByError)
		return
	}
	if deaf {
		s.server.pingTimers.Repeat(&s.heartbeat.timer, s)
	} else {
		s.server.pongTimers.Repeat(&s.heartbeat.timer, s)
	}
	wake := s.enqueuePingLocked()
	s.mu.Unlock()
	if wake {
		s.server.flushers.Add(s.shard, s)
	}
	if held {
		s.callReadOn()
	}
}

// enqueuePingLocked queues a ping; mu is held. It reports what enqueue does.
func (s *Session) enqueuePingLocked() bool {
	s.awaitingPong.Store(true)
	s.heartbeat.extended = false
	s.heartbeat.pingSentAt = s.server.now()
	return s.enqueueLocked(pingPacket)
}

// callReadOn tells the handler that the pong may be behind the message that it keeps
// waiting.
func (s *Session) callReadOn() {
	r, ok := s.handler.(Reader)
	if !ok {
		return
	}
	err := rescue.Apart(func() error {
		r.ReadOn()
		return nil
	})
	if err != nil {
		s.endAfterPanic(err)
	}
}

// AwaitsHeartbeat reports whether a sign of life is awaited. For clients of
// revision 3 that is always so: they ping when they want to, and give up without an
// answer.
func (s *Session) AwaitsHeartbeat() bool { return s.dialect.has(revision3) || s.awaitingPong.Load() }

func (s *Session) pongOverdue() {
	s.mu.Lock()
	if s.ws == nil && s.poll != nil && len(s.queue.frames) == 0 {
		s.pollReceivedLocked() // the poll came after the one that took the ping
	}
	overdue := s.state == stateOpen && !s.readPausedLocked() && s.awaitingPong.Load() && s.server.pongTimers.Passed(&s.heartbeat.timer)
	s.mu.Unlock()
	if overdue {
		s.end(PingTimeout, nil, endByError)
	}
}

// packetReceived notes that a packet came. The next ping is due an interval after the
// pong (EIO-HB-2); any other packet prolongs the wait for the pong once.
func (s *Session) packetReceived(pong bool) {
	if !pong && !s.awaitingPong.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != stateOpen:
	case pong:
		s.awaitingPong.Store(false)
		s.restartHeartbeatLocked()
	case s.awaitingPong.Load() && !s.heartbeat.extended && s.heartbeat.holds == 0:
		s.heartbeat.extended = true
		s.restartHeartbeatLocked()
	}
}

// pollReceivedLocked notes that a poll came, or is parked since the ping was taken; mu is held.
// While a POST is kept waiting, the client can send neither a pong nor, for revision
// 3, a ping.
func (s *Session) pollReceivedLocked() {
	switch {
	case s.heartbeat.holds == 0 || s.state != stateOpen:
	case s.dialect.has(revision3):
		s.awaitClientPingLocked()
	case s.awaitingPong.Swap(false):
		s.restartHeartbeatLocked()
	}
}

// restartHeartbeatLocked starts the deadline anew that the session is waiting for.
func (s *Session) restartHeartbeatLocked() {
	if s.awaitingPong.Load() && !s.readPausedLocked() {
		s.server.pongTimers.Set(&s.heartbeat.timer, s)
	} else {
		s.server.pingTimers.Set(&s.heartbeat.timer, s)
	}
}

// Hold says that the handler keeps the session from being read: a client must not
// be taken for dead because we do not listen. Every Hold needs a Release.
//
// A polling session is heard all the same, by its polls. A WebSocket has four times
// PingInterval + PingTimeout until the Release. Meanwhile the handler is asked to
// read on, if it is a [Reader], as soon as a pong is awaited; if that succeeds, the
// heartbeat is as usual.
func (s *Session) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heartbeat.holds++
	if s.state != stateOpen || s.heartbeat.holds > 1 {
		return
	}
	s.heartbeat.heldSince = s.server.now()
	switch {
	case s.ws == nil:
		if s.poll != nil && len(s.queue.frames) == 0 {
			s.pollReceivedLocked()
		}
	case !s.dialect.has(revision3) && s.awaitingPong.Load():
		s.restartHeartbeatLocked()
	}
}

// Release ends a [Session.Hold]. Over WebSocket the wait for a pong starts anew; so
// does that for the ping of a revision 3 client.
func (s *Session) Release() {
	s.mu.Lock()
	s.heartbeat.holds--
	wake := false
	switch {
	case s.state != stateOpen || s.heartbeat.holds > 0:
	case s.dialect.has(revision3):
		s.awaitClientPingLocked()
	case s.ws != nil && s.awaitingPong.Load():
		s.restartHeartbeatLocked()
		// Who is held and released again and again is to be pinged in time.
		if s.server.now()-s.heartbeat.pingSentAt >= min(s.server.opts.PingInterval, s.server.opts.PingTimeout)/2 {
			wake = s.enqueuePingLocked()
		}
	}
	s.mu.Unlock()
	if wake {
		s.server.flushers.Add(s.shard, s)
	}
}
