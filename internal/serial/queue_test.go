package serial_test

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/serial"
)

// A task appends its number to a log, after its gate opened.
type task struct {
	n    int
	gate chan struct{}
	log  *logbook
}

type logbook struct {
	mu  sync.Mutex
	got []int
}

func (t task) Run() error {
	if t.gate != nil {
		<-t.gate
	}
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	t.log.got = append(t.log.got, t.n)
	return nil
}

func (task) Done(error) {}

func (task) Size() int { return 10 }

func (l *logbook) want(t *testing.T, want ...int) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.got, want) {
		t.Errorf("ran %v, want %v", l.got, want)
	}
}

// push adds a task and has the queue run on a goroutine of its own.
func push(q *serial.Queue[task], tk task) error {
	idle, err := q.Push(tk)
	if idle {
		go q.Run()
	}
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTasksRunInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q serial.Queue[task]
		log := &logbook{}
		var want []int
		for i := range 100 {
			must(t, push(&q, task{n: i, log: log}))
			want = append(want, i)
		}
		log.want(t, want...)
	})
}

func TestCloseRunsTheRestAndThenTheLast(t *testing.T) {
	t.Parallel()
	for _, drop := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var q serial.Queue[task]
			log, gate := &logbook{}, make(chan struct{})
			must(t, push(&q, task{n: 1, gate: gate, log: log}))
			synctest.Wait()
			must(t, push(&q, task{n: 2, log: log}))
			if q.Close(task{n: 3, log: log}, drop) || q.Close(task{n: 4, log: log}, drop) {
				t.Error("the queue runs, so Close must not find it idle")
			}
			if err := push(&q, task{n: 5, log: log}); !errors.Is(err, serial.ErrClosed) {
				t.Errorf("Push after Close: %v", err)
			}
			close(gate)
			if drop {
				log.want(t, 1, 3)
			} else {
				log.want(t, 1, 2, 3)
			}
		})
	}
}

// A source lets as many bytes in beyond the limits as it has budget.
type source struct {
	budget atomic.Int64
	asked  atomic.Int32 // so often
	held   atomic.Int32 // holds without a release
}

func (s *source) ReadAhead(bytes int) bool {
	s.asked.Add(1)
	if s.budget.Add(-int64(bytes)) >= 0 {
		return true
	}
	s.budget.Add(int64(bytes))
	return false
}

func (s *source) Handled(bytes int) { s.budget.Add(int64(bytes)) }
func (s *source) Hold()             { s.held.Add(1) }
func (s *source) Release()          { s.held.Add(-1) }

// pushWait pushes on a goroutine of its own and says when that is done.
func pushWait(q *serial.Queue[task], tk task, l serial.Limits, from *source) <-chan error {
	done := make(chan error, 1)
	go func() {
		idle, err := q.PushWait(tk, l, from)
		done <- err
		if idle {
			q.Run()
		}
	}()
	return done
}

func TestPushWaitWaitsWhileFull(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]serial.Limits{
		"tasks": {Tasks: 2, Bytes: 1000},
		"bytes": {Tasks: 1000, Bytes: 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var q serial.Queue[task]
				from := new(source)
				log, gate := &logbook{}, make(chan struct{})
				must(t, push(&q, task{n: 1, gate: gate, log: log}))
				synctest.Wait() // it runs, so it waits no more
				must(t, <-pushWait(&q, task{n: 2, log: log}, l, from))
				must(t, <-pushWait(&q, task{n: 3, log: log}, l, from))
				done := pushWait(&q, task{n: 4, log: log}, l, from)
				synctest.Wait()
				if len(done) != 0 || from.held.Load() != 1 {
					t.Fatalf("full queue: done %d, held %d", len(done), from.held.Load())
				}
				q.Wake()
				synctest.Wait()
				if len(done) != 0 || from.held.Load() != 1 || from.asked.Load() != 2 {
					t.Errorf("after Wake: done %d, held %d, asked %d", len(done), from.held.Load(), from.asked.Load())
				}
				close(gate)
				must(t, <-done)
				if from.held.Load() != 0 {
					t.Error("still held")
				}
				log.want(t, 1, 2, 3, 4)
			})
		})
	}
}

func TestPushWaitReadsAheadWithinABudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q serial.Queue[task]
		from := new(source)
		l := serial.Limits{Tasks: 1, Bytes: 1000}
		log, gate := &logbook{}, make(chan struct{})
		must(t, push(&q, task{n: 1, gate: gate, log: log}))
		synctest.Wait()
		must(t, <-pushWait(&q, task{n: 2, log: log}, l, from))
		done := pushWait(&q, task{n: 3, log: log}, l, from)
		synctest.Wait()
		from.budget.Store(35) // for three tasks of 10 bytes
		q.Wake()
		must(t, <-done)
		must(t, <-pushWait(&q, task{n: 4, log: log}, l, from))
		must(t, <-pushWait(&q, task{n: 5, log: log}, l, from))
		done = pushWait(&q, task{n: 6, log: log}, l, from)
		synctest.Wait()
		if len(done) != 0 || from.budget.Load() != 5 {
			t.Fatalf("done %d, budget %d", len(done), from.budget.Load())
		}
		close(gate)
		must(t, <-done)
		log.want(t, 1, 2, 3, 4, 5, 6)
		if got := from.budget.Load(); got != 35 {
			t.Errorf("%d bytes of the budget are back, want 35", got)
		}
	})
}

