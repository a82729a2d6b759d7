package ratelimit_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/middleware/ratelimit"
)

func take(tb testing.TB, l ratelimit.Limiter, key string, r ratelimit.Rate, cost int, maxWait time.Duration) ratelimit.Verdict {
	tb.Helper()
	v, err := l.Take(context.Background(), key, r, cost, maxWait)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// takes counts how many of most are allowed at once.
func takes(tb testing.TB, l ratelimit.Limiter, key string, r ratelimit.Rate, cost, most int) int {
	tb.Helper()
	for n := range most {
		if !take(tb, l, key, r, cost, 0).OK {
			return n
		}
	}
	return most
}

func TestTimeOfTokens(t *testing.T) {
	t.Parallel()
	const forever = 1 << 60
	for _, tt := range []struct {
		n    int
		per  time.Duration
		of   int
		want time.Duration
	}{
		{1, time.Second, 1, time.Second},
		{3, time.Second, 1, 333333333},
		{3, time.Second, 3, time.Second},
		{3, time.Second, 0, 0},
		{3, time.Second, -1, 0},
		{1 << 30, time.Second, 1, 0}, // less than a nanosecond
		{math.MaxInt, time.Second, math.MaxInt, time.Second},
		// By way of a float64 this comes out one short.
		{999_999_937, 1<<53 + 1, 999_999_937, 1<<53 + 1},
		// What does not fit.
		{1, time.Hour, math.MaxInt, forever},
		{1, math.MaxInt64, 1, forever},
		{2, math.MaxInt64, math.MaxInt, forever},
		{0, time.Second, 1, 0},
	} {
		r := ratelimit.Rate{N: tt.n, Per: tt.per}
		if got := r.Time(tt.of); got != tt.want {
			t.Errorf("%d in %v: the time of %d is %d, want %d", tt.n, tt.per, tt.of, got, tt.want)
		}
	}
}

func TestBurstAtTheLimitAndOnePast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, r := range []ratelimit.Rate{
			{N: 1, Per: time.Second, Burst: 1},
			{N: 3, Per: time.Second, Burst: 3},
			{N: 7, Per: 24 * time.Hour, Burst: 7},
			{N: 49, Per: 24*time.Hour + 1, Burst: 49},
			{N: 1000, Per: time.Second, Burst: 1000},
			{N: 30_000, Per: time.Second, Burst: 30_000},
			{N: 5, Per: time.Second, Burst: 100},
			{N: 100, Per: time.Second, Burst: 5},
		} {
			m := ratelimit.NewMemory(0)
			if n := takes(t, m, "a", r, 1, r.Burst+1); n != r.Burst {
				t.Errorf("%+v: %d at once, want %d", r, n, r.Burst)
			}
			if n := takes(t, m, "b", r, r.Burst, 2); n != 1 {
				t.Errorf("%+v: a full bucket can be emptied %d times, want once", r, n)
			}
			refused := take(t, m, "a", r, 1, 0)
			if want := r.Time(1); refused.OK || refused.Wait <= 0 || refused.Wait > want {
				t.Errorf("%+v: %+v, want a wait of up to %v", r, refused, want)
			}
			time.Sleep(refused.Wait - time.Nanosecond)
			if v := take(t, m, "a", r, 1, 0); v.OK || v.Wait != 1 {
				t.Errorf("%+v: a nanosecond early: %+v", r, v)
			}
			time.Sleep(time.Nanosecond)
			if n := takes(t, m, "a", r, 1, 2); n != 1 {
				t.Errorf("%+v: %d came back when told, want 1", r, n)
			}
			time.Sleep(r.Time(r.Burst))
			if n := takes(t, m, "a", r, 1, r.Burst+1); n != r.Burst {
				t.Errorf("%+v: %d at once after a pause, want %d", r, n, r.Burst)
			}
		}
	})
}

func TestCostsAreTakenAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := ratelimit.NewMemory(0)
		r := ratelimit.Rate{N: 10, Per: time.Second, Burst: 10}
		if v := take(t, m, "a", r, 11, time.Hour); v.OK || v.Wait != ratelimit.Never {
			t.Errorf("more than a full bucket: %+v", v)
		}
		if v := take(t, m, "a", r, math.MaxInt, 0); v.OK || v.Wait != ratelimit.Never {
			t.Errorf("a huge cost: %+v", v)
		}
		if m.Len() != 0 {
			t.Errorf("%d buckets kept of what was refused", m.Len())
		}
		if v := take(t, m, "a", r, 7, 0); !v.OK {
			t.Errorf("7 of 10: %+v", v)
		}
		if v := take(t, m, "a", r, 4, 0); v.OK || v.Wait != 100*time.Millisecond {
			t.Errorf("4 of 3: %+v", v)
		}
		if v := take(t, m, "a", r, 3, 0); !v.OK {
			t.Errorf("3 of 3: %+v", v)
		}
		if v := take(t, m, "a", r, 0, 0); !v.OK || v.Wait != 0 {
			t.Errorf("nothing of nothing: %+v", v)
		}
	})
}

func TestPatienceBorrowsFromTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := ratelimit.NewMemory(0)
		r := ratelimit.Rate{N: 10, Per: time.Second, Burst: 2}
		for i, want := range []time.Duration{0, 0, 100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond} {
			v := take(t, m, "a", r, 1, 300*time.Millisecond)
			if !v.OK || v.Wait != want {
				t.Errorf("%d: %+v, want a wait of %v", i, v, want)
			}
		}
		if v := take(t, m, "a", r, 1, 300*time.Millisecond); v.OK || v.Wait != 400*time.Millisecond {
			t.Errorf("one past: %+v", v)
		}
	})
}

// What cannot be calculated must neither let everything through nor stop
// everything for good.
func TestExtremes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := ratelimit.NewMemory(0)
		long := ratelimit.Rate{N: 1, Per: math.MaxInt64, Burst: 1}
		if n := takes(t, m, "long", long, 1, 3); n != 1 {
			t.Errorf("one in 292 years: %d", n)
		}
		deep := ratelimit.Rate{N: 1, Per: time.Hour, Burst: math.MaxInt}
		if n := takes(t, m, "deep", deep, 1, 1000); n != 1000 {
			t.Errorf("of an endless bucket: %d", n)
		}
		if n := takes(t, m, "deep", deep, math.MaxInt, 3); n > 1 {
			t.Errorf("an endless bucket was emptied %d times", n)
		}
		fast := ratelimit.Rate{N: math.MaxInt, Per: time.Nanosecond, Burst: math.MaxInt}
		if n := takes(t, m, "fast", fast, math.MaxInt/2, 1000); n < 2 {
			t.Errorf("as good as unlimited: %d", n)
		}
		if v := take(t, m, "patient", long, 1, math.MaxInt64); !v.OK || v.Wait != 0 {
			t.Errorf("%+v", v)
		}
		if v := take(t, m, "patient", long, 1, math.MaxInt64); v.Wait < 0 {
			t.Errorf("negative wait: %+v", v)
		}
		if v := take(t, m, "zero", ratelimit.Rate{}, 1, 0); v.OK {
			t.Errorf("a rate of nothing allows something")
		}
	})
}

func TestBucketsAreForgottenWhenTheyAreFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := ratelimit.NewMemory(0)
		r := ratelimit.Rate{N: 60, Per: time.Minute, Burst: 60}
		const keys = 5000
		for i := range keys {
			take(t, m, strconv.Itoa(i), r, 1, 0)
		}
		if m.Len() != keys {
			t.Fatalf("%d buckets, want %d", m.Len(), keys)
		}
		time.Sleep(time.Minute)
		take(t, m, "somebody", r, 1, 0) // the first one to come begins a new generation
		if m.Len() != keys+1 {
			t.Fatalf("%d buckets, want %d: forgotten before their time", m.Len(), keys+1)
		}
		time.Sleep(time.Minute)
		take(t, m, "somebody", r, 1, 0)
		if m.Len() > 2 {
			t.Errorf("%d buckets left after twice the time they take to fill", m.Len())
		}
	})
}

func TestNoBucketIsForgottenBeforeItIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := ratelimit.NewMemory(0)
		slow := ratelimit.Rate{N: 1, Per: time.Hour, Burst: 1}
		fast := ratelimit.Rate{N: 10, Per: time.Second, Burst: 10}
		rnd := rand.New(rand.NewPCG(1, 1))
		until := make(map[string]time.Time)
		for i := range 20_000 {
			time.Sleep(time.Duration(rnd.IntN(10_000)) * time.Millisecond)
			take(t, m, "fast"+strconv.Itoa(i%100), fast, 1, 0) // keeps the generations changing
			key := strconv.Itoa(rnd.IntN(500))
			free := !time.Now().Before(until[key])
			if v := take(t, m, key, slow, 1, 0); v.OK != free {
				t.Fatalf("step %d: %+v, but is it free? %v", i, v, free)
			}
			if free {
				until[key] = time.Now().Add(time.Hour)
			}
		}
	})
}

func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	r := ratelimit.Rate{N: 1, Per: time.Hour, Burst: 1}
	for _, most := range []int{1, 2, 100, 4095, 4096, 5000} {
		synctest.Test(t, func(t *testing.T) {
			m := ratelimit.NewMemory(most)
			for i := range 10 * most {
				take(t, m, strconv.Itoa(i), r, 1, 0)
				if m.Len() > most {
					t.Fatalf("%d buckets, want at most %d", m.Len(), most)
				}
			}
			if m.Len() < most/4 {
				t.Errorf("%d buckets, room for %d", m.Len(), most)
			}
		})
	}
}

// Somebody who used up a bucket must not get another one by making up so many keys
// that there is no room for it.
func TestMadeUpKeysDoNotEmptyTheMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const most = 1 << 13
		m := ratelimit.NewMemory(most)
		r := ratelimit.Rate{N: 10, Per: time.Hour, Burst: 10}
		for i := range 100 {
			takes(t, m, "attacker"+strconv.Itoa(i), r, 1, 10)
		}
		for i := range 20 * most {
			if n := take(t, m, "made up "+strconv.Itoa(i), r, 1, 0); !n.OK {
				t.Fatalf("a new key has no bucket: %+v", n)
			}
		}
		for i := range 100 {
			if v := take(t, m, "attacker"+strconv.Itoa(i), r, 1, 0); v.OK {
				t.Fatalf("attacker %d has a new bucket", i)
			}
		}
		if m.Len() > most {
			t.Errorf("%d buckets, want at most %d", m.Len(), most)
		}
	})
}

func TestMillionsOfKeysTakeBoundedMemory(t *testing.T) {
	// Not parallel: it measures the heap.
	m := ratelimit.NewMemory(1 << 18)
	r := ratelimit.Rate{N: 1, Per: time.Hour, Burst: 2}
	before := heap()
	key := make([]byte, 8)
	const came = 2_000_000
	for i := range uint64(came) {
		binary.BigEndian.PutUint64(key, i)
		take(t, m, string(key), r, 1, 0)
	}
	used, kept := heap()-before, m.Len()
	t.Logf("%d keys came, %d were kept in %d bytes: %d each", came, kept, used, used/int64(max(1, kept)))
	if most := int64(1 << 18 * 48); used > most {
		t.Errorf("%d bytes for %d buckets, want at most %d", used, kept, most)
	}
	runtime.KeepAlive(m)
}

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

func TestNoMoreThanTheLimitUnderConcurrency(t *testing.T) {
	t.Parallel()
	m := ratelimit.NewMemory(1 << 12)
	r := ratelimit.Rate{N: 100, Per: 24 * time.Hour, Burst: 100}
	const keys, workers = 20, 16
	var got [keys]atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range 2000 {
				k := (i + w) % keys
				if v, _ := m.Take(t.Context(), fmt.Sprint(k), r, 1, 0); v.OK {
					got[k].Add(1)
				}
				m.Len()
			}
		})
	}
	wg.Wait()
	for k := range got {
		if n := got[k].Load(); n != 100 {
			t.Errorf("key %d: %d allowed, want 100", k, n)
		}
	}
}

func TestOpenAndClosed(t *testing.T) {
	t.Parallel()
	r := ratelimit.Rate{N: 1, Per: time.Hour, Burst: 1}
	if v := take(t, ratelimit.Open(), "a", r, 5, 0); v != (ratelimit.Verdict{OK: true}) {
		t.Errorf("Open: %+v", v)
	}
	if v := take(t, ratelimit.Closed(), "a", r, 1, 0); v != (ratelimit.Verdict{Wait: time.Second}) {
		t.Errorf("Closed: %+v", v)
	}
}
