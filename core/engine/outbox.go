package engine

import (
	"context"

	"github.com/sioplug/sioplug/core/internal/frame"
	"github.com/sioplug/sioplug/core/internal/payload"
)

// frameOverhead is what a queued frame counts for beyond its bytes, so that
// many small ones cannot escape the limit.
const frameOverhead = 32

// keepQueue is the longest queue whose memory an idle session keeps.
const keepQueue = 4

// An outbox is the queue of a session's unsent frames. It is guarded by the
// session's mu.
type outbox struct {
	frames  []*frame.Frame
	spare   []*frame.Frame // the emptied slice of the last write
	bytes   int            // queued and being written
	sending int            // of these, being written
	dirty   bool           // a flush worker has been told
	writing bool           // somebody is writing, and will write what is added
	blocked bool           // the peer's socket is full
	corked  bool           // the read loop works on messages, and will write what is added
	room    chan struct{}  // closed when there is less; nil if nobody waits for that

	one [1]*frame.Frame // memory of the first queue, which seldom has to be longer
}

// init makes o ready for use. It must not be copied afterwards.
func (o *outbox) init() { o.spare = o.one[:0] }

func (o *outbox) push(frames ...*frame.Frame) {
	if o.frames == nil {
		o.frames, o.spare = o.spare, nil
	}
	o.frames = append(o.frames, frames...)
	o.bytes += size(frames)
}

func size(frames []*frame.Frame) int {
	n := 0
	for _, f := range frames {
		n += f.Len() + frameOverhead
	}
	return n
}

// take empties the queue.
func (o *outbox) take() []*frame.Frame {
	frames := o.frames
	o.frames = nil
	o.bytes = o.sending
	o.shrunk()
	return frames
}

// shrunk wakes those who wait for room.
func (o *outbox) shrunk() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

func (o *outbox) drop() {
	clear(o.take())
}

// Send queues the frames of one message, in order and without anything in
// between. It does not wait for the client: one that does not read fast enough
// is disconnected when Options.MaxSendBuffer bytes wait for it, and Send
// returns [ErrSlowClient]. On a closed session it returns [ErrClosed].
func (s *Session) Send(frames ...*frame.Frame) error {
	if s.dialect != 0 {
		frames = s.dialect.translate(frames)
	}
	s.mu.Lock()
	if s.state != stateOpen {
		s.mu.Unlock()
		return ErrClosed
	}
	if s.out.bytes+size(frames) > s.server.opts.MaxSendBuffer {
		s.mu.Unlock()
		s.end(TransportError, ErrSlowClient, farewell{discard: true})
		return ErrSlowClient
	}
	wake := s.enqueue(frames...)
	s.mu.Unlock()
	if wake {
		s.server.writers.Add(s.shard, s)
	}
	return nil
}

// Buffered returns how many bytes wait to be written, or to be polled for.
func (s *Session) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.bytes
}

// WaitForRoom waits until at most that many bytes wait to be written, or to be polled
// for. If the session ends before, or ctx, it returns an error. It is for whoever has
// much to send to one client. The caller must not be needed to read the session: see
// [Session.Yield].
func (s *Session) WaitForRoom(ctx context.Context, most int) error {
	for {
		s.mu.Lock()
		if s.state != stateOpen {
			s.mu.Unlock()
			return ErrClosed
		}
		if s.out.bytes <= most {
			s.mu.Unlock()
			return nil
		}
		if s.out.room == nil {
			s.out.room = make(chan struct{})
		}
		room := s.out.room
		s.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// SendVolatile is like [Session.Send], but drops the message if the client is
// not ready to receive: its connection is congested, or it has no poll open.
// It reports whether the message was queued.
func (s *Session) SendVolatile(frames ...*frame.Frame) bool {
	s.mu.Lock()
	ready := s.state == stateOpen && !s.out.blocked && (s.link != nil || s.poll != nil)
	s.mu.Unlock()
	return ready && s.Send(frames...) == nil
}

// enqueue queues frames and reports whether a flush worker has to be told; mu
// is held.
func (s *Session) enqueue(frames ...*frame.Frame) bool {
	s.out.push(frames...)
	if s.out.dirty || s.out.writing || s.out.corked || (s.link == nil && s.poll == nil) {
		return false
	}
	s.out.dirty = true
	return true
}

// flush sends what is queued, in the goroutine of whoever has reason to: a
// flush worker, or the one that opened or ended a session. It does not wait
// for the peer.
func (s *Session) flush() {
	s.mu.Lock()
	s.out.dirty = false
	s.flushNow()
}

// flushNow is flush with mu held, which it gives up.
func (s *Session) flushNow() {
	switch {
	case s.link == nil:
		if s.poll != nil && len(s.out.frames) > 0 {
			s.poll.answer(s.out.take())
			s.poll = nil
		}
		s.mu.Unlock()
	case s.out.writing:
		s.mu.Unlock()
	default:
		s.out.writing = true
		s.write(s.link)
	}
}

// write writes until the queue is empty or the socket full. It is called with
// mu held and out.writing set by the caller, and gives up both; when the socket
// is full, writing passes on to a goroutine that waits.
func (s *Session) write(l *link) {
	for len(s.out.frames) > 0 {
		batch := s.out.frames
		s.out.frames, s.out.spare = s.out.spare, nil
		s.out.sending = s.out.bytes
		s.mu.Unlock()

		blocked, err := l.conn.Write(batch)
		if !blocked && err == nil {
			for _, f := range batch {
				f.Release()
			}
		}
		clear(batch)

		s.mu.Lock()
		if cap(batch) <= keepQueue {
			s.out.spare = batch[:0]
		}
		if blocked && err == nil {
			s.out.blocked = true
			s.mu.Unlock()
			go s.drain(l) // ends when the peer reads or the connection is closed
			return
		}
		s.written()
		if err != nil {
			s.failWrite(l, err)
			return
		}
	}
	s.out.writing = false
	closed := s.state == stateClosed
	s.mu.Unlock()
	if closed {
		l.conn.CloseWithin(closeTimeout)
	}
}

// drain waits until a slow peer has taken what it was sent, and goes on.
func (s *Session) drain(l *link) {
	err := l.conn.Drain()
	s.mu.Lock()
	s.out.blocked = false
	s.written()
	if err != nil {
		s.failWrite(l, err)
		return
	}
	s.write(l)
}

func (s *Session) written() {
	s.out.bytes -= s.out.sending
	s.out.sending = 0
	s.out.shrunk()
}

// failWrite ends a session whose connection cannot be written to; mu is held.
func (s *Session) failWrite(l *link, err error) {
	s.out.writing = false
	s.out.drop()
	s.mu.Unlock()
	// In this order: the read loop ends the session, too, when it sees that the
	// connection is closed, and knows less about why.
	s.end(TransportError, err, farewell{discard: true, silent: true})
	_ = l.conn.Close()
}

// SendMessage sends one message that needs no more than its bytes, which are
// copied. See [Session.Send].
func (s *Session) SendMessage(binary bool, p []byte) error {
	if binary {
		return s.Send(frame.Binary(append(frame.Buffer(len(p)), p...)))
	}
	return s.Send(frame.Text(append(append(frame.Buffer(1+len(p)), byte(payload.Message)), p...)))
}
