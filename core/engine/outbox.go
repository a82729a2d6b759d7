package engine

import (
	"errors"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/rescue"
)

// compactFrom is the length of a queue from which on frames that join it will
// have to wait, and are made to take no more memory than they need.
const compactFrom = 8

// keepQueue is the longest queue whose memory an idle session keeps.
const keepQueue = 4

// An outbox is the queue of a session's unsent frames. It is guarded by the
// session's mu.
type outbox struct {
	frames  []*frame.Frame
	spare   []*frame.Frame // the emptied slice of the last write
	bytes   int            // of memory that is taken by what is queued and by what is being written
	sending int            // of these, being written to the link
	dirty   bool           // a flush worker has been told
	writing bool           // somebody is writing, and will write what is added
	blocked bool           // the peer's socket is full
	corked  bool           // the read loop works on messages, and will write what is added
	room    *room          // what is waited for; nil if nobody waits

	one [1]*frame.Frame // memory of the first queue, which seldom has to be longer
}

// init makes o ready for use. It must not be copied afterwards.
func (o *outbox) init() { o.spare = o.one[:0] }

func (o *outbox) push(frames ...*frame.Frame) {
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

// take empties the queue, to be sent as the answer to a poll. What it held counts
// until that has left.
func (o *outbox) take() batch {
	b := batch{frames: o.frames, size: memory(o.frames)}
	o.frames = nil
	return b
}

func (o *outbox) drop() {
	b := o.take()
	o.bytes -= b.size
	o.shrunk()
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
	switch full := s.out.bytes >= s.server.opts.MaxSendBuffer; {
	case s.state != stateOpen:
		s.mu.Unlock()
		return ErrClosed
	case volatile && (full || s.out.blocked || (s.link == nil && s.poll == nil)):
		s.mu.Unlock()
		return errNotReady
	case full:
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

// Buffered returns how many bytes of memory are taken by what waits to be
// written, or to be polled for: see Options.MaxSendBuffer.
func (s *Session) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.bytes
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
		s.answerQueued()
		s.mu.Unlock()
	case s.out.writing:
		s.mu.Unlock()
	default:
		s.out.writing = true
		s.write(s.link)
	}
}

// answerQueued answers the parked poll with what is queued; mu is held. It is apart
// because of the stack that it takes: that of a flush worker, which is new whenever
// the server has had nothing to do, is 2 KiB, and write needs nearly all of it.
//
//go:noinline
func (s *Session) answerQueued() {
	if s.poll != nil && !s.poll.held && len(s.out.frames) > 0 {
		s.answer(s.out.take())
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
		if s.answers != nil { // of polls before the upgrade, which nobody has read
			s.out.sending = memory(batch)
		}
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
		if err != nil {
			s.failWrite(l, err)
			return
		}
		s.written()
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
	rescue.Do(l.conn.Drain, func(err error) { s.drained(l, err) })
}

func (s *Session) drained(l *link, err error) {
	s.mu.Lock()
	s.out.blocked = false
	if err != nil {
		s.failWrite(l, err)
		return
	}
	s.written()
	s.write(l)
}

func (s *Session) written() {
	s.out.left(s.out.sending)
	s.out.sending = 0
}

// failWrite ends a session whose connection cannot be written to; mu is held.
func (s *Session) failWrite(l *link, err error) {
	s.out.writing = false
	s.out.bytes -= s.out.sending // they have not left
	s.out.sending = 0
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
