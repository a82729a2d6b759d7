package engine

import (
	"errors"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/rescue"
)

// compactFrom is the length of a queue from which on frames that join it will
// have to wait. They are made to take no more memory than they need.
const compactFrom = 8

// maxSpareQueue is the longest queue whose memory an idle session keeps.
const maxSpareQueue = 4

// A sendQueue holds the frames of a session that are not sent yet. It is guarded by
// the session's mu. It belongs to the session and not to a transport, so an upgrade
// neither loses nor reorders frames.
type sendQueue struct {
	frames      []*frame.Frame // may have holes: see dropIndex
	spare       []*frame.Frame // the emptied slice of the last write
	bytes       int            // memory of all frames that are queued or being written
	sending     int            // the part of bytes that is being written to the WebSocket
	state       queueState
	held        bool        // the read loop is working on messages, and flushes when it has finished
	heldByPosts int32       // POSTs that are being answered, and flush then: see Session.holdPolls
	extra       *queueExtra // what most queues do not need; nil if nothing of it is needed

	first [1]*frame.Frame // memory for the first frames; most queues are not longer
}

// A queueState says who sends the frames of a queue next. At any time at most one
// goroutine writes to the WebSocket.
//
//	state           who sends what is queued          left by
//	queueIdle       nobody; if held, the read loop    enqueueLocked, to queueScheduled, unless
//	                                                  the queue is held or no transport is ready
//	                                                  flushAndUnlock, to queueWriting
//	queueScheduled  a flush worker                    flush, to queueIdle and on to queueWriting
//	queueWriting    the goroutine in writeAndUnlock,  writeAndUnlock: to queueIdle if the queue
//	                until the queue is empty          is empty, to queueBlocked if the peer's
//	                                                  socket is full
//	queueBlocked    the goroutine in drain, as soon   drained, to queueWriting
//	                as the peer reads
//
// If a write fails, the session ends and the state is queueIdle again. A polling
// session uses only queueIdle and queueScheduled: a parked poll is answered without waiting.
//
// held is apart from the state. It only keeps enqueueLocked from scheduling. A flush
// worker that is scheduled before does not look at it.
//
// While a POST is being answered, heldByPosts keeps polls from being answered. The one who
// makes it 0 sends what is queued then.
type queueState uint8

const (
	queueIdle queueState = iota
	queueScheduled
	queueWriting
	queueBlocked
)

// init makes q ready for use. It must not be copied afterwards.
func (q *sendQueue) init() { q.spare = q.first[:0] }

func (q *sendQueue) push(frames ...*frame.Frame) {
	if q.frames == nil {
		q.frames, q.spare = q.spare, nil
	}
	if len(q.frames) >= compactFrom {
		for _, f := range frames {
			f.Compact()
		}
	}
	q.frames = append(q.frames, frames...)
	q.bytes += memory(frames)
}

// memory is what frames take while they wait.
func memory(frames []*frame.Frame) int {
	n := 0
	for _, f := range frames {
		n += f.Memory()
	}
	return n
}

// takeAll empties the queue, for the answer to a poll. The frames count in bytes
// until the answer has left.
func (q *sendQueue) takeAll() pollAnswer {
	frames := q.take()
	return pollAnswer{frames: frames, size: memory(frames)}
}

// discard drops what is queued, because the session ends.
func (q *sendQueue) discard() {
	a := q.takeAll()
	q.bytes -= a.size
	if q.extra != nil {
		q.extra.flush.wake()
	}
	clear(a.frames)
}

// ErrDropped is returned by Send for a message that was dropped at once: the send buffer
// is full, and the policy of the message allows it.
var ErrDropped = errors.New("message dropped: the send buffer is full")

var errNotReady = errors.New("client is not ready to receive")

// Send queues the frames of one message, in order and without anything in between. It
// does not wait for the client. If Options.MaxSendBuffer bytes wait already, Send
// disconnects the client and returns [ErrSlowClient]. A message of any size can be sent
// while less is waiting. If the message has a policy ([frame.SetPolicy]), messages that
// wait for the client may be left out for it. On a closed session Send returns [ErrClosed].
func (s *Session) Send(frames ...*frame.Frame) error { return s.send(frames, false) }

// SendVolatile is like [Session.Send], but drops the message if the client is not ready
// to receive. That is so if its connection is congested, if it has no poll open, or if
// its send buffer is full. SendVolatile reports whether the message was queued.
func (s *Session) SendVolatile(frames ...*frame.Frame) bool { return s.send(frames, true) == nil }

// SendMessage sends one message that needs no more than its bytes, which are
// copied. See [Session.Send].
func (s *Session) SendMessage(binary bool, p []byte) error {
	if binary {
		return s.Send(frame.Binary(append(frame.Buffer(len(p)), p...)))
	}
	return s.Send(frame.Text(append(append(frame.Buffer(1+len(p)), byte(payload.Message)), p...)))
}

