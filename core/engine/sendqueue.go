package engine

import (
	"context"
	"errors"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/rescue"
)

// compactFrom is the length of a queue from which on frames that join it will
// have to wait, and are made to take no more memory than they need.
const compactFrom = 8

// maxSpareQueue is the longest queue whose memory an idle session keeps.
const maxSpareQueue = 4

// An sendQueue is the queue of a session's unsent frames. It is guarded by the
// session's mu.
type sendQueue struct {
	frames    []*frame.Frame
	spare     []*frame.Frame // the emptied slice of the last write
	bytes     int            // of memory that is taken by what is queued and by what is being written
	sending   int            // of these, being written to the link
	scheduled bool           // a flush worker has been told
	writing   bool           // somebody is writing, and will write what is added
	blocked   bool           // the peer's socket is full
	held      bool           // the read loop works on messages, and will write what is added
	freed     chan struct{}  // closed when there is less; nil if nobody waits for that

	first [1]*frame.Frame // memory of the first queue, which seldom has to be longer
}

// init makes o ready for use. It must not be copied afterwards.
func (o *sendQueue) init() { o.spare = o.first[:0] }

func (o *sendQueue) push(frames ...*frame.Frame) {
	if o.frames == nil {
		o.frames, o.spare = o.spare, nil
	}
	if len(o.frames) >= compactFrom {
		for _, f := range frames {
			f.Compact()
		}
	}
	o.frames = append(o.frames, frames...)
	o.bytes += memory(frames)
}

// memory is what frames take while they wait.
func memory(frames []*frame.Frame) int {
	n := 0
	for _, f := range frames {
		n += f.Memory()
	}
	return n
}

// takeAll empties the queue, to be sent as the answer to a poll. What it held counts
// until that has left.
func (o *sendQueue) takeAll() pollAnswer {
	b := pollAnswer{frames: o.frames, size: memory(o.frames)}
	o.frames = nil
	return b
}

// signalFreed wakes those who wait for room.
func (o *sendQueue) signalFreed() {
	if o.freed != nil {
		close(o.freed)
		o.freed = nil
	}
}

func (o *sendQueue) discard() {
	b := o.takeAll()
	o.bytes -= b.size
	o.signalFreed()
	clear(b.frames)
}

var errNotReady = errors.New("client is not ready to receive")

// Send queues the frames of one message, in order and without anything in
// between. It does not wait for the client: one that does not read fast enough
// is disconnected when a message is sent to it while Options.MaxSendBuffer bytes
// wait already, and Send returns [ErrSlowClient]. A message of any size can be
// sent while less is waiting. On a closed session Send returns [ErrClosed].
func (s *Session) Send(frames ...*frame.Frame) error { return s.send(frames, false) }

// SendVolatile is like [Session.Send], but drops the message if the client is
// not ready to receive: its connection is congested, it has no poll open, or its
// send buffer is full. It reports whether the message was queued.
func (s *Session) SendVolatile(frames ...*frame.Frame) bool { return s.send(frames, true) == nil }

func (s *Session) send(frames []*frame.Frame, volatile bool) error {
	if s.dialect != 0 {
		frames = s.dialect.translate(frames)
	}
	s.mu.Lock()
	switch full := s.queue.bytes >= s.server.opts.MaxSendBuffer; {
	case s.state != stateOpen:
		s.mu.Unlock()
		return ErrClosed
	case volatile && (full || s.queue.blocked || (s.ws == nil && s.poll == nil)):
		s.mu.Unlock()
		return errNotReady
	case full:
		s.mu.Unlock()
		s.end(TransportError, ErrSlowClient, endByError)
		return ErrSlowClient
	}
	wake := s.enqueueLocked(frames...)
	s.mu.Unlock()
	if wake {
		s.server.flushers.Add(s.shard, s)
	}
	return nil
}

// Buffered returns how many bytes of memory are taken by what waits to be
// written, or to be polled for: see Options.MaxSendBuffer.
func (s *Session) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.bytes
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
		if s.queue.bytes <= most {
			s.mu.Unlock()
			return nil
		}
		if s.queue.freed == nil {
			s.queue.freed = make(chan struct{})
		}
		room := s.queue.freed
		s.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// enqueueLocked queues frames and reports whether a flush worker has to be told; mu
