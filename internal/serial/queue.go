// Package serial runs the tasks of one owner in order and one at a time, and those
// of several owners in the order in which they came.
package serial

import (
	"errors"
	"sync"

	"github.com/sioplug/sioplug/internal/rescue"
)

// Errors of a [Queue].
var (
	ErrClosed = errors.New("queue is closed") // a task comes after the last one
	ErrFull   = errors.New("queue is full")
)

// A Task is something to run.
type Task interface {
	// Run may call code of the application: a panic or the end of its goroutine
	// harms neither the queue nor the tasks behind this one.
	Run() error

	// Done completes the task. It is called once, when Run has ended in whatever
	// way, with the error that [rescue.Do] gives. The next task waits for it. It
	// must not end the goroutine.
	Done(err error)

	Size() int // bytes, for the limit
}

// Limits bound what may wait in a queue. The task that exceeds a limit still
// gets in; the next one waits.
type Limits struct {
	Tasks int
	Bytes int
}

func (l Limits) full(tasks, bytes int) bool { return tasks >= l.Tasks || bytes >= l.Bytes }

// keep is the largest list whose memory an idle queue holds on to.
const maxIdleTasks = 4

// A Source is where the tasks of a queue come from, as far as it can be slowed
// down: see [Queue.PushWait]. Its methods are called without a lock held.
type Source interface {
	// ReadAhead reports whether a task of that size is to be let in beyond the
	// limits, because the source waits for something that may come behind it.
	// Handled gives the bytes back; it must not block.
	ReadAhead(bytes int) bool
	Handled(bytes int)

	// Hold is called before the source has to wait, Release afterwards.
	Hold()
	Release()
}

// A Queue holds tasks for whoever runs them. It has no goroutine: one that adds
// a task to an idle queue is told so, and runs the tasks itself or has it done.
// An idle Queue costs nothing but its few words. The zero Queue is ready for
// use. It is safe for concurrent use.
type Queue[T Task] struct {
	mu      sync.Mutex
	tasks   []T // from head on
	head    int
	bytes   int
	running bool
	closed  bool
	busy    bool          // guarded by its Line: one of its tasks runs
	late    int           // likewise: so many tasks had their turn meanwhile
	ahead   int           // bytes beyond the limits, which source wants to have back
	source  Source        // set with ahead
	changed chan struct{} // closed when a waiting Push should look again; nil if none waits
}

// Push adds a task, whatever waits already. It reports whether nobody runs the
// tasks; then the caller has to see to it that [Queue.Run] is called, unless the
// queue's tasks are run by a [Line].
func (q *Queue[T]) Push(t T) (idle bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pushLocked(t)
}

// Offer is like [Queue.Push], but adds nothing, and returns [ErrFull], while the
// queue is full.
func (q *Queue[T]) Offer(t T, l Limits) (idle bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return false, ErrClosed
	case q.fullLocked(l):
		return false, ErrFull
	default:
		return q.addLocked(t), nil
	}
}

// PushWait is like [Queue.Push], but waits while the queue is full and from does
// not want to be ahead of it. It asks that again after each task that has been
// taken out, and after [Queue.Wake].
func (q *Queue[T]) PushWait(t T, l Limits, from Source) (idle bool, err error) {
	q.mu.Lock()
	if !q.fullLocked(l) || q.closed { // almost always
		defer q.mu.Unlock()
		return q.pushLocked(t)
	}
	var held, admitted bool
	for !admitted && q.fullLocked(l) && !q.closed {
		if q.changed == nil {
			q.changed = make(chan struct{})
		}
		space := q.changed
		q.mu.Unlock()
		if admitted = from.ReadAhead(t.Size()); !admitted {
			if !held {
				held = true
				from.Hold()
			}
			<-space
		}
		q.mu.Lock()
	}
	idle, err = q.pushLocked(t)
	if err == nil && admitted {
		q.ahead, q.source = q.ahead+t.Size(), from
	}
	q.mu.Unlock()
	if err != nil && admitted {
		from.Handled(t.Size())
	}
	if held {
		from.Release()
	}
	return idle, err
}

// push is Push with mu held.
func (q *Queue[T]) pushLocked(t T) (idle bool, err error) {
	if q.closed {
		return false, ErrClosed
	}
	return q.addLocked(t), nil
}

func (q *Queue[T]) fullLocked(l Limits) bool { return l.full(len(q.tasks)-q.head, q.bytes) }

// Wake has a [Queue.PushWait] that waits ask its source again.
func (q *Queue[T]) Wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.signalLocked()
}

// Close adds the last task; with drop, those that have not begun are dropped.
// It reports, as Push does, whether nobody runs the tasks. Later calls do
// nothing.
func (q *Queue[T]) Close(last T, drop bool) (idle bool) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	ahead, to := 0, q.source
	if drop {
		ahead, q.ahead = q.ahead, 0
		clear(q.tasks)
		q.tasks, q.head, q.bytes = q.tasks[:0], 0, 0
	}
	idle = q.addLocked(last)
	q.closed = true
	q.signalLocked()
	q.mu.Unlock()
	if ahead > 0 {
		to.Handled(ahead)
	}
	return idle
}

// add reports whether it makes the queue run.
func (q *Queue[T]) addLocked(t T) bool {
	if q.head > 0 && len(q.tasks) == cap(q.tasks) {
		n := copy(q.tasks, q.tasks[q.head:])
		clear(q.tasks[n:])
		q.tasks, q.head = q.tasks[:n], 0
	}
	q.tasks = append(q.tasks, t)
	q.bytes += t.Size()
	idle := !q.running
	q.running = true
	return idle
}

func (q *Queue[T]) signalLocked() {
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}

// Run runs tasks until there are none. It must be called once for every time
// that adding a task found the queue idle, by any goroutine.
//
// If a task ends the goroutine, Run does not return, and another goroutine runs
// the rest.
func (q *Queue[T]) Run() {
	for {
		t, ok := q.next()
		if !ok {
			return
		}
		q.run(t)
	}
}

func (q *Queue[T]) run(t T) {
	exited, done := true, false
	defer func() {
		switch {
		case exited:
			go func() { // ends with the tasks
				t.Done(rescue.ErrExited)
				q.Run()
			}()
		case !done: // which is our own fault, but not that of the tasks behind it
			go q.Run() // likewise
		}
	}()
	err := rescue.Call(func() error { return t.Run() })
	exited = false
	t.Done(err)
	done = true
}

// next takes the next task out, or notes that nobody runs them any more.
func (q *Queue[T]) next() (t T, ok bool) {
	q.mu.Lock()
	if len(q.tasks) == q.head {
		q.running = false
		q.tasks, q.head = q.tasks[:0], 0
		if cap(q.tasks) > maxIdleTasks {
			q.tasks = nil
		}
		q.mu.Unlock()
		return t, false
	}
	t, q.tasks[q.head] = q.tasks[q.head], t
	q.head++
	q.bytes -= t.Size()
	back, to := min(q.ahead, t.Size()), q.source
	q.ahead -= back
	q.signalLocked()
	q.mu.Unlock()
	if back > 0 {
		to.Handled(back)
	}
	return t, true
}
