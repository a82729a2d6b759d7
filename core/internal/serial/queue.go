// Package serial runs the tasks of one owner in order and one at a time.
package serial

import (
	"errors"
	"sync"
)

// ErrClosed is returned for tasks that come after the last one.
var ErrClosed = errors.New("queue is closed")

// A Task is something to run.
type Task interface {
	Run()
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
const keep = 4

// relaxed is how many times the limits apply while the queue is relaxed.
const relaxed = 8

// A Queue runs tasks. Its goroutine exists only while there is work, so an
// idle Queue costs nothing but its few words. The zero Queue is ready for use.
// It is safe for concurrent use.
type Queue[T Task] struct {
	mu      sync.Mutex
	tasks   []T // from head on
	head    int
	bytes   int
	running bool
	closed  bool
	relaxes int
	space   chan struct{} // closed when a waiting Push should look again; nil if none waits
}

// Push adds a task, whatever waits already. The queue's goroutine ends when
// its work is done, or never, if a task does not return.
func (q *Queue[T]) Push(t T) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.add(t)
	return nil
}

// PushWait adds a task, and before that waits while the queue is full. If it
// has to wait, it first calls waiting, and the function returned by that when
// the wait is over. waiting is told whether the queue is relaxed, that is,
// whether even the raised limits are reached.
func (q *Queue[T]) PushWait(t T, l Limits, waiting func(relaxed bool) (over func())) error {
	q.mu.Lock()
	for q.full(l) && !q.closed {
		if q.space == nil {
			q.space = make(chan struct{})
		}
		space, isRelaxed := q.space, q.relaxes > 0
		q.mu.Unlock()
		over := waiting(isRelaxed)
		<-space
		over()
		q.mu.Lock()
	}
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.add(t)
	return nil
}

func (q *Queue[T]) full(l Limits) bool {
	if q.relaxes > 0 {
		l.Tasks, l.Bytes = l.Tasks*relaxed, l.Bytes*relaxed
	}
	return l.full(len(q.tasks)-q.head, q.bytes)
}

// Relax raises the limits until the matching [Queue.Tighten]: a task waits for
// something that comes from where the tasks come from.
func (q *Queue[T]) Relax() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.relaxes++
	q.signal()
}

// Tighten takes a [Queue.Relax] back.
func (q *Queue[T]) Tighten() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.relaxes--
}

// Close adds the last task; with drop, those that have not begun are dropped.
// It reports whether this was the first call: later ones do nothing.
func (q *Queue[T]) Close(last T, drop bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if drop {
		clear(q.tasks)
		q.tasks, q.head, q.bytes = q.tasks[:0], 0, 0
	}
	q.add(last)
	q.closed = true
	q.signal()
	return true
}

func (q *Queue[T]) add(t T) {
	if q.head > 0 && len(q.tasks) == cap(q.tasks) {
		n := copy(q.tasks, q.tasks[q.head:])
		clear(q.tasks[n:])
		q.tasks, q.head = q.tasks[:n], 0
	}
	q.tasks = append(q.tasks, t)
	q.bytes += t.Size()
	if !q.running {
		q.running = true
		go q.run() // whoever closes the queue learns of its end from the last task
	}
}

func (q *Queue[T]) signal() {
	if q.space != nil {
		close(q.space)
		q.space = nil
	}
}

func (q *Queue[T]) run() {
	for {
		t, ok := q.next()
		if !ok {
			return
		}
		t.Run()
	}
}

// next takes the next task out, or notes that the goroutine ends.
func (q *Queue[T]) next() (t T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.tasks) == q.head {
		q.running = false
		q.tasks, q.head = q.tasks[:0], 0
		if cap(q.tasks) > keep {
			q.tasks = nil
		}
		return t, false
	}
	t, q.tasks[q.head] = q.tasks[q.head], t
	q.head++
	q.bytes -= t.Size()
	q.signal()
	return t, true
}