// is held.
func (s *Session) enqueueLocked(frames ...*frame.Frame) bool {
	s.queue.push(frames...)
	if s.queue.scheduled || s.queue.writing || s.queue.held || (s.ws == nil && s.poll == nil) {
		return false
	}
	s.queue.scheduled = true
	return true
}

// flush sends what is queued, in the goroutine of whoever has reason to: a
// flush worker, or the one that opened or ended a session. It does not wait
// for the peer.
func (s *Session) flush() {
	s.mu.Lock()
	s.queue.scheduled = false
	s.flushAndUnlock()
}

// flushAndUnlock is flush with mu held, which it gives up.
func (s *Session) flushAndUnlock() {
	switch {
	case s.ws == nil:
		s.answerQueuedLocked()
		s.mu.Unlock()
	case s.queue.writing:
		s.mu.Unlock()
	default:
		s.queue.writing = true
		s.writeAndUnlock(s.ws)
	}
}

// answerQueuedLocked answers the parked poll with what is queued; mu is held. It is apart
// because of the stack that it takes: that of a flush worker, which is new whenever
// the server has had nothing to do, is 2 KiB, and write needs nearly all of it.
//
//go:noinline
func (s *Session) answerQueuedLocked() {
	if s.poll != nil && !s.poll.delayed && len(s.queue.frames) > 0 {
		s.answerLocked(s.queue.takeAll())
	}
}

// writeAndUnlock writes until the queue is empty or the socket full. It is called with
// mu held and out.writing set by the caller, and gives up both; when the socket
// is full, writing passes on to a goroutine that waits.
func (s *Session) writeAndUnlock(t *wsTransport) {
	for len(s.queue.frames) > 0 {
		batch := s.queue.frames
		s.queue.frames, s.queue.spare = s.queue.spare, nil
		s.queue.sending = s.queue.bytes
		if s.unsentAnswers != nil { // of polls before the upgrade, which nobody has read
			s.queue.sending = memory(batch)
		}
		s.mu.Unlock()

		blocked, err := t.conn.Write(batch)
		if !blocked && err == nil {
			for _, f := range batch {
				f.Release()
			}
		}
		clear(batch)

		s.mu.Lock()
		if cap(batch) <= maxSpareQueue {
			s.queue.spare = batch[:0]
		}
		if blocked && err == nil {
			s.queue.blocked = true
			s.mu.Unlock()
			go s.drain(t) // ends when the peer reads or the connection is closed
			return
		}
		s.writtenLocked()
		if err != nil {
			s.writeFailedAndUnlock(t, err)
			return
		}
	}
	s.queue.writing = false
	closed := s.state == stateClosed
	s.mu.Unlock()
	if closed {
		t.conn.CloseWithin(closeTimeout)
	}
}

// drain waits until a slow peer has taken what it was sent, and goes on.
func (s *Session) drain(t *wsTransport) {
	rescue.Do(t.conn.Drain, func(err error) { s.drained(t, err) })
}

func (s *Session) drained(t *wsTransport, err error) {
	s.mu.Lock()
	s.queue.blocked = false
	s.writtenLocked()
	if err != nil {
		s.writeFailedAndUnlock(t, err)
		return
	}
	s.writeAndUnlock(t)
}

func (s *Session) writtenLocked() {
	s.queue.bytes -= s.queue.sending
	s.queue.sending = 0
	s.queue.signalFreed()
}

// writeFailedAndUnlock ends a session whose connection cannot be written to; mu is held.
func (s *Session) writeFailedAndUnlock(t *wsTransport, err error) {
	s.queue.writing = false
	s.queue.discard()
	s.mu.Unlock()
	// In this order: the read loop ends the session, too, when it sees that the
	// connection is closed, and knows less about why.
	s.end(TransportError, err, endByConnLoss)
	_ = t.conn.Close()
}

// SendMessage sends one message that needs no more than its bytes, which are
// copied. See [Session.Send].
func (s *Session) SendMessage(binary bool, p []byte) error {
	if binary {
		return s.Send(frame.Binary(append(frame.Buffer(len(p)), p...)))
	}
	return s.Send(frame.Text(append(append(frame.Buffer(1+len(p)), byte(payload.Message)), p...)))
}