func TestCloseWakesPushWaitAndGivesTheBudgetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q serial.Queue[task]
		from := new(source)
		from.budget.Store(10)
		l := serial.Limits{Tasks: 1, Bytes: 1000}
		log, gate := &logbook{}, make(chan struct{})
		must(t, push(&q, task{n: 1, gate: gate, log: log}))
		synctest.Wait()
		must(t, <-pushWait(&q, task{n: 2, log: log}, l, from))
		must(t, <-pushWait(&q, task{n: 3, log: log}, l, from))
		done := pushWait(&q, task{n: 4, log: log}, l, from)
		synctest.Wait()
		q.Close(task{n: 5, log: log}, true)
		if err := <-done; !errors.Is(err, serial.ErrClosed) {
			t.Errorf("waiting push: %v", err)
		}
		close(gate)
		log.want(t, 1, 5)
		if from.held.Load() != 0 || from.budget.Load() != 10 {
			t.Errorf("held %d, budget %d", from.held.Load(), from.budget.Load())
		}
	})
}

func BenchmarkPush(b *testing.B) {
	var q serial.Queue[task]
	log := &logbook{got: make([]int, 0, 1)}
	b.ReportAllocs()
	for b.Loop() {
		if idle, err := q.Push(task{log: log}); err != nil || !idle {
			b.Fatal(idle, err)
		}
		q.Run()
		log.got = log.got[:0]
	}
}

// A failing task ends in the way that it is told to, and notes how that was
// completed.
type failing struct {
	run  func() error
	done chan error
}

func (f failing) Run() error     { return f.run() }
func (f failing) Done(err error) { f.done <- err }
func (failing) Size() int        { return 1 }

func TestTasksThatFailHarmNeitherTheQueueNorOthers(t *testing.T) {
	t.Parallel()
	wrong := errors.New("wrong")
	ends := []func() error{
		func() error { return nil },
		func() error { return wrong },
		func() error { panic(wrong) },
		func() error { runtime.Goexit(); return nil },
		func() error { return nil },
		func() error { runtime.Goexit(); return nil },
	}
	var q serial.Queue[failing]
	done := make(chan error, len(ends)+1)
	for round := range 2 { // the queue is idle again after the first one
		for i, run := range ends {
			idle, err := q.Push(failing{run, done})
			must(t, err)
			if idle != (i == 0) {
				t.Errorf("round %d, task %d: idle %v", round, i, idle)
			}
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			q.Run()
		}()
		<-over
		for i, want := range []func(error) bool{
			func(err error) bool { return err == nil },
			func(err error) bool { return err == wrong },
			rescue.Panicked,
			func(err error) bool { return err == rescue.ErrExited },
			func(err error) bool { return err == nil },
			func(err error) bool { return err == rescue.ErrExited },
		} {
			if err := <-done; !want(err) {
				t.Errorf("round %d, task %d: completed with %v", round, i, err)
			}
		}
		for { // the last goroutine may still be about to note that nothing is left
			idle, err := q.Push(failing{func() error { return nil }, done})
			must(t, err)
			if idle {
				q.Run()
			}
			must(t, <-done)
			if idle {
				break
			}
		}
	}
}

// What is offered to a full queue is refused, and the rest stays in order.
func TestOfferAddsNothingToAFullQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q serial.Queue[task]
		l, gate := new(logbook), make(chan struct{})
		offer := func(n int, limits serial.Limits) error {
			idle, err := q.Offer(task{n: n, gate: gate, log: l}, limits)
			if idle {
				go q.Run()
			}
			synctest.Wait()
			return err
		}
		two, bytes := serial.Limits{Tasks: 2, Bytes: 1000}, serial.Limits{Tasks: 1000, Bytes: 20}
		for n := range 3 { // one runs, two wait
			must(t, offer(n, two))
		}
		for name, limits := range map[string]serial.Limits{"tasks": two, "bytes": bytes} {
			if err := offer(-1, limits); !errors.Is(err, serial.ErrFull) {
				t.Errorf("%s: %v", name, err)
			}
		}
		close(gate)
		synctest.Wait()
		must(t, offer(3, two))
		l.want(t, 0, 1, 2, 3)
		q.Close(task{n: 4, log: l}, false)
		if err := offer(-1, two); !errors.Is(err, serial.ErrClosed) {
			t.Errorf("after the last task: %v", err)
		}
	})
}
