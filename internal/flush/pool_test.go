package flush_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/internal/flush"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryItemIsFlushedOnceAndInOrderPerKey(t *testing.T) {
	t.Parallel()
	const keys, each = 8, 1000
	var next [keys]atomic.Int32
	var flushed sync.WaitGroup
	flushed.Add(keys * each) // one call more would panic
	p := flush.NewPool(func(it [2]int) {
		defer flushed.Done()
		if got := int(next[it[0]].Add(1)) - 1; got != it[1] {
			t.Errorf("key %d: item %d came as number %d", it[0], it[1], got)
		}
	})
	for k := range keys {
		go func() {
			for i := range each {
				p.Add(uint32(k), [2]int{k, i})
			}
		}()
	}
	flushed.Wait()
}

func BenchmarkAdd(b *testing.B) {
	p := flush.NewPool(func(int) {})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p.Add(uint32(i), i)
	}
}
