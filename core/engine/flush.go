package engine

import "context"

// flushWaiters are the calls of Flush and WaitForRoom that wait for a session. A
// session has them while there are such calls. They are guarded by its mu.
type flushWaiters struct {
	calls  int
	sent   int           // bytes that were sent since the first of the calls began
	change chan struct{} // closed at the next change; nil if no call waits for it
}

// sent subtracts bytes that do not wait for the client any more.
func (q *sendQueue) sent(n int) {
	q.bytes -= n
	if q.waiters != nil {
		q.waiters.sent += n
	}
	q.signalWaiters()
}

// signalWaiters wakes the calls of Flush and WaitForRoom.
func (q *sendQueue) signalWaiters() {
	if w := q.waiters; w != nil && w.change != nil {
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
	return s.waitFlush(ctx, limit, false)
}

// Flush waits until all that was sent before has been written to the connection, or
// is in the answer to a poll. It does not wait for what is sent meanwhile. Otherwise
// it is like [Session.WaitForRoom].
func (s *Session) Flush(ctx context.Context) error { return s.waitFlush(ctx, 0, true) }

// waitFlush is Flush, or WaitForRoom with its limit.
func (s *Session) waitFlush(ctx context.Context, limit int, flush bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != stateOpen:
		return ErrClosed
	case s.queue.bytes <= limit:
		return nil
	}
	w := s.queue.waiters
	if w == nil {
		w = new(flushWaiters)
		s.queue.waiters = w
	}
	w.calls++
	defer func() {
		if w.calls--; w.calls == 0 {
			s.queue.waiters = nil
		}
	}()
	all := w.sent + s.queue.bytes // w.sent, when everything that waits now was sent
	for {
		if err := s.waitChangeUnlocked(ctx, w); err != nil {
			return err
		}
		switch {
		case s.state != stateOpen:
			return ErrClosed
		case flush && w.sent >= all, !flush && s.queue.bytes <= limit:
			return nil
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
