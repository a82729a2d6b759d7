package engine

import (
	"slices"

	"github.com/sioplug/sioplug/internal/frame"
)

// Messages with a policy (see [frame.Policy]) may be left out while they wait in the
// queue of a slow client. Most queues are short, and what is to be left out is found by
// looking at each frame. A long queue has an index, from the time when a message with a
// policy joins it until it is taken. What is left out of it leaves a hole, a nil frame,
// so that the others keep their places. When there are as many holes as frames, they
// are closed.

// indexFrom is the length of a queue from which on it has an index.
const indexFrom = 16

// minHoles is the number of holes from which on they are closed.
const minHoles = 32

// A DropCount counts messages that were left out, because newer ones came while they
// waited for a client.
type DropCount struct {
	Dropped  uint64 // by a limit of waiting messages, or because the send buffer was full
	Replaced uint64 // by a message with the same key
}

// A queueExtra is what a queue needs only now and then.
type queueExtra struct {
	flush   flushWaiters
	index   *dropIndex    // nil if the queue is short, or has had no message with a policy
	drained *drainedCalls // nil if there have been none
	drops   DropCount
}

func (q *sendQueue) needExtra() *queueExtra {
	if q.extra == nil {
		q.extra = new(queueExtra)
	}
	return q.extra
}

// freeExtra frees what is not needed any more.
func (q *sendQueue) freeExtra() {
	x := q.extra
	if x.flush.calls == 0 && x.index == nil && x.drained == nil && x.drops == (DropCount{}) {
		q.extra = nil
	}
}

// changed tells those who wait that the number of bytes is smaller.
func (q *sendQueue) changed() {
	if x := q.extra; x != nil {
		x.flush.wake()
		if x.drained != nil {
			x.drained.startDue(q.bytes)
		}
	}
}

// ended tells those who wait that the session has ended.
func (q *sendQueue) ended() {
	if x := q.extra; x != nil {
		x.flush.wake()
		if x.drained != nil {
			x.drained.end()
		}
	}
}

// take empties the queue. The frames still count in bytes.
func (q *sendQueue) take() []*frame.Frame {
	frames := q.frames
	q.frames = nil
	if q.extra == nil {
		return frames
	}
	return q.takeWithExtra(frames)
}

// takeWithExtra is a function of its own because of the stack of flush workers: see
// [Session.answerQueuedLocked].
//
//go:noinline
func (q *sendQueue) takeWithExtra(frames []*frame.Frame) []*frame.Frame {
	x := q.extra
	x.flush.noteTaken(q.bytes)
	if x.index != nil {
		x.index = nil
		frames = slices.DeleteFunc(frames, func(f *frame.Frame) bool { return f == nil })
	}
	q.freeExtra()
	return frames
}

// supersede removes what a message with policy p leaves out of the queue, which the
// message is about to join.
func (q *sendQueue) supersede(p *frame.Policy) (n DropCount) {
	if x := q.indexIfLong(); x != nil {
		n = x.supersede(q, p)
	} else {
		n = q.supersedeInShort(p)
	}
	q.count(n)
	return n
}

// supersedeInShort is supersede for a queue without an index.
func (q *sendQueue) supersedeInShort(p *frame.Policy) (n DropCount) {
	excess := 1 - p.MaxWaiting
	for i := 0; i < len(q.frames); i++ {
		o := q.frames[i].Policy()
		switch {
		case o == nil:
		case sameKey(o, p):
			q.cut(i, o.Frames())
			n.Replaced++
			i--
		case sameEvent(o, p):
			excess++
		}
	}
	if p.MaxWaiting == 0 {
		return n
	}
	for i := 0; excess > 0; i++ {
		if o := q.frames[i].Policy(); o != nil && sameEvent(o, p) {
			q.cut(i, o.Frames())
			n.Dropped++
			excess--
			i--
		}
	}
	return n
}

func sameKey(a, b *frame.Policy) bool {
	return a.Key != "" && a.Key == b.Key && a.Namespace == b.Namespace
}

func sameEvent(a, b *frame.Policy) bool {
	return a.MaxWaiting > 0 && b.MaxWaiting > 0 && a.Event == b.Event && a.Namespace == b.Namespace
}

// dropUntil drops the oldest messages that have a limit, until fewer than limit bytes
// wait. It reports whether that is so now.
func (q *sendQueue) dropUntil(limit int) (n DropCount, ok bool) {
	if x := q.indexIfLong(); x != nil {
		n = x.dropUntil(q, limit)
	} else {
		n = q.dropUntilInShort(limit)
	}
	q.count(n)
	return n, q.bytes < limit
}

// dropUntilInShort is dropUntil for a queue without an index.
func (q *sendQueue) dropUntilInShort(limit int) (n DropCount) {
	for i := 0; i < len(q.frames) && q.bytes >= limit; i++ {
		if o := q.frames[i].Policy(); o != nil && o.MaxWaiting > 0 {
			q.cut(i, o.Frames())
			n.Dropped++
			i--
		}
	}
	return n
}

// count counts what was left out.
func (q *sendQueue) count(n DropCount) {
	if n != (DropCount{}) {
		x := q.needExtra()
		x.drops.Dropped += n.Dropped
		x.drops.Replaced += n.Replaced
		q.changed()
	}
}

// cut removes frames from a queue without an index.
func (q *sendQueue) cut(at, n int) {
	q.release(q.frames[at : at+n])
	q.frames = slices.Delete(q.frames, at, at+n)
}

// release gives up frames that will not be sent.
func (q *sendQueue) release(frames []*frame.Frame) {
	q.bytes -= memory(frames)
	for _, f := range frames {
		f.Release()
	}
}

// indexIfLong returns the index, nil if the queue is short and has none.
func (q *sendQueue) indexIfLong() *dropIndex {
	if x := q.extra; x != nil && x.index != nil {
		return x.index
	}
	if len(q.frames) < indexFrom {
		return nil
	}
	x := q.needExtra()
	x.index = newDropIndex(q.frames)
	return x.index
}

// joined adds the message that has just joined the queue at this place to the index, if
// there is one.
func (q *sendQueue) joined(at int, p *frame.Policy) {
	if x := q.extra; x != nil && x.index != nil {
		x.index.add(at, p)
	}
}

// applyPoliciesLocked makes room for a message if it has a policy, or if the send buffer
// is full. A message with a limit is dropped if there is no room; others then are too
// much.
func (s *Session) applyPoliciesLocked(p *frame.Policy) error {
	limit := s.server.opts.MaxSendBuffer
	if p != nil {
		s.server.drops.add(s.queue.supersede(p))
	}
	if s.queue.bytes < limit {
		return nil
	}
	n, ok := s.queue.dropUntil(limit)
	s.server.drops.add(n)
	switch {
	case ok:
		return nil
	case p != nil && p.MaxWaiting > 0:
		n := DropCount{Dropped: 1}
		s.queue.count(n)
		s.server.drops.add(n)
		return ErrDropped
	default:
		return ErrSlowClient
	}
}

// Drops returns how many messages were left out of the session's queue.
func (s *Session) Drops() DropCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.queue.extra; x != nil {
		return x.drops
	}
	return DropCount{}
}
