package engine

import "github.com/sioplug/sioplug/core/internal/deadline"

// heartbeat is the session's place in the server's lists of deadlines. While
// it is open that is the next ping or the awaited pong; afterwards, how long
// to wait for the client to take the news.
type heartbeat struct {
	item   deadline.Item[*Session]
	spared bool // another packet already prolonged the wait for this pong (EIO-HB-4)
	held   int  // see Hold
}

// ping is called when the interval since the last pong has passed.
func (s *Session) ping() {
	s.mu.Lock()
	held := s.beat.held > 0
	if s.state != stateOpen || (s.pinged.Load() && !held) {
		s.mu.Unlock()
		return
	}
	s.pinged.Store(true)
	s.beat.spared = false
	if held {
		s.server.pings.Follow(&s.beat.item, s)
	} else {
		s.server.pongs.Follow(&s.beat.item, s)
	}
	wake := s.enqueue(pingPacket)
	s.mu.Unlock()
	if wake {
		s.server.writers.Add(s.shard, s)
	}
}

func (s *Session) pongOverdue() {
	s.mu.Lock()
	overdue := s.state == stateOpen && s.beat.held == 0 && s.pinged.Load() && s.server.pongs.Passed(&s.beat.item)
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

// rest starts the deadline anew that the session is waiting for.
func (s *Session) rest() {
	if s.pinged.Load() && s.beat.held == 0 {
		s.server.pongs.Set(&s.beat.item, s)
	} else {
		s.server.pings.Set(&s.beat.item, s)
	}
}

// Hold suspends the wait for pongs while the handler keeps the session from
// being read: a client must not be taken for dead because we do not listen. It
// is pinged all the same, or it would take us for dead (EIO-HB-7). Every Hold
// needs a Release.
func (s *Session) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat.held++
	switch {
	case s.state != stateOpen || s.beat.held > 1:
	case s.dialect.has(revision3):
		s.beat.item.Stop()
	case s.pinged.Load():
		s.rest()
	}
}

// Release ends a [Session.Hold]; the wait for a pong, or for the ping of a
// revision 3 client, starts anew.
func (s *Session) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat.held--
	switch {
	case s.state != stateOpen || s.beat.held > 0:
	case s.dialect.has(revision3):
		s.awaitPing()
	case s.pinged.Load():
		s.rest()
	}
}
