package sio

import (
	"cmp"
	"context"
	"runtime"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/rescue"
)

// How much is done at once for a client that missed something.
const (
	// replayPieceBytes is how much is read from the log, and encoded, before others have their
	// turn. Nothing can be appended to the log while it is read.
	replayPieceBytes = 8 << 10

	// initialReplayBytes is how much may wait for a client at first. It doubles each time that
	// the client has taken that: a client that does not read costs little.
	initialReplayBytes = 16 << 10

	// maxReplayBytes is how much that may become, and half of the client's send buffer.
	maxReplayBytes = 64 << 10
)

// A replay goes through the messages of the log since the client left. It knows the
// rooms that the client would have been in, and so the events that it would have got.
type replay struct {
	ns            *Namespace
	session       *adapter.Session
	offset        string // of the last message that was looked at
	rooms         membership
	maxSendBuffer int // MaxSendBuffer
	sendWindow    int // that may wait for the client
	waitUntil     int // until so many bytes wait, or fewer, to go on; -1 for not at all
}

// A logEntry is a message with its offset.
type logEntry struct {
	m      *adapter.Message
	offset string
}

func newReplay(n *Namespace, session *adapter.Session) *replay {
	r := &replay{ns: n, session: session, offset: session.From, rooms: newMembership(n.log, session), sendWindow: initialReplayBytes}
	r.maxSendBuffer = n.server.engine.Options().MaxSendBuffer
	if n.log.Compare(session.Left, r.offset) < 0 {
		r.offset = session.Left // to see the changes since then
	}
	return r
}

