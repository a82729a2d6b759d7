// Package flush runs the deferred writes of many connections on few goroutines.
package flush

import (
	"runtime"
	"sync"
)

// A Pool calls a function for items that were added, on about one goroutine per
// processor. Everything that is queued on a connection before its turn comes leaves in
// one write. So the busier the server is, the fewer system calls a message costs.
//
// A goroutine of the pool exists only while it has items. A Pool is safe for concurrent
// use. It has a type parameter so that its test needs no sessions.
type Pool[T any] struct {
	flush  func(T)
	shards []shard[T]
}

type shard[T any] struct {
	mu      sync.Mutex
	items   []T
	spare   []T // the emptied slice of the last round
	running bool

	_ [64]byte // keeps the locks of two shards out of one cache line
}

// maxSpare is the longest emptied list that a shard keeps.
const maxSpare = 4096

// NewPool returns a pool that calls flush. It must not block: the other items of its
// shard wait until it returns.
func NewPool[T any](flush func(T)) *Pool[T] {
	return &Pool[T]{flush: flush, shards: make([]shard[T], runtime.GOMAXPROCS(0))}
}

// Add has flush called for item. Items with the same key are flushed one after the
// other. The caller takes care not to add an item again before its turn has come.
func (p *Pool[T]) Add(key uint32, item T) {
	s := &p.shards[key%uint32(len(p.shards))] //nolint:gosec // the number of processors fits
	s.mu.Lock()
	s.items = append(s.items, item)
	start := !s.running
	s.running = true
	s.mu.Unlock()
	if start {
		go p.run(s) // ends when the shard has no items
	}
}

func (p *Pool[T]) run(s *shard[T]) {
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
			p.flush(it)
		}
		clear(items)
		if cap(items) <= maxSpare {
			s.mu.Lock()
			s.spare = items[:0]
			s.mu.Unlock()
		}
	}
}
