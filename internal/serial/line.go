package serial

import (
	"sync"
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/stack"
)

// slowAfter is how long a task may delay the later tasks of other queues. It is far
// above the time for which the scheduler of a busy machine can delay a quick task, so
// load does not change the order.
const slowAfter = 100 * time.Millisecond

// A Line runs the tasks of several queues in the order in which they were added. The
// tasks of one queue always run one at a time and in order. A task begins when the
// earlier tasks of all queues have returned, with one exception: a task that takes
// longer than a tenth of a second, or that calls [Line.Pass] before it waits, does not
// delay other queues. The line goes on without it, and the next tasks of its own queue
// run when it has returned.
//
// The goroutine that runs the tasks in their order is the leader of the line. There is
// at most one leader. A leader whose task is slow is left behind: another goroutine
// becomes the leader, and the old one finishes the late tasks of its queue and ends.
//
// The zero Line is ready for use, has no goroutine and no timer while nothing waits,
// and is safe for concurrent use.
type Line[T interface {
	comparable
	Task
}] struct {
	mu            sync.Mutex
	turns         []turns[T] // from head on
	head          int
	hasLeader     bool
	timerSet      bool      // the timer runs
	slowAdded     bool      // a task was added that may take long: see Quick
	leader        uint32    // number of the leader; raising it leaves the leader behind
	mark          uint32    // the argument of the leader's call of Work
	started       uint32    // number of tasks that leaders have started
	startedBefore uint32    // started when the timer was set
	busy          uint32    // number of queues whose tasks run
	current       *Queue[T] // the queue whose task the leader runs
	task          T         // the task that the leader runs
	timer         *time.Timer
}

// A turns has n consecutive tasks of one queue.
type turns[T Task] struct {
	queue *Queue[T]
	n     int
}

// maxIdleTurns is the capacity of the largest list that an empty line keeps.
const maxIdleTurns = 4

// Add appends the turn of a task that was pushed to q. A call of [Line.Work] or
// [Line.Start] has to follow.
func (l *Line[T]) Add(q *Queue[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowAdded = true
	l.addLocked(q)
}

// AddQuick is [Line.Add] for a task that is expected to return at once: see [Line.Quick].
func (l *Line[T]) AddQuick(q *Queue[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addLocked(q)
}

func (l *Line[T]) addLocked(q *Queue[T]) {
	if n := len(l.turns); n > l.head && l.turns[n-1].queue == q {
		l.turns[n-1].n++
		return
	}
	if l.head > 0 && len(l.turns) == cap(l.turns) {
		n := copy(l.turns, l.turns[l.head:])
		clear(l.turns[n:])
		l.turns, l.head = l.turns[:n], 0
	}
	l.turns = append(l.turns, turns[T]{q, 1})
}

// Quick reports whether all tasks that were added since the last call were added by
// [Line.AddQuick].
func (l *Line[T]) Quick() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	slow := l.slowAdded
	l.slowAdded = false
	return !slow
}

// Work runs tasks until there are none. Meanwhile, [Line.Pass] returns mark. If another
// goroutine runs tasks, Work returns at once, with the task that runs, if there is one.
func (l *Line[T]) Work(mark uint32) (running T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hasLeader {
		l.setTimerLocked()
		return l.task, l.current != nil
	}
	l.hasLeader, l.mark = true, mark
	l.leader++
	l.runLocked(l.leader, nil)
	return running, false
}

// Start is [Line.Work] on a new goroutine, unless another goroutine runs the tasks.
func (l *Line[T]) Start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hasLeader {
		l.setTimerLocked()
		return
	}
	l.startLocked()
}

// Idle reports whether no task waits or runs.
func (l *Line[T]) Idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.turns) == l.head && l.busy == 0
}

// Pass leaves the leader behind if it runs the task t, which is about to wait. It
// returns the leader's mark.
func (l *Line[T]) Pass(t T) (mark uint32, passed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.hasLeader || l.task != t {
		return 0, false
	}
	mark = l.mark
	l.passLocked()
	return mark, true
}

