package flush_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/internal/flush"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryItemIsServedOnceAndInOrderPerKey(t *testing.T) {
	t.Parallel()
	const keys, each = 8, 1000
	var next [keys]atomic.Int32
	w := flush.NewWorkers(func(it [2]int) {
		if got := int(next[it[0]].Add(1)) - 1; got != it[1] {
			t.Errorf("key %d: item %d came as number %d", it[0], it[1], got)
		}
	})
	var wg sync.WaitGroup
	for k := range keys {
		wg.Go(func() {
			for i := range each {
				w.Add(uint32(k), [2]int{k, i})
			}
		})
	}
	wg.Wait()
	w.Wait()
	for k := range keys {
		if got := next[k].Load(); got != each {
			t.Errorf("key %d: %d items served, want %d", k, got, each)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	w := flush.NewWorkers(func(int) {})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.Add(uint32(i), i)
	}
	w.Wait()
}
