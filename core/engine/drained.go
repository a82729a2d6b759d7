package engine

import "github.com/sioplug/sioplug/internal/rescue"

// drainedCalls are the functions of [Session.OnDrained]. They are guarded by the
// session's mu.
type drainedCalls struct {
	session *Session
	waiting []drainedCall
	due     []drainedCall // to be called
	running bool          // a goroutine calls them
}

type drainedCall struct {
	owner any
	limit int
	f     func(error)
	err   error
}

// OnDrained has f called once, on another goroutine, when [Session.Buffered] is at most
// limit or the session has ended. In the second case the error is [ErrClosed]. The
// functions of a session are called one after the other. If an earlier function of the
// same owner still waits, OnDrained does nothing and returns false.
func (s *Session) OnDrained(owner any, limit int, f func(error)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.queue.needExtra()
	c := x.drained
	if c == nil {
		c = &drainedCalls{session: s}
		x.drained = c
	}
	for _, w := range c.waiting {
		if w.owner == owner {
			return false
		}
	}
	c.waiting = append(c.waiting, drainedCall{owner: owner, limit: limit, f: f})
	if s.state != stateOpen {
		c.end()
	} else {
		c.startDue(s.queue.bytes)
	}
	return true
}

// startDue has the functions called that wait for this number of bytes.
func (c *drainedCalls) startDue(bytes int) {
	waiting := c.waiting[:0]
	for _, w := range c.waiting {
		if bytes <= w.limit {
			c.due = append(c.due, w)
		} else {
			waiting = append(waiting, w)
		}
	}
	clear(c.waiting[len(waiting):])
	c.waiting = waiting
	c.start()
}

// end has all functions called, because the session has ended.
func (c *drainedCalls) end() {
	for _, w := range c.waiting {
		w.err = ErrClosed
		c.due = append(c.due, w)
	}
	c.waiting = nil
	c.start()
}

func (c *drainedCalls) start() {
	if len(c.due) > 0 && !c.running {
		c.running = true
		go c.run() // ends with the functions
	}
}

// run calls the functions that are due.
func (c *drainedCalls) run() {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(c.due) > 0 {
		due := c.due
		c.due = nil
		s.mu.Unlock()
		rescue.Each(len(due), func(i int) error {
			due[i].f(due[i].err)
			return nil
		}, func(_ int, err error) { s.server.logError("a function of OnDrained failed", err) })
		s.mu.Lock()
	}
	c.running = false
	if len(c.waiting) == 0 && s.queue.extra != nil {
		s.queue.extra.drained = nil
		s.queue.freeExtra()
	}
}