// beginWork waits until the replay may work. Few replays of a namespace work at the same
// time, because live events come first. The returned function ends the work.
func (r *replay) beginWork(ctx context.Context) (end func(), err error) {
	slots := r.ns.logState.workSlots
	select {
	case slots <- struct{}{}:
		began := time.Now()
		return func() {
			r.ns.logState.rest(ctx, time.Since(began))
			<-slots
		}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read reads a piece of the log. It does not advance. Call it between beginWork and its
// end.
func (r *replay) read(ctx context.Context) (piece []logEntry, more bool, err error) {
	more, err = r.ns.log.Replay(ctx, r.offset, replayPieceBytes, func(m *adapter.Message, offset string) {
		piece = append(piece, logEntry{m, offset})
	}, nil)
	return piece, more, err
}

// advance goes on to a message. It returns the frames that the client would have got,
// nil for none.
func (r *replay) advance(e logEntry) []*frame.Frame {
	r.offset = e.offset
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
	fs, err := r.ns.logState.frames.get(e.offset, func() ([]*frame.Frame, error) { return r.ns.eventFrames(e.m, e.offset) })
	if err != nil {
		return nil // it was not sent to connected clients either
	}
	return fs
}

// check reports whether the session may be continued, before the client or the
// application is told. The error says why it may not.
func (r *replay) check(ctx context.Context) error {
	changed := *r.ns.logState.lastChange.Load()
	if r.changesLost() {
		return errDisconnectedAway
	}
	if r.ns.log.Compare(changed, r.session.Left) <= 0 {
		return nil // nothing was done since
	}
	for more := true; more; {
		var err error
		if more, err = r.checkPiece(ctx); err != nil {
			return err
		}
		runtime.Gosched() // others have waited
	}
	return nil
}

func (r *replay) checkPiece(ctx context.Context) (more bool, err error) {
	end, err := r.beginWork(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	piece, more, err := r.read(ctx)
	if err != nil {
		return false, err
	}
	for _, e := range piece {
		if e.m.Kind != adapter.Broadcast {
			r.advance(e)
		}
		r.offset = e.offset
	}
	if r.rooms.disconnected {
		return false, errDisconnectedAway
	}
	return more, nil
}

// changesLost reports whether the server may have changed the client's rooms, or ended
// its socket, without the log.
func (r *replay) changesLost() bool {
	lost := r.ns.logState.lostUntil.Load()
	return lost != nil && r.ns.log.Compare(r.session.Left, *lost) <= 0
}

// resume connects a socket that continues a session. The client gets what it missed
// before the answer to CONNECT, as official clients expect, and nothing else in between
// (SIO-CSR-7). The error says why the session cannot be continued.
func (s *Socket) resume(c *Ctx, answer []*frame.Frame) error {
	err := rescue.Apart(func() error { return s.replay(c, answer) })
	switch {
	case err == nil:
		return nil
	case s.accepted: // the client has the answer already
		s.ns.logFailure("the log failed after a client had come back", err)
		return nil
	case err == engine.ErrClosed || err == engine.ErrSlowClient: //nolint:errorlint // it may be the application's
		return nil // its connection is lost, and the session is not: the socket is told in a moment
	default:
		return err
	}
}

// replay sends the client what it missed, as fast as the client reads.
func (s *Socket) replay(c *Ctx, answer []*frame.Frame) error {
	r := newReplay(s.ns, s.recovery.session)
	s.ns.logState.frames.replayBegins()
	defer s.ns.logState.frames.replayEnds()
	defer func() {
		if r.rooms.closed {
			s.client.discardGroup(s.client.currentGroup())
		}
	}()
	for more := true; more; {
		var err error
		if more, err = s.resumePiece(r, answer); err != nil {
			return err
		}
		if r.waitUntil < 0 {
			runtime.Gosched() // others have waited
			continue
		}
		c.task.yield()
		if err := s.client.session.WaitForRoom(s.Context(), r.waitUntil); err != nil {
			return err
		}
		r.sendWindow = min(2*r.sendWindow, maxReplayBytes)
	}
	return nil
}

// resumePiece sends a piece of what the client missed, as far as it may be sent now.
// After the last piece, it makes the client a receiver. It reports whether there is
// more.
func (s *Socket) resumePiece(r *replay, answer []*frame.Frame) (more bool, err error) {
	end, err := r.beginWork(s.Context())
	if err != nil {
		return false, err
	}
	defer end()
	r.waitUntil = -1
	piece, more, err := r.read(s.Context())
	if err != nil {
		return false, err
	}
	for _, e := range piece {
		err := s.sendMissed(r, e)
		if err != nil || r.waitUntil >= 0 {
			return true, err
		}
	}
	if more {
		return true, nil
	}
	return s.resumeLast(r, answer)
}

// sendMissed goes on to a message, and sends it if it is for the client. If it has to
// wait first, it sets r.waitUntil instead.
func (s *Socket) sendMissed(r *replay, e logEntry) error {
	before := r.offset
	fs := r.advance(e)
	if r.rooms.disconnected {
		return errDisconnectedAway
	}
	if fs == nil {
		return nil
	}
	if most := r.sendLimit(fs); s.client.session.Buffered() > most {
		r.offset, r.waitUntil = before, most
		return nil
	}
	s.recovery.missedSent = true
	return s.client.session.Send(fs...)
}

// resumeLast sends the last messages and makes the client a receiver, while nothing can
// be appended. It reports whether there is more.
func (s *Socket) resumeLast(r *replay, answer []*frame.Frame) (more bool, err error) {
	var failed error
	more, err = r.ns.log.Replay(s.Context(), r.offset, replayPieceBytes, func(m *adapter.Message, offset string) {
		if failed == nil && r.waitUntil < 0 {
			failed = s.sendMissed(r, logEntry{m, offset})
		}
	}, func() {
		if failed == nil && r.changesLost() {
			failed = errDisconnectedAway
		}
		if failed == nil && r.waitUntil < 0 {
			s.becomeMember(answer, r.rooms.history())
		}
	})
	return more || r.waitUntil >= 0, cmp.Or(err, failed)
}

// sendLimit returns how many bytes may already wait for the client when these frames are
// queued. The factor of two is for dialects that make a message larger.
func (r *replay) sendLimit(fs []*frame.Frame) int {
	size := 0
	for _, f := range fs {
		size += f.Len()
	}
	return max(0, min(r.sendWindow, r.maxSendBuffer/2, r.maxSendBuffer-2*size))
}
