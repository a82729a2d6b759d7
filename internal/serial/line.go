package serial

import (
	"sync"
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
)

// grace is how long a task may keep those of other queues waiting that came after
// it. It is far above what the scheduler of a busy machine makes of a task that
// does not wait, or load would change the order.
const slowAfter = 100 * time.Millisecond

// A Line runs the tasks of several queues in the order in which they came. The
// tasks of one queue run one at a time and in order, in any case. A task of another
// queue begins when those that came before have returned; unless one of them takes
// longer than a tenth of a second, or says that it waits ([Line.Pass]). Then the
// line goes on without it, and the next tasks of its queue run when it has returned.
//
// A goroutine that runs tasks in their turn leads the line. There is one leader at
// most. One that is left behind finishes its queue's late tasks, and ends.
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
	leader        uint32    // number of the leader; it is raised to leave one behind
	mark          uint32    // what the leader's caller gave to Work
	started       uint32    // tasks that leaders have begun
	startedBefore uint32    // begun when the timer was set
	current       *Queue[T] // whose task the leader runs
	task          T         // that one
	timer         *time.Timer
}

// Turns are tasks of one queue that came one after the other.
type turns[T Task] struct {
	queue *Queue[T]
	n     int
}

// keepTurns is the longest list whose memory an empty line holds on to.
const maxIdleTurns = 4

// Add gives a task its turn that was pushed to q, behind all others. A call of
// [Line.Work] or [Line.Start] has to follow.
func (l *Line[T]) Add(q *Queue[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
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

// Work runs tasks until there are none, unless another goroutine does. mark is what
// a call of [Line.Pass] returns meanwhile.
func (l *Line[T]) Work(mark uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hasLeader {
		l.setTimerLocked()
		return
	}
	l.hasLeader, l.mark = true, mark
	l.leader++
	l.runLocked(l.leader, nil)
}

// Start has another goroutine do what [Line.Work] would do, unless one does.
func (l *Line[T]) Start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hasLeader {
		l.setTimerLocked()
		return
	}
	l.startLocked()
}

// Pass has the line go on without the task t, which is about to wait, if it is the
// leader that runs it. It returns the leader's mark.
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

// start makes a new goroutine the leader, if there is something to run.
func (l *Line[T]) startLocked() {
	if len(l.turns) == l.head {
		return
	}
	l.hasLeader, l.mark = true, 0
	l.leader++
	go l.resume(l.leader, nil) // ends with the tasks
}

func (l *Line[T]) resume(me uint32, q *Queue[T]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runLocked(me, q)
}

// pass leaves the leader behind.
func (l *Line[T]) passLocked() {
	l.leader++
	l.stopLocked()
	l.startLocked()
}

// stop notes that nobody leads.
func (l *Line[T]) stopLocked() {
	var none T
	l.hasLeader, l.current, l.task = false, nil, none
}

// run runs the late tasks of q, if it is not nil, and then others in their turn,
// while the leader is me. It is called with mu held, which it gives up for each
// task.
func (l *Line[T]) runLocked(me uint32, q *Queue[T]) {
	for {
		switch {
		case q != nil && q.late > 0:
			q.late--
		case q != nil:
			q.busy = false
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

// call runs and completes one task, without mu. If that ends the goroutine, another
// one completes it and takes over what is left.
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
		case !done: // which is our own fault, but not that of the tasks behind it
			go l.resume(me, q) // likewise
		}
		l.mu.Lock()
	}()
	err := rescue.Call(func() error { return t.Run() })
	exited = false
	t.Done(err)
	done = true
}

// next takes the queue out whose turn it is; nil if nothing waits.
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

// watch sets the timer that leaves the leader behind if its task takes too long,
// and tasks of other queues wait for it. Who has one queue needs none.
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

// look is called a while after watch.
func (l *Line[T]) checkLeader() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timerSet = false
	if l.hasLeader && l.started == l.startedBefore && l.othersWaitLocked() {
		l.passLocked()
	}
	l.setTimerLocked()
}
