package sio

import (
	"context"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/internal/frame"
)

// How much is done at once for a client that missed something.
const (
	// readBytes is how much is read from the log, which cannot be appended to
	// meanwhile.
	readBytes = 64 << 10

	// lastBytes is the same for the last piece, which is queued meanwhile, too.
	lastBytes = 16 << 10

	// queueBytes is how much may wait for the client, or half of its send buffer if
	// that is less. More follows when it has taken that.
	queueBytes = 64 << 10
)

// A replay goes through what happened while a client was away, in the order in which
// it happened: it knows in which rooms the client would have been, and what it would
// have got.
type replay struct {
	ns      *Namespace
	session *adapter.Session
	at      string // of the last message that was looked at
	rooms   membership
	buffer  int // MaxSendBuffer
}

// A logged is a message with its offset.
type logged struct {
	m      *adapter.Message
	offset string
}

func newReplay(n *Namespace, session *adapter.Session) *replay {
	r := &replay{ns: n, session: session, at: session.From, rooms: newMembership(n.log, session)}
	r.buffer = n.server.engine.Options().MaxSendBuffer
	if n.log.Compare(session.Left, r.at) < 0 {
		r.at = session.Left // to see what was done since
	}
	return r
}

// read returns a piece of the log, without going on.
func (r *replay) read(ctx context.Context) (piece []logged, more bool, err error) {
	done, err := r.beginReading(ctx)
	if err != nil {
		return nil, false, err
	}
	defer done()
	more, err = r.ns.log.Replay(ctx, r.at, readBytes, func(m *adapter.Message, offset string) {
		piece = append(piece, logged{m, offset})
	}, nil)
	return piece, more, err
}

// beginReading waits until the log may be read.
func (r *replay) beginReading(ctx context.Context) (done func(), err error) {
	readers := r.ns.journal.readers
	select {
	case readers <- struct{}{}:
		return func() { <-readers }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// next goes on to a message, and returns the frames that the client would have got.
func (r *replay) next(e logged) []*frame.Frame {
	r.at = e.offset
	log := r.ns.log
	if e.m.Kind != adapter.Broadcast {
		if log.Compare(e.offset, r.session.Left) > 0 {
			r.rooms.apply(e.m, e.offset)
		}
		return nil
	}
	if log.Compare(e.offset, r.session.From) <= 0 || !r.rooms.selectedBy(e.m.Target, e.offset) {
		return nil
	}
	fs, err := r.ns.journal.frames.get(e.offset, func() ([]*frame.Frame, error) { return r.ns.eventFrames(e.m, e.offset) })
	if err != nil {
		return nil // as when it was delivered
	}
	return fs
}

// survey looks whether the session may be continued at all, before anybody is told
// that it is.
func (r *replay) survey(ctx context.Context) error {
	changed := *r.ns.journal.changed.Load()
	if r.unkept() {
		return errKicked
	}
	if r.ns.log.Compare(changed, r.session.Left) <= 0 {
		return nil // nothing was done since
	}
	for more := true; more; {
		var piece []logged
		var err error
		if piece, more, err = r.read(ctx); err != nil {
			return err
		}
		for _, e := range piece {
			if e.m.Kind != adapter.Broadcast {
				r.next(e)
			}
			r.at = e.offset
		}
		if r.rooms.kicked {
			return errKicked
		}
	}
	return nil
}

// unkept reports whether something may have been done to the client that the log has
// not kept.
func (r *replay) unkept() bool {
	unkept := r.ns.journal.unkept.Load()
	return unkept != nil && r.ns.log.Compare(r.session.Left, *unkept) <= 0
}

// resume connects a socket that continues a session: what it missed goes out
// before the answer to its CONNECT, which is when official clients expect it,
// and nothing is delivered in between (SIO-CSR-7). It returns why that cannot be.
func (s *Socket) resume(answer []*frame.Frame) error {
	r := newReplay(s.ns, s.recovery.session)
	s.ns.journal.frames.begin()
	defer s.ns.journal.frames.end()
	defer func() {
		if r.rooms.closed {
			s.client.endGroup(s.client.currentGroup())
		}
	}()
	for more := true; more; {
		for more {
			piece, rest, err := r.read(s.Context())
			if err != nil {
				return err
			}
			more = rest
			if err := s.sendMissed(r, piece); err != nil {
				return err
			}
		}
		var err error
		if more, err = s.resumeLast(r, answer); err != nil {
			return err
		}
	}
	return nil
}

// sendMissed sends a piece, as the client takes it.
func (s *Socket) sendMissed(r *replay, piece []logged) error {
	for _, e := range piece {
		fs := r.next(e)
		if r.rooms.kicked {
			return errKicked
		}
		if fs == nil {
			continue
		}
		if err := s.waitForRoom(r.mayWait(fs)); err != nil {
			return err
		}
		s.recovery.sent = true
		if err := s.client.session.Send(fs...); err != nil {
			return err
		}
	}
	return nil
}

// resumeLast sends the last messages and makes the client a receiver. It reports
// whether there were more than that.
func (s *Socket) resumeLast(r *replay, answer []*frame.Frame) (more bool, err error) {
	done, err := r.beginReading(s.Context())
	if err != nil {
		return false, err
	}
	defer done()
	full := false
	more, err = r.ns.log.Replay(s.Context(), r.at, lastBytes, func(m *adapter.Message, offset string) {
		if full || r.rooms.kicked {
			return
		}
		before := r.at
		fs := r.next(logged{m, offset})
		if fs == nil {
			return
		}
		if s.client.session.Buffered() > r.mayWait(fs) {
			r.at, full = before, true // it has to be waited for
			return
		}
		s.recovery.sent = true
		_ = s.client.session.Send(fs...) // the engine tells if it has gone
	}, func() {
		if !full && !r.rooms.kicked && !r.unkept() {
			s.enter(answer, r.rooms.visit())
		}
	})
	switch {
	case err != nil:
		return false, err
	case r.rooms.kicked || r.unkept():
		return false, errKicked
	}
	return more || full, nil
}

// waitForRoom waits until at most that many bytes wait for the client.
func (s *Socket) waitForRoom(most int) error {
	if s.client.session.Buffered() <= most {
		return nil
	}
	s.client.session.Yield()
	return s.client.session.WaitForRoom(s.Context(), most)
}

// mayWait returns how many bytes may wait for the client when a message is queued
// that it missed. Some dialects make more of a message than it has.
func (r *replay) mayWait(fs []*frame.Frame) int {
	size := 0
	for _, f := range fs {
		size += f.Len()
	}
	return max(0, min(queueBytes, r.buffer/2, r.buffer-2*size))
}
