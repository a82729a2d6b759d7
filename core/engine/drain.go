package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
)

// drainTick is how often Drain looks at the sessions.
const drainTick = 20 * time.Millisecond

// maxDrain is the longest spread and grace. Longer ones would overflow when they are added.
const maxDrain = 365 * 24 * time.Hour

// Drain refuses new sessions and closes the others, in random order and evenly over
// spread. A session is closed when its handler has finished, if that is a [Finisher], or
// when grace has passed. Then its client has as long to read the rest. Drain returns when
// the last connection is closed, when the last session has ended and its client had this time,
// or when ctx ends. [Server.Shutdown] has to follow.
func (e *Server) Drain(ctx context.Context, spread, grace time.Duration) {
	spread, grace = min(spread, maxDrain), min(grace, maxDrain)
	ctx, cancel := context.WithTimeout(ctx, spread+2*grace)
	defer cancel()
	d := &drain{
		server: e, sessions: e.refuseSessions(), start: e.now(), spread: spread, grace: grace,
		closing: make(chan struct{}, parallelCloses), open: e.now(),
	}
	rand.Shuffle(len(d.sessions), func(i, j int) { //nolint:gosec // nobody gains by guessing the order
		d.sessions[i], d.sessions[j] = d.sessions[j], d.sessions[i]
	})
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for d.step(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// A drain is one call of [Server.Drain].
type drain struct {
	server        *Server
	sessions      []*Session    // those whose turn has not come
	start         time.Duration // since the server's epoch
	spread, grace time.Duration

	told    int           // number of sessions whose turn has come
	open    time.Duration // when a session was open the last time, since the server's epoch
	due     []dueSession  // those of them that are open
	closing chan struct{} // has an element for each goroutine that closes a session
}

// A dueSession may stay open until a time, since the server's epoch.
type dueSession struct {
	*Session

	until time.Duration
}

// over reports whether nothing is left to wait for: there is no session, or none is open and
// the clients had the time to read the rest.
func (d *drain) over(now time.Duration) bool {
	if d.server.ClientsCount() > 0 {
		d.open = now
		return false
	}
	return d.server.remembered() == 0 || now-d.open >= d.grace
}

// step closes the sessions whose time has come. It reports false if nothing is left to wait for.
func (d *drain) step(ctx context.Context) bool {
	now := d.server.now()
	if d.over(now) {
		return false
	}
	for n := d.turns(now); n > 0; n-- {
		d.due = append(d.due, dueSession{d.sessions[0], now + d.grace})
		d.sessions = d.sessions[1:]
		d.told++
	}
	d.due = slices.DeleteFunc(d.due, func(s dueSession) bool {
		if !s.isOpen() {
			return true
		}
		if overdue := now >= s.until; overdue || s.finished() {
			d.close(ctx, s.Session, overdue)
		}
		return false
	})
	return true
}

// close closes a session on a goroutine of its own, because its connection may hang.
func (d *drain) close(ctx context.Context, s *Session, overdue bool) {
	select {
	case d.closing <- struct{}{}:
	case <-ctx.Done():
		return
	}
	go func() { // ends with the connection's Write
		defer func() { <-d.closing }()
		if overdue {
			s.endDrained()
		} else {
			s.drainIfFinished()
		}
	}()
}

// turns returns how many more sessions have their turn. The first one has it at the
// start.
func (d *drain) turns(now time.Duration) int {
	passed := now - d.start
	if passed >= d.spread {
		return len(d.sessions)
	}
	total := d.told + len(d.sessions)
	turns := 1 + int(float64(total)*float64(passed)/float64(d.spread))
	return min(turns-d.told, len(d.sessions))
}

// endDrained closes the session. To the client it is a lost connection.
func (s *Session) endDrained() { s.end(ForcedClose, nil, endByDrain) }

// drainIfFinished closes the session if its handler has nothing to do. A message that
// comes meanwhile is either handled before, or never received.
func (s *Session) drainIfFinished() {
	if !s.recv.TryLock() {
		return // a message is being received
	}
	defer s.recv.Unlock()
	if s.finished() {
		s.endDrained()
	}
}

// finished reports whether the session's handler is known to have nothing to do. To be
// sure that this stays so, hold recv.
func (s *Session) finished() bool {
	s.mu.Lock()
	receiving := s.readingPost != nil || s.pendingPosts > 0
	s.mu.Unlock()
	if receiving {
		return false
	}
	f, ok := s.handler.(Finisher)
	if !ok {
		return true
	}
	finished := false
	_ = rescue.Call(func() error { // if it fails, the session is open until its time is over
		finished = f.Finished()
		return nil
	})
	return finished
}
