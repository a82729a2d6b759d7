package deadline_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/internal/deadline"
)

// recorder notes which values expired and when.
type recorder struct {
	start time.Time

	mu  sync.Mutex
	log []string
}

func (r *recorder) expire(v string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf("%s@%s", v, time.Since(r.start)))
}

func (r *recorder) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.log, want) {
		t.Errorf("expired %v, want %v", r.log, want)
	}
}

func TestItemsExpireExactlyAndInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		l := deadline.NewList(time.Now(), time.Second, r.expire)
		var a, b, c deadline.Item[string]
		l.Set(&a, "a")
		time.Sleep(300 * time.Millisecond)
		l.Set(&b, "b")
		l.Set(&c, "c")
		time.Sleep(5 * time.Second)
		r.want(t, "a@1s", "b@1.3s", "c@1.3s")
	})
}

func TestItemsMayExpireEarlyTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		l := deadline.NewList(time.Now(), time.Second, r.expire)
		l.AllowEarly(100 * time.Millisecond)
		var items [5]deadline.Item[string]
		for i := range items {
			l.Set(&items[i], string(rune('a'+i)))
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		r.want(t, "a@1s", "b@1s", "c@1s", "d@1.15s", "e@1.15s")
		l.Set(&items[0], "alone")
		time.Sleep(5 * time.Second)
		r.want(t, "a@1s", "b@1s", "c@1s", "d@1.15s", "e@1.15s", "alone@6.25s")
	})
}

func TestSetAgainStartsAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		l := deadline.NewList(time.Now(), time.Second, r.expire)
		var a, b deadline.Item[string]
		l.Set(&a, "a")
		l.Set(&b, "b")
		time.Sleep(600 * time.Millisecond)
		l.Set(&a, "again")
		time.Sleep(5 * time.Second)
		r.want(t, "b@1s", "again@1.6s")
		l.Set(&a, "later") // after everything expired the timer must run again
		time.Sleep(5 * time.Second)
		r.want(t, "b@1s", "again@1.6s", "later@6.6s")
	})
}

func TestStopAndMoveBetweenLists(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		short := deadline.NewList(time.Now(), time.Second, r.expire)
		long := deadline.NewList(time.Now(), time.Minute, r.expire)
		var a, b, c deadline.Item[string]
		short.Set(&a, "a")
		short.Set(&b, "b")
		short.Set(&c, "c")
		b.Stop()
		b.Stop()
		long.Set(&c, "c")
		time.Sleep(2 * time.Minute)
		r.want(t, "a@1s", "c@1m0s")
		a.Stop() // after it expired
	})
}

// After a machine was busy, the next deadline counts from when it is set.
func TestDeadlineOfALateItemIsAsFarAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		epoch := time.Now()
		var it deadline.Item[string]
		second := deadline.NewList(epoch, time.Second, r.expire)
		first := deadline.NewList(epoch, time.Second, func(v string) {
			time.Sleep(300 * time.Millisecond) // a busy machine
			second.Set(&it, v)
		})
		first.Set(&it, "a")
		time.Sleep(2200 * time.Millisecond)
		synctest.Wait()
		if second.Passed(&it) || first.Passed(&it) {
			t.Error("passed before its time, or in the list it has left")
		}
		time.Sleep(100 * time.Millisecond)
		r.want(t, "a@2.3s")
		synctest.Wait()
		if !second.Passed(&it) {
			t.Error("not passed after its time")
		}
	})
}

// Owners set and stop their deadlines at the same time: those that are left set
// expire, and those that were stopped do not any more.
func TestConcurrentOwners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const owners = 8
		var expired [owners]atomic.Int32
		l := deadline.NewList(time.Now(), time.Millisecond, func(i int) { expired[i].Add(1) })
		var items [owners]deadline.Item[int]
		var wg sync.WaitGroup
		for i := range owners {
			wg.Go(func() {
				for range 1000 {
					l.Set(&items[i], i)
				}
				if i%2 == 0 {
					items[i].Stop()
				}
			})
		}
		wg.Wait() // all of that at one moment of the fake time
		time.Sleep(time.Second)
		for i := range owners {
			if got, want := expired[i].Load(), int32(i%2); got != want {
				t.Errorf("owner %d: expired %d times, want %d", i, got, want)
			}
		}
	})
}

func BenchmarkSet(b *testing.B) {
	l := deadline.NewList(time.Now(), time.Hour, func(int) {})
	items := make([]deadline.Item[int], 1000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Set(&items[i%len(items)], i)
	}
}

// Who has waited long enough is taken out by the next one. The rest expires in time.
func TestWhatWasSetLongAgoIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		l := deadline.NewList(time.Now(), time.Second, r.expire)
		var a, b, c deadline.Item[string]
		for _, step := range []struct {
			item  *deadline.Item[string]
			value string
			late  string
		}{{&a, "a", ""}, {&b, "b", ""}, {&c, "c", "a"}, {&c, "c", "b"}, {&c, "c", ""}} {
			got, found := l.SetAndTake(step.item, step.value, 10*time.Millisecond)
			if got != step.late || found != (step.late != "") {
				t.Errorf("setting %s takes %q, %v, want %q", step.value, got, found, step.late)
			}
			if at := step.item.SetAt(); at != time.Since(r.start) {
				t.Errorf("%s was set at %v", step.value, at)
			}
			time.Sleep(10 * time.Millisecond)
		}
		a.Stop() // it does not wait any more
		time.Sleep(5 * time.Second)
		r.want(t, "c@1.04s")
	})
}
