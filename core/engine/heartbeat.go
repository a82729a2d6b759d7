package engine

import (
	"time"

	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/rescue"
)

// maxPauseFactor is for how many times PingInterval + PingTimeout the handler may keep
// a WebSocket from being read, before the client counts as gone.
const maxPauseFactor = 4

// maxLateness is by how much timers are late at most, unless the whole process stood still:
// its virtual machine was moved, or it was stopped.
const maxLateness = time.Second

// pingsTogether is which part of PingInterval a ping may be early, if another one is due. On
// a server with many idle clients, pings that leave together, and so pongs that come together,
// cost less than one at a time: each of those wakes the process.
const pingsTogether = 250

// A heartbeat is the session's timer in one of the server's lists. While the session
// is open, the timer is for the next ping or for the awaited pong. Afterwards it is for
// the close timeout.
//
// The handler may pause the reading of a session: see Hold. A polling client goes on
// polling meanwhile, and a poll counts as a pong. From a WebSocket client nothing is
// received: its pong is behind the messages that are not read.
type heartbeat struct {
	timer      deadline.Item[*Session]
	extended   bool          // the wait was extended: by a packet other than the pong (EIO-HB-4), or see stoodStillLocked
	holds      int           // calls of Hold without Release
	heldSince  time.Duration // since the server's epoch
	pingSentAt time.Duration // since the server's epoch
}

// readPausedLocked reports whether the session's WebSocket is not being read.
func (s *Session) readPausedLocked() bool { return s.heartbeat.holds > 0 && s.ws != nil }

// pausedTooLongLocked reports whether the reading has been paused for too long.
func (s *Session) pausedTooLongLocked() bool {
	limit := maxPauseFactor * (s.server.opts.PingInterval + s.server.opts.PingTimeout)
	return s.readPausedLocked() && s.server.now()-s.heartbeat.heldSince >= limit
}

// pingDue is called when PingInterval has passed since the last pong, or a bit earlier:
// see pingsTogether. A session whose reading is paused is still pinged, because the client
// closes without pings (EIO-HB-7).
func (s *Session) pingDue() {
	s.mu.Lock()
	paused, held := s.readPausedLocked(), s.heartbeat.holds > 0
	if s.state != stateOpen || (s.awaitingPong.Load() && !paused) {
		s.mu.Unlock()
		return
	}
	if s.pausedTooLongLocked() {
		s.mu.Unlock()
		s.end(PingTimeout, nil, endByError)
		return
	}
	if paused {
		s.server.pingTimers.Set(&s.heartbeat.timer, s)
	} else {
		s.server.pongTimers.Set(&s.heartbeat.timer, s) // from now on, even if the ping is late
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

// enqueuePingLocked queues a ping. It returns what enqueueLocked does.
func (s *Session) enqueuePingLocked() (wake bool) {
	s.awaitingPong.Store(true)
	s.heartbeat.extended = false
	s.heartbeat.pingSentAt = s.server.now()
	return s.enqueueLocked(pingPacket)
}

// callReadOn calls [Reader.ReadOn], if the handler has it: the pong may be behind the
// message that waits in Message.
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

// pongOverdue ends the session of a client that did not answer a ping in time.
func (s *Session) pongOverdue() {
	s.mu.Lock()
	if s.ws == nil && s.poll != nil && len(s.queue.frames) == 0 {
		s.pollReceivedLocked() // the poll came after the one that took the ping
	}
	overdue := s.state == stateOpen && !s.readPausedLocked() && s.awaitingPong.Load() &&
		s.server.pongTimers.Passed(&s.heartbeat.timer)
	if overdue && s.stoodStillLocked() {
		s.heartbeat.extended = true
		s.restartHeartbeatLocked()
		overdue = false
	}
	s.mu.Unlock()
	if overdue {
		s.end(PingTimeout, nil, endByError)
	}
}

// stoodStillLocked reports whether the heartbeat's timer is so late that the process must
// have stood still. Then what the client has sent in time may not be read yet. A wait is
// extended once only.
func (s *Session) stoodStillLocked() bool {
	return !s.heartbeat.extended && s.server.now()-s.heartbeat.timer.At() > maxLateness
}

// packetReceived notes that a packet came. The next ping is due PingInterval after the
// pong (EIO-HB-2). Any other packet extends the wait for the pong once.
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

// pollReceivedLocked notes that a poll came, or that one is parked since the ping was
// taken. While a POST is kept waiting, the client can send neither a pong nor, in
// revision 3, a ping.
func (s *Session) pollReceivedLocked() {
	switch {
	case s.heartbeat.holds == 0 || s.state != stateOpen:
	case s.dialect.has(revision3):
		s.awaitClientPingLocked()
	case s.awaitingPong.Swap(false):
		s.restartHeartbeatLocked()
	}
}

// restartHeartbeatLocked starts the wait for the pong or for the next ping again.
func (s *Session) restartHeartbeatLocked() {
	if s.awaitingPong.Load() && !s.readPausedLocked() {
		s.server.pongTimers.Set(&s.heartbeat.timer, s)
	} else {
		s.server.pingTimers.Set(&s.heartbeat.timer, s)
	}
}

// Hold tells the session that the handler pauses reading. Until Release, the client does
// not count as dead for not answering. Every Hold needs a Release.
//
// The polls of a polling session show that the client is alive. A WebSocket has four
// times PingInterval + PingTimeout until the Release. As soon as a pong is awaited, a
// handler that is a [Reader] is asked to read on. If it does, the heartbeat is as usual.
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

// Release ends a [Session.Hold]. Over WebSocket the wait for a pong starts again, and
// so does the wait for the ping of a revision 3 client.
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
		// A session that is held and released again and again is pinged in time, too.
		if s.server.now()-s.heartbeat.pingSentAt >= min(s.server.opts.PingInterval, s.server.opts.PingTimeout)/2 {
			wake = s.enqueuePingLocked()
		}
	}
	s.mu.Unlock()
	if wake {
		s.server.flushers.Add(s.shard, s)
	}
}
