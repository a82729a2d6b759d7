package serial_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/internal/serial"
)

// A story is what tasks did, in order.
type story struct {
	mu    sync.Mutex
	parts []string
}

func (s *story) add(part string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, part)
}

func (s *story) want(t *testing.T, parts ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.parts, parts) {
		t.Errorf("what happened:\n%q, want\n%q", s.parts, parts)
	}
}

// A job is a task of a line.
type job struct{ do func() }

func (j *job) Run() error {
	j.do()
	return nil
}

func (*job) Done(error) {}
func (*job) Size() int  { return 1 }

// lanes are queues that share a line.
type lanes struct {
	serial.Line[*job]

	story  story
	queues map[string]*serial.Queue[*job]
}

func newLanes() *lanes { return &lanes{queues: make(map[string]*serial.Queue[*job])} }

// add adds a task to the queue of that name: it does something between two entries
// in the story.
func (l *lanes) add(t *testing.T, queue string, n int, do func()) *job {
	t.Helper()
	q := l.queues[queue]
	if q == nil {
		q = new(serial.Queue[*job])
		l.queues[queue] = q
	}
	name := fmt.Sprint(queue, n)
	j := &job{func() {
		l.story.add(name)
		if do != nil {
			do()
			l.story.add("end of " + name)
		}
	}}
	if _, err := q.Push(j); err != nil {
		t.Error(err)
	}
	l.Add(q)
	return j
}

const grace = 100 * time.Millisecond

func TestTasksOfSeveralQueuesRunInTheOrderInWhichTheyCame(t *testing.T) {
	t.Parallel()
	l := newLanes()
	var want []string
	for i := range 100 {
		for _, q := range []string{"a", "b", "a", "c", "c"} {
			l.add(t, q, i, nil)
			want = append(want, fmt.Sprint(q, i))
		}
	}
	l.Work(0)
	l.story.want(t, want...)
}

// Whoever is called while another goroutine leads leaves the work to it.
func TestOrderOfALineWithManyWorkers(t *testing.T) {
	t.Parallel()
	l := newLanes()
	var want []string
	var working sync.WaitGroup
	for i := range 1000 {
		q := string(rune('a' + i%7))
		l.add(t, q, i, nil)
		want = append(want, fmt.Sprint(q, i))
		working.Go(func() { l.Work(0) })
	}
	working.Wait()
	l.Work(0)
	l.story.want(t, want...)
}

func TestASlowTaskHoldsUpOthersForTheGraceAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		l.add(t, "a", 1, func() { time.Sleep(time.Hour) })
		l.add(t, "a", 2, nil)
		l.add(t, "b", 1, nil)
		l.add(t, "a", 3, nil)
		l.add(t, "c", 1, nil)
		go l.Work(0)
		time.Sleep(grace - 1)
		l.story.want(t, "a1")
		time.Sleep(1 * time.Nanosecond)
		synctest.Wait()
		l.story.want(t, "a1", "b1", "c1")
		l.add(t, "b", 2, nil)
		l.Work(0) // nobody leads, although a task runs
		l.story.want(t, "a1", "b1", "c1", "b2")
		time.Sleep(time.Hour)
		synctest.Wait()
		l.story.want(t, "a1", "b1", "c1", "b2", "end of a1", "a2", "a3")
		l.add(t, "b", 3, nil) // order is back
		l.add(t, "a", 4, nil)
		l.Work(0)
		l.story.want(t, "a1", "b1", "c1", "b2", "end of a1", "a2", "a3", "b3", "a4")
	})
}

// Many tasks that take a little are not one that takes long.
func TestTasksThatTakeALittleKeepTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		var want []string
		for i := range 20 {
			for _, q := range []string{"a", "b"} {
				l.add(t, q, i, func() { time.Sleep(grace / 2) })
				want = append(want, fmt.Sprint(q, i), fmt.Sprint("end of ", q, i))
			}
		}
		l.Work(0)
		l.story.want(t, want...)
	})
}

// The task was already running when another queue got something to do.
func TestTheGraceBeginsWhenSomebodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		l.add(t, "a", 1, func() { time.Sleep(time.Hour) })
		l.Start()
		time.Sleep(time.Minute)
		l.add(t, "b", 1, nil)
		l.Start()
		time.Sleep(grace)
		synctest.Wait()
		l.story.want(t, "a1", "b1")
		time.Sleep(time.Hour)
	})
}

func TestPassLeavesTheTaskBehindAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		var j *job
		pass := func(wantMark uint32, want bool) {
			if mark, passed := l.Pass(j); mark != wantMark || passed != want {
				t.Errorf("Pass: mark %d, passed %v, want %d, %v", mark, passed, wantMark, want)
			}
		}
		gate := make(chan struct{})
		j = l.add(t, "a", 1, func() {
			pass(7, true)
			pass(0, false) // it is left behind already
			<-gate
		})
		l.add(t, "a", 2, nil)
		l.add(t, "b", 1, nil)
		pass(0, false) // it does not run yet
		go l.Work(7)
		synctest.Wait()
		l.story.want(t, "a1", "b1")
		other := l.add(t, "b", 2, func() { pass(0, false) }) // it is not the leader's
		l.Work(0)
		_, passed := l.Pass(other)
		if passed {
			t.Error("a task passed that has returned")
		}
		close(gate)
		synctest.Wait()
		l.story.want(t, "a1", "b1", "b2", "end of b2", "end of a1", "a2")
	})
}

func TestATaskThatPanicsOrEndsItsGoroutineHoldsUpNobody(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){
		"panic": func() { panic("task") }, "goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLanes()
				l.add(t, "a", 1, end)
				l.add(t, "b", 1, nil)
				l.add(t, "a", 2, nil)
				go func() {
					defer func() { _ = recover() }()
					l.Work(0)
				}()
				synctest.Wait()
				l.story.want(t, "a1", "b1", "a2")
			})
		})
	}
}

// One that was left behind and then ends its goroutine leaves late tasks.
func TestLateTasksOfATaskThatEndsItsGoroutineRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		l.add(t, "a", 1, func() {
			time.Sleep(time.Hour)
			runtime.Goexit()
		})
		l.add(t, "b", 1, nil)
		l.add(t, "a", 2, nil)
		go l.Work(0)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		l.story.want(t, "a1", "b1", "a2")
	})
}

// What was dropped leaves its turns.
func TestTurnsOfDroppedTasksDoNoHarm(t *testing.T) {
	t.Parallel()
	l := newLanes()
	l.add(t, "a", 1, nil)
	l.add(t, "b", 1, nil)
	l.add(t, "a", 2, nil)
	l.queues["a"].Close(&job{func() { l.story.add("last") }}, true)
	l.Add(l.queues["a"])
	l.Work(0)
	l.story.want(t, "last", "b1")
}

func BenchmarkLine(b *testing.B) {
	var l serial.Line[*job]
	var q serial.Queue[*job]
	j := &job{func() {}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := q.Push(j); err != nil {
			b.Fatal(err)
		}
		l.Add(&q)
		l.Work(0)
	}
}

// Neither a task that waits, nor one that was left behind, nor the tasks behind that may
// be missed.
func TestIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		want := func(when string, want bool) {
			t.Helper()
			synctest.Wait()
			if got := l.Idle(); got != want {
				t.Errorf("%s: idle is %v", when, got)
			}
		}
		want("new", true)
		l.add(t, "a", 1, func() { time.Sleep(time.Hour) })
		want("a task waits", false)
		l.Start()
		want("a task runs", false)
		l.add(t, "b", 1, nil)
		l.add(t, "a", 2, func() { time.Sleep(time.Hour) })
		l.Start()
		time.Sleep(grace)
		synctest.Wait()
		l.story.want(t, "a1", "b1")
		want("a task was left behind", false)
		time.Sleep(time.Hour)
		want("the next task of its queue runs", false)
		time.Sleep(time.Hour)
		want("all have returned", true)
		l.add(t, "a", 3, runtime.Goexit)
		l.Start()
		want("a task has ended its goroutine", true)
		l.story.want(t, "a1", "b1", "end of a1", "a2", "end of a2", "a3")
	})
}

func TestALineIsQuickUntilASlowTaskIsAdded(t *testing.T) {
	t.Parallel()
	l := newLanes()
	var q serial.Queue[*job]
	for _, c := range []struct {
		add  []func(*serial.Queue[*job])
		want bool
	}{
		{nil, true},
		{[]func(*serial.Queue[*job]){l.AddQuick, l.AddQuick}, true},
		{[]func(*serial.Queue[*job]){l.AddQuick, l.Add, l.AddQuick}, false},
		{nil, true}, // since the last call
		{[]func(*serial.Queue[*job]){l.AddQuick}, true},
	} {
		for _, add := range c.add {
			if _, err := q.Push(&job{func() {}}); err != nil {
				t.Fatal(err)
			}
			add(&q)
		}
		if got := l.Quick(); got != c.want {
			t.Errorf("after %d tasks quick is %v", len(c.add), got)
		}
	}
	l.Work(0)
}

func TestWorkReturnsTheTaskThatRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLanes()
		slow := l.add(t, "a", 1, func() { time.Sleep(time.Minute) })
		go l.Work(0)
		synctest.Wait()
		if got, ok := l.Work(0); !ok || got != slow {
			t.Errorf("Work returns %p, %v, want %p", got, ok, slow)
		}
		time.Sleep(time.Hour)
		if _, ok := l.Work(0); ok {
			t.Error("a task runs")
		}
	})
}
