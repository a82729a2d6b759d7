package cluster

import (
	"container/list"
	"context"
	"sync"
)

// A budget is a number of bytes that may be in use at the same time. Who needs more than are
// left waits, in order.
type budget struct {
	max int

	mu      sync.Mutex
	used    int
	waiting list.List // of *claim
}

// A claim waits for its bytes.
type claim struct {
	n     int
	given chan struct{} // closed when it has them
}

// acquire takes n bytes, or waits for them until ctx ends. More than max are there only when
// nothing else is in use. Then release has to follow.
func (b *budget) acquire(ctx context.Context, n int) error {
	b.mu.Lock()
	if b.waiting.Len() == 0 && b.fitsLocked(n) {
		b.used += n
		b.mu.Unlock()
		return nil
	}
	c := &claim{n: n, given: make(chan struct{})}
	e := b.waiting.PushBack(c)
	b.mu.Unlock()
	select {
	case <-c.given:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-c.given:
		b.used -= n
	default:
		b.waiting.Remove(e)
	}
	b.giveLocked()
	return ctx.Err()
}

func (b *budget) fitsLocked(n int) bool { return b.used+n <= b.max || b.used == 0 }

// release gives bytes back.
func (b *budget) release(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.giveLocked()
}

// giveLocked gives bytes to those that wait.
func (b *budget) giveLocked() {
	for e := b.waiting.Front(); e != nil; e = b.waiting.Front() {
		c := e.Value.(*claim) //nolint:forcetypeassert,errcheck // nothing else is in there
		if !b.fitsLocked(c.n) {
			return
		}
		b.waiting.Remove(e)
		b.used += c.n
		close(c.given)
	}
}

func (b *budget) inUse() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