// startLocked makes a new goroutine the leader, if there is a task to run.
func (l *Line[T]) startLocked() {
	if len(l.turns) == l.head {
		return
	}
	l.hasLeader, l.mark = true, 0
	l.leader++
	go l.resume(l.leader, nil) // ends with the tasks
}

func (l *Line[T]) resume(me uint32, q *Queue[T]) {
	stack.Grow()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runLocked(me, q)
}

// passLocked leaves the leader behind.
func (l *Line[T]) passLocked() {
	l.leader++
	l.stopLocked()
	l.startLocked()
}

// stopLocked notes that there is no leader.
func (l *Line[T]) stopLocked() {
	var none T
	l.hasLeader, l.current, l.task = false, nil, none
}

// runLocked runs the late tasks of q, if it is not nil. Then it runs other tasks in
// their order, while the leader is me. It is called with mu held and releases it for
// each task.
func (l *Line[T]) runLocked(me uint32, q *Queue[T]) {
	for {
		switch {
		case q != nil && q.late > 0:
			q.late--
		case q != nil:
			q.busy = false
			l.busy--
			q = nil
			continue
		case me != l.leader:
			return
		default:
			if q = l.nextLocked(); q == nil {
				l.stopLocked()
				return
			}
			if q.busy {
				q.late++
				q = nil
				continue
			}
			q.busy = true
			l.busy++
		}
		if t, ok := q.next(); ok {
			if me == l.leader {
				l.started++
				l.current, l.task = q, t
				l.setTimerLocked()
			}
			l.callUnlocked(me, q, t)
		}
	}
}

// callUnlocked runs and completes one task. The caller holds mu; it is released
// meanwhile. If the task ends the goroutine, a new goroutine completes it and runs the
// remaining tasks.
func (l *Line[T]) callUnlocked(me uint32, q *Queue[T], t T) {
	exited, done := true, false
	l.mu.Unlock()
	defer func() {
		switch {
		case exited:
			go func() { // ends with the tasks
				t.Done(rescue.ErrExited)
				l.resume(me, q)
			}()
		case !done: // Done has panicked, which is our own mistake: run the other tasks
			go l.resume(me, q) // ends with the tasks
		}
		l.mu.Lock()
	}()
	err := rescue.Call(func() error { return t.Run() })
	exited = false
	t.Done(err)
	done = true
}

// nextLocked takes the next turn and returns its queue, nil if there is none.
func (l *Line[T]) nextLocked() *Queue[T] {
	if len(l.turns) == l.head {
		return nil
	}
	first := &l.turns[l.head]
	q := first.queue
	if first.n--; first.n == 0 {
		first.queue = nil
		if l.head++; l.head == len(l.turns) {
			l.turns, l.head = l.turns[:0], 0
			if cap(l.turns) > maxIdleTurns {
				l.turns = nil
			}
		}
	}
	return q
}

// setTimerLocked sets the timer that leaves a slow leader behind. It does so only if
// tasks of other queues wait for the leader.
func (l *Line[T]) setTimerLocked() {
	if l.timerSet || !l.hasLeader || !l.othersWaitLocked() {
		return
	}
	l.timerSet, l.startedBefore = true, l.started
	if l.timer == nil {
		l.timer = time.AfterFunc(slowAfter, l.checkLeader)
	} else {
		l.timer.Reset(slowAfter)
	}
}

func (l *Line[T]) othersWaitLocked() bool {
	waiting := l.turns[l.head:]
	return len(waiting) > 1 || len(waiting) == 1 && waiting[0].queue != l.current
}

// checkLeader is called by the timer.
func (l *Line[T]) checkLeader() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timerSet = false
	if l.hasLeader && l.started == l.startedBefore && l.othersWaitLocked() {
		l.passLocked()
	}
	l.setTimerLocked()
}
