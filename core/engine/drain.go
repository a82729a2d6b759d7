package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// drainTick is how often Drain looks at the sessions.
const drainTick = 20 * time.Millisecond

// Drain refuses new sessions and closes the others, in random order and evenly over
// spread. A session is closed when its handler has finished, if that is a [Finisher], or
// when grace has passed. Then its client has as long to read the rest. Drain returns when
// all sessions are gone or have had that time, or when ctx ends. [Server.Shutdown] has to
// follow.
func (e *Server) Drain(ctx context.Context, spread, grace time.Duration) {
	d := &drain{server: e, spread: spread, grace: grace, start: e.now(), waiting: e.refuseSessions()}
	d.total = len(d.waiting)
	rand.Shuffle(d.total, func(i, j int) { d.waiting[i], d.waiting[j] = d.waiting[j], d.waiting[i] })
	closing := make(chan *Session)
	defer close(closing)
	for range min(parallelCloses, d.total) {
		go closeEach(closing) // ends with Drain, unless the Close of a handler hangs
	}
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for d.step(ctx, closing) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// closeEach closes sessions as [Session.Close] does. More than one goroutine does so,
// because the connection of a session may hang.
func closeEach(sessions <-chan *Session) {
	for s := range sessions {
		s.Close(nil)
	}
}

// A drain is one call of [Server.Drain].
type drain struct {
	server        *Server
	spread, grace time.Duration
	start         time.Duration // since the server's epoch
	total         int           // number of sessions at the start

	waiting []*Session       // whose turn has not come
	due     []drainedSession // whose turn has come, and whose handlers may run
	closed  []drainedSession // whose clients may not know it yet
}

// A drainedSession has until a time, since the server's epoch.
type drainedSession struct {
	*Session

	until time.Duration
}

// step closes the sessions whose time has come. It reports whether there is more to do.
func (d *drain) step(ctx context.Context, closing chan<- *Session) bool {
	now := d.server.now()
	if d.server.ClientsCount() == 0 {
		d.waiting = nil // they have ended by themselves
	}
	for turns := d.turns(now); d.total-len(d.waiting) < turns && len(d.waiting) > 0; d.waiting = d.waiting[1:] {
		d.due = append(d.due, drainedSession{d.waiting[0], now + d.grace})
	}
	later := d.due[:0]
	for _, s := range d.due {
		if now < s.until && s.isOpen() && !s.finished() {
			later = append(later, s)
			continue
		}
		select {
		case closing <- s.Session:
		case <-ctx.Done():
			return false
		}
		d.closed = append(d.closed, drainedSession{s.Session, now + d.grace})
	}
	d.due = later
	open := d.closed[:0]
	for _, s := range d.closed {
		if now < s.until && d.server.lookup(s.id) == s.Session {
			open = append(open, s)
		}
	}
	d.closed = open
	return len(d.waiting)+len(d.due)+len(d.closed) > 0
}

// turns returns how many sessions have had their turn. The first one is at the start.
func (d *drain) turns(now time.Duration) int {
	passed := now - d.start
	if passed >= d.spread {
		return d.total
	}
	return 1 + int(float64(d.total)*float64(passed)/float64(d.spread))
}

// finished reports whether the session's handler is known to have nothing to do.
func (s *Session) finished() bool {
	f, ok := s.handler.(Finisher)
	return !ok || f.Finished()
}
