package engine

import "context"

// flushWaiters are the calls of Flush and WaitForRoom that wait for a session. They are
// guarded by its mu.
type flushWaiters struct {
	calls  int
	sent   int           // bytes that were sent since the first of the calls began
	taken  int           // how often the queue was taken since then
	mark   int           // sent, when everything was sent that the queue had when it was taken last
	change chan struct{} // closed at the next change; nil if no call waits for it
}

// sent subtracts bytes that were sent.
func (q *sendQueue) sent(n int) {
	q.bytes -= n
	if x := q.extra; x != nil {
		x.flush.sent += n
		q.changed()
	}
}

// noteTaken tells the calls that their messages cannot be dropped any more.
func (w *flushWaiters) noteTaken(bytes int) {
	if w.calls > 0 {
		w.taken++
		w.mark = w.sent + bytes
		w.wake()
	}
}

// wake wakes the calls of Flush and WaitForRoom.
func (w *flushWaiters) wake() {
	if w.change != nil {
		close(w.change)
		w.change = nil
	}
}

// WaitForRoom waits until [Session.Buffered] is at most limit. Use it to send much
// data to one client. It returns an error if the session or ctx ends before.
//
// The caller must not keep the session from being read. In [Worker.Work], call
// [Session.Yield] before.
func (s *Session) WaitForRoom(ctx context.Context, limit int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waitLocked(ctx, limit, func(*flushWaiters) bool { return s.queue.bytes <= limit })
}

// Flush waits until all that was sent before has been written to the connection, is in
// the answer to a poll, or was dropped by its policy. It does not wait for what is sent
// meanwhile, except for what leaves with it. Otherwise it is like [Session.WaitForRoom].
func (s *Session) Flush(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all, taken int // flushWaiters.sent when everything was sent, once the queue was taken again
	begun, queued := false, false
	return s.waitLocked(ctx, 0, func(w *flushWaiters) bool {
		switch {
		case !begun:
			begun, queued = true, len(s.queue.frames) > 0
			all, taken = w.sent+s.queue.bytes, w.taken
			return false
		case queued && w.taken != taken:
			queued, all = false, w.mark
		case queued && len(s.queue.frames) == 0: // all of it was dropped
			queued, all = false, w.sent+s.queue.bytes
		}
		return !queued && w.sent >= all
	})
}

// waitLocked waits until done returns true, if more than limit bytes wait. It unlocks mu
// while it waits.
func (s *Session) waitLocked(ctx context.Context, limit int, done func(*flushWaiters) bool) error {
	switch {
	case s.state != stateOpen:
		return ErrClosed
	case s.queue.bytes <= limit:
		return nil
	}
	w := &s.queue.needExtra().flush
	w.calls++
	defer func() {
		if w.calls--; w.calls == 0 {
			*w = flushWaiters{}
			s.queue.freeExtra()
		}
	}()
	for {
		switch {
		case s.state != stateOpen:
			return ErrClosed
		case done(w):
			return nil
		}
		if err := s.waitChangeUnlocked(ctx, w); err != nil {
			return err
		}
	}
}

// waitChangeUnlocked unlocks mu while it waits.
func (s *Session) waitChangeUnlocked(ctx context.Context, w *flushWaiters) error {
	if w.change == nil {
		w.change = make(chan struct{})
	}
	change := w.change
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-change:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryFlush writes what the connection takes at once. It reports whether nothing is
// left to send. It is for handlers, whose packets are otherwise written when they
// return.
func (s *Session) TryFlush() (flushed bool) {
	s.mu.Lock()
	s.flushAndUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.bytes == 0 && s.state == stateOpen
}
