// Package flush runs the deferred writes of many connections on few goroutines.
package flush

import (
	"runtime"
	"sync"
)

// Workers call a function for items that were added, about one goroutine per
// processor. What is queued on a connection between the moment it is added and
// the moment its turn comes leaves in one write, so the busier the server, the
// fewer system calls per message.
//
// A worker's goroutine exists only while it has items. Workers are safe for
// concurrent use.
type Workers[T any] struct {
	do     func(T)
	shards []shard[T]
	wg     sync.WaitGroup
}

type shard[T any] struct {
	mu      sync.Mutex
	items   []T
	spare   []T // the emptied slice of the last round
	running bool

	_ [64]byte // keeps the locks of two shards out of one cache line
}

// keep is the longest emptied list that a worker holds on to.
const keep = 4096

// NewWorkers returns workers that call do. do must not block: whatever it
// waits for delays all other items of its worker.
func NewWorkers[T any](do func(T)) *Workers[T] {
	return &Workers[T]{do: do, shards: make([]shard[T], runtime.GOMAXPROCS(0))}
}

// Add hands item to a worker. Items with the same key are served one after the
// other by the same worker. The caller takes care not to add an item twice
// before its turn has come.
func (w *Workers[T]) Add(key uint32, item T) {
	s := &w.shards[key%uint32(len(w.shards))] //nolint:gosec // the number of processors fits
	s.mu.Lock()
	s.items = append(s.items, item)
	start := !s.running
	s.running = true
	s.mu.Unlock()
	if start {
		w.wg.Go(func() { w.run(s) })
	}
}

// Wait waits until there is nothing to do, for tests. Nothing may be added
// meanwhile.
func (w *Workers[T]) Wait() { w.wg.Wait() }

func (w *Workers[T]) run(s *shard[T]) {
	for {
		s.mu.Lock()
		items := s.items
		if len(items) == 0 {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.items, s.spare = s.spare, nil
		s.mu.Unlock()
		for _, it := range items {
			w.do(it)
		}
		clear(items)
		if cap(items) <= keep {
			s.mu.Lock()
			s.spare = items[:0]
			s.mu.Unlock()
		}
	}
}
