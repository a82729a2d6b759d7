package deadline_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/internal/deadline"
)

const (
	due   = time.Millisecond
	every = 10 * time.Millisecond
)

// What began before a look is found at its deadline, and the rest at the next look.
func TestAWatchFindsWhatTakesLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		w := deadline.NewWatch(time.Now(), due, every, r.expire)
		var a, b, c, quick deadline.Item[string]
		w.Set(0, &quick, "quick")
		quick.Stop()
		time.Sleep(every - due/2)
		w.Set(1, &a, "a")
		time.Sleep(due / 4)
		w.Set(2, &b, "b")
		time.Sleep(time.Second)
		r.want(t, "a@10.5ms", "b@10.75ms")
		w.Set(0, &c, "c") // the watch had ended
		time.Sleep(time.Second)
		r.want(t, "a@10.5ms", "b@10.75ms", "c@1.01975s")
	})
}

// While something waits, the watch looks at each deadline.
func TestAWatchIsExactWhileItFindsSomething(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{start: time.Now()}
		w := deadline.NewWatch(time.Now(), due, every, r.expire)
		items := make([]deadline.Item[string], 5)
		w.Set(0, &items[0], "0")
		time.Sleep(every - due/2)
		for i := range items {
			w.Set(uint32(i), &items[i], string(rune('0'+i)))
			time.Sleep(due / 2)
		}
		time.Sleep(time.Second)
		r.want(t, "0@10.5ms", "1@11ms", "2@11.5ms", "3@12ms", "4@12.5ms")
	})
}

// A Set while the watch looks may neither be lost nor expire early.
func TestAWatchMissesNothing(t *testing.T) {
	t.Parallel()
	var left sync.WaitGroup
	var early atomic.Int32
	type wait struct {
		since   time.Time
		expired chan struct{}
	}
	w := deadline.NewWatch(time.Now(), 100*time.Microsecond, time.Millisecond, func(v *wait) {
		if time.Since(v.since) < 100*time.Microsecond {
			early.Add(1)
		}
		v.expired <- struct{}{}
	})
	for key := range uint32(16) {
		left.Go(func() {
			var it deadline.Item[*wait]
			for i := range 200 {
				v := &wait{time.Now(), make(chan struct{}, 1)}
				w.Set(key, &it, v)
				if i%2 == 0 {
					it.Stop()
					continue
				}
				<-v.expired
			}
		})
	}
	left.Wait()
	if n := early.Load(); n > 0 {
		t.Errorf("%d deadlines expired early", n)
	}
}

func BenchmarkWatch(b *testing.B) {
	w := deadline.NewWatch(time.Now(), due, every, func(int) {})
	var keys atomic.Uint32
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		key := keys.Add(1)
		var it deadline.Item[int]
		for pb.Next() {
			w.Set(key, &it, 0)
			it.Stop()
		}
	})
}
