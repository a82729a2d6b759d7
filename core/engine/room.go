package engine

import "context"

// A room is what calls of Flush and WaitForRoom wait for. A session has one while
// there are such calls.
type room struct {
	calls  int
	left   int           // bytes that have left since the first of them
	change chan struct{} // closed at the next change; nil if none is awaited
}

// left notes that so many bytes have left: they do not wait for the client any more.
func (o *outbox) left(n int) {
	o.bytes -= n
	if o.room != nil {
		o.room.left += n
	}
	o.shrunk()
}

// shrunk wakes those who wait for room.
func (o *outbox) shrunk() {
	if r := o.room; r != nil && r.change != nil {
		close(r.change)
		r.change = nil
	}
}

// WaitForRoom waits until at most that many bytes wait to be written, or to be polled
// for. If the session ends before, or ctx, it returns an error. It is for whoever has
// much to send to one client. The caller must not be needed to read the session: see
// [Session.Yield].
func (s *Session) WaitForRoom(ctx context.Context, most int) error {
	return s.awaitRoom(ctx, most, false)
}

// Flush waits until all that was sent before has been written to the connection, or
// has been polled for, whatever is sent meanwhile. Otherwise it is like
// [Session.WaitForRoom].
func (s *Session) Flush(ctx context.Context) error { return s.awaitRoom(ctx, 0, true) }

// awaitRoom is WaitForRoom, or Flush.
func (s *Session) awaitRoom(ctx context.Context, most int, flush bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != stateOpen:
		return ErrClosed
	case s.out.bytes <= most:
		return nil
	}
	r := s.out.room
	if r == nil {
		r = new(room)
		s.out.room = r
	}
	r.calls++
	defer func() {
		if r.calls--; r.calls == 0 {
			s.out.room = nil
		}
	}()
	last := r.left + s.out.bytes // what it will be when all that waits now has left
	for {
		if err := s.awaitChange(ctx, r); err != nil {
			return err
		}
		switch {
		case s.state != stateOpen:
			return ErrClosed
		case flush && r.left >= last, !flush && s.out.bytes <= most:
			return nil
		}
	}
}

// awaitChange gives up mu while it waits.
func (s *Session) awaitChange(ctx context.Context, r *room) error {
	if r.change == nil {
		r.change = make(chan struct{})
	}
	change := r.change
	s.mu.Unlock()
	defer s.mu.Lock()
	select {
	case <-change:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TryFlush writes what the connection takes at once, and reports whether nothing is
// left to be written, or to be polled for. It is for handlers, whose answers would
// otherwise be written when they return.
func (s *Session) TryFlush() (flushed bool) {
	s.mu.Lock()
	s.flushNow()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.bytes == 0 && s.state == stateOpen
}