func (s *Session) send(frames []*frame.Frame, volatile bool) error {
	if s.dialect != 0 {
		frames = s.dialect.translate(frames)
	}
	p := frame.PolicyOf(frames)
	s.mu.Lock()
	switch full := s.queue.bytes >= s.server.opts.MaxSendBuffer; {
	case s.state != stateOpen:
		s.mu.Unlock()
		return ErrClosed
	case volatile && (full || s.queue.state == queueBlocked || !s.transportReadyLocked()):
		s.mu.Unlock()
		return errNotReady
	case full || p != nil:
		if err := s.applyPoliciesLocked(p); err != nil {
			s.mu.Unlock()
			if err == ErrSlowClient { //nolint:errorlint // it is not wrapped
				s.end(TransportError, err, endByError)
			}
			return err
		}
	}
	wake := s.enqueueLocked(frames...)
	if p != nil {
		s.queue.joined(len(s.queue.frames)-len(frames), p)
	}
	s.mu.Unlock()
	if wake {
		s.server.flushers.Add(s.shard, s)
	}
	return nil
}

// transportReadyLocked reports whether frames can be sent now: on the WebSocket, or
// as the answer to a parked poll.
func (s *Session) transportReadyLocked() bool { return s.ws != nil || s.poll != nil }

// Buffered returns how many bytes of memory the frames take that are not sent yet:
// see Options.MaxSendBuffer.
func (s *Session) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.bytes
}

// enqueueLocked queues frames. It reports whether the caller has to add the session
// to the server's flushers, after it has unlocked mu.
func (s *Session) enqueueLocked(frames ...*frame.Frame) (wake bool) {
	s.queue.push(frames...)
	if s.queue.state != queueIdle || s.queue.held || !s.transportReadyLocked() || s.ws == nil && s.queue.heldByPosts > 0 {
		return false
	}
	s.queue.state = queueScheduled
	return true
}

// flush sends what is queued, and does not wait for the peer. Flush workers call it,
// and the goroutines that open, upgrade or end a session.
func (s *Session) flush() {
	s.mu.Lock()
	if s.queue.state == queueScheduled {
		s.queue.state = queueIdle
	}
	s.flushAndUnlock()
}

// flushHeldAndUnlock sends what was queued while the queue was held, unless a flush
// worker is going to.
func (s *Session) flushHeldAndUnlock() {
	if len(s.queue.frames) == 0 || s.queue.state == queueScheduled || s.queue.held {
		s.mu.Unlock()
		return
	}
	s.flushAndUnlock()
}

// flushAndUnlock sends what is queued, unless another goroutine is writing.
func (s *Session) flushAndUnlock() {
	switch {
	case s.ws == nil:
		s.answerQueuedLocked()
		s.mu.Unlock()
	case s.queue.state == queueWriting || s.queue.state == queueBlocked:
		s.mu.Unlock()
	default:
		s.writeAndUnlock(s.ws)
	}
}

// answerQueuedLocked answers the parked poll with what is queued. It is a function of
// its own because of the stack that it takes. The stack of a new flush worker is
// 2 KiB, and writeAndUnlock needs nearly all of it.
//
//go:noinline
func (s *Session) answerQueuedLocked() {
	if s.poll != nil && !s.poll.delayed && s.queue.heldByPosts == 0 && len(s.queue.frames) > 0 {
		s.answerLocked(s.queue.takeAll())
	}
}

// writeAndUnlock writes to the WebSocket until the queue is empty or the peer's
// socket is full. In the second case a goroutine that may wait goes on.
func (s *Session) writeAndUnlock(t *wsTransport) {
	s.queue.state = queueWriting
	for len(s.queue.frames) > 0 {
		batch := s.queue.take()
		s.queue.frames, s.queue.spare = s.queue.spare, nil
		s.queue.sending = s.queue.bytes
		if s.unsentAnswers != nil { // polls from before the upgrade that nobody has read
			s.queue.sending = memory(batch)
		}
		s.countSentLocked(batch)
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
			s.queue.state = queueBlocked
			s.mu.Unlock()
			go s.drain(t) // ends when the peer reads or the connection is closed
			return
		}
		if err != nil {
			s.writeFailedAndUnlock(t, err)
			return
		}
		s.writtenLocked()
	}
	s.queue.state = queueIdle
	closed := s.state == stateClosed
	s.mu.Unlock()
	if closed {
		t.conn.CloseWithin(closeTimeout)
	}
}

// drain waits until a slow peer has read what it was sent, and goes on writing.
func (s *Session) drain(t *wsTransport) {
	rescue.Do(t.conn.Drain, func(err error) { s.drained(t, err) })
}

func (s *Session) drained(t *wsTransport, err error) {
	s.mu.Lock()
	if err != nil {
		s.writeFailedAndUnlock(t, err)
		return
	}
	s.writtenLocked()
	s.writeAndUnlock(t)
}

func (s *Session) writtenLocked() {
	s.queue.sent(s.queue.sending)
	s.queue.sending = 0
}

// writeFailedAndUnlock ends a session whose WebSocket cannot be written to.
func (s *Session) writeFailedAndUnlock(t *wsTransport, err error) {
	s.queue.state = queueIdle
	s.queue.bytes -= s.queue.sending // these were not sent, so no Flush may count them
	s.queue.sending = 0
	s.queue.discard()
	s.mu.Unlock()
	// In this order: when the connection is closed, the read loop ends the session as
	// well, and knows less about the cause.
	s.end(TransportError, err, endByConnLoss)
	_ = t.conn.Close()
}
