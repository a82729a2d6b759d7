package engine

import (
	"time"

	"github.com/sioplug/sioplug/internal/deadline"
	"github.com/sioplug/sioplug/internal/rescue"
)

// unreadFactor is how many times PingInterval + PingTimeout a WebSocket may be on
// hold, without a byte being read, before its client is taken for gone.
const unreadFactor = 4

// heartbeat is the session's place in the server's lists of deadlines. While
// it is open that is the next ping or the awaited pong; afterwards, how long
// to wait for the client to take the news.
//
// The handler may keep the session from being read: see Hold. What is known of the
// client then depends on the transport. A polling client goes on polling, and a poll
// counts for a pong. A WebSocket is deaf: the pong is behind what is not read.
type heartbeat struct {
	item   deadline.Item[*Session]
	spared bool          // another packet already prolonged the wait for this pong (EIO-HB-4)
	held   int           // see Hold
	since  time.Duration // when the hold began, since the server's epoch
	sent   time.Duration // when the last ping was sent, likewise
}

// deaf reports whether signs of life cannot be heard; mu is held.
func (s *Session) deaf() bool { return s.beat.held > 0 && s.link != nil }

// unread reports whether the session has been deaf for too long; mu is held.
func (s *Session) unread() bool {
	most := unreadFactor * (s.server.opts.PingInterval + s.server.opts.PingTimeout)
	return s.deaf() && s.server.now()-s.beat.since >= most
}

// ping is called when the interval since the last pong has passed. A deaf session
// goes on being pinged, or its client would take us for dead (EIO-HB-7).
func (s *Session) ping() {
	s.mu.Lock()
	deaf, held := s.deaf(), s.beat.held > 0
	if s.state != stateOpen || (s.pinged.Load() && !deaf) {
		s.mu.Unlock()
		return
	}
	if s.unread() {
		s.mu.Unlock()
		s.end(PingTimeout, nil, farewell{discard: true})
		return
	}
	if deaf {
		s.server.pings.Repeat(&s.beat.item, s)
	} else {
		s.server.pongs.Repeat(&s.beat.item, s)
	}
	wake := s.enqueuePing()
	s.mu.Unlock()
	if wake {
		s.server.writers.Add(s.shard, s)
	}
	if held {
		s.readOn()
	}
}

// enqueuePing queues a ping; mu is held. It reports what enqueue does.
func (s *Session) enqueuePing() bool {
	s.pinged.Store(true)
	s.beat.spared = false
	s.beat.sent = s.server.now()
	return s.enqueue(pingPacket)
}

// readOn tells the handler that the pong may be behind the message that it keeps
// waiting.
func (s *Session) readOn() {
	r, ok := s.handler.(Reader)
	if !ok {
		return
	}
	err := rescue.Apart(func() error {
		r.ReadOn()
		return nil
	})
	if err != nil {
		s.fail(err)
	}
}

// AwaitsHeartbeat reports whether a sign of life is awaited. For clients of
// revision 3 that is always so: they ping when they want to, and give up without an
// answer.
func (s *Session) AwaitsHeartbeat() bool { return s.dialect.has(revision3) || s.pinged.Load() }

func (s *Session) pongOverdue() {
	s.mu.Lock()
	if s.link == nil && s.poll != nil && len(s.out.frames) == 0 {
		s.polled() // the poll came after the one that took the ping
	}
	overdue := s.state == stateOpen && !s.deaf() && s.pinged.Load() && s.server.pongs.Passed(&s.beat.item)
	s.mu.Unlock()
	if overdue {
		s.end(PingTimeout, nil, farewell{discard: true})
	}
}

// heard notes that a packet came. The next ping is due an interval after the
// pong (EIO-HB-2); any other packet prolongs the wait for the pong once.
func (s *Session) heard(pong bool) {
	if !pong && !s.pinged.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != stateOpen:
	case pong:
		s.pinged.Store(false)
		s.rest()
	case s.pinged.Load() && !s.beat.spared && s.beat.held == 0:
		s.beat.spared = true
		s.rest()
	}
}

// polled notes that a poll came, or is parked since the ping was taken; mu is held.
// While a POST is kept waiting, the client can send neither a pong nor, for revision
// 3, a ping.
func (s *Session) polled() {
	switch {
	case s.beat.held == 0 || s.state != stateOpen:
	case s.dialect.has(revision3):
		s.awaitPing()
	case s.pinged.Swap(false):
		s.rest()
	}
}

// rest starts the deadline anew that the session is waiting for.
func (s *Session) rest() {
	if s.pinged.Load() && !s.deaf() {
		s.server.pongs.Set(&s.beat.item, s)
	} else {
		s.server.pings.Set(&s.beat.item, s)
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
	s.beat.held++
	if s.state != stateOpen || s.beat.held > 1 {
		return
	}
	s.beat.since = s.server.now()
	switch {
	case s.link == nil:
		if s.poll != nil && len(s.out.frames) == 0 {
			s.polled()
		}
	case !s.dialect.has(revision3) && s.pinged.Load():
		s.rest()
	}
}

// Release ends a [Session.Hold]. Over WebSocket the wait for a pong starts anew; so
// does that for the ping of a revision 3 client.
func (s *Session) Release() {
	s.mu.Lock()
	s.beat.held--
	wake := false
	switch {
	case s.state != stateOpen || s.beat.held > 0:
	case s.dialect.has(revision3):
		s.awaitPing()
	case s.link != nil && s.pinged.Load():
		s.rest()
		// Who is held and released again and again is to be pinged in time.
		if s.server.now()-s.beat.sent >= min(s.server.opts.PingInterval, s.server.opts.PingTimeout)/2 {
			wake = s.enqueuePing()
		}
	}
	s.mu.Unlock()
	if wake {
		s.server.writers.Add(s.shard, s)
	}
}
