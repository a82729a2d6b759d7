// Package serial runs tasks in order: a [Queue] the tasks of one owner, one at a time,
// and a [Line] the tasks of several queues, in the order in which they were added.
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
	// Run may call code of the application. It may panic or end its goroutine: the
	// queue and the later tasks go on.
	Run() error

	// Done completes the task. It is called once when Run has returned, panicked or
	// ended its goroutine, with the error that [rescue.Do] gives. The next task waits
	// for it. It must not end the goroutine.
	Done(err error)

	Size() int // bytes, for the limit
}

// Limits bound the tasks that wait in a queue. The task that exceeds a limit is still
// added; the next one waits.
type Limits struct {
	Tasks int
	Bytes int
}

func (l Limits) full(tasks, bytes int) bool { return tasks >= l.Tasks || bytes >= l.Bytes }

// maxIdleTasks is the capacity of the largest list that an idle queue keeps.
const maxIdleTasks = 4

// A Source adds tasks to a queue and can be slowed down: see [Queue.PushWait]. Its
// methods are called without a lock held.
type Source interface {
	// ReadAhead reports whether a task of that size is to be added beyond the limits.
	// The source asks for that when it waits for a packet that may follow. Handled
	// gives the bytes back. It must not block.
	ReadAhead(bytes int) bool
	Handled(bytes int)

	// Hold is called before the source has to wait, Release afterwards.
	Hold()
	Release()
}

// A Queue holds tasks. It has no goroutine: a call that adds a task to an idle queue
// says so, and its caller runs the tasks or starts a goroutine that does. An idle Queue
// has no memory but its own. The zero Queue is ready for use. It is safe for concurrent
// use.
type Queue[T Task] struct {
	mu      sync.Mutex
	tasks   []T // from head on
	head    int
	bytes   int
	running bool
	closed  bool
	busy    bool          // guarded by its Line: one of its tasks runs
	late    int           // guarded by its Line: number of tasks whose turn came meanwhile
	ahead   int           // bytes beyond the limits, to be given back to source
	source  Source        // set with ahead
	changed chan struct{} // closed when a waiting PushWait has to check again; nil if none waits
}

// Push adds a task without a limit. It reports whether the queue was idle: then the
// caller has to make sure that [Queue.Run] is called, unless a [Line] runs the tasks.
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

// PushWait is like [Queue.Push], but waits while the queue is full. It does not wait if
// from.ReadAhead returns true. It calls that again after each task that was taken out,
// and after [Queue.Wake].
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

// pushLocked is Push with mu held.
func (q *Queue[T]) pushLocked(t T) (idle bool, err error) {
	if q.closed {
		return false, ErrClosed
	}
	return q.addLocked(t), nil
}

func (q *Queue[T]) fullLocked(l Limits) bool { return l.full(len(q.tasks)-q.head, q.bytes) }

// Wake makes a waiting [Queue.PushWait] ask its source again.
func (q *Queue[T]) Wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.signalLocked()
}

// Close adds the last task. With drop, the tasks that have not begun are dropped. Close
// reports, as Push does, whether the queue was idle. Later calls do nothing.
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

// addLocked adds a task and reports whether the queue was idle.
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

// Run runs tasks until there are none. It must be called once, on any goroutine, each
// time that adding a task has found the queue idle.
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
		case !done: // Done has panicked, which is our own mistake: run the other tasks
			go q.Run() // ends with the tasks
		}
	}()
	err := rescue.Call(func() error { return t.Run() })
	exited = false
	t.Done(err)
	done = true
}

// next takes the next task out. If there is none, the queue is idle.
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
