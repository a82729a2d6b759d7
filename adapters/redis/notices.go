package redisadapter

import "sync"

// A notices makes calls in order, and without a lock of those who add them.
type notices struct {
	mu    sync.Mutex
	calls []func()
	busy  bool // a goroutine makes them
}

// add notes a call. It may be called with locks held.
func (n *notices) add(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls = append(n.calls, f)
}

// flush makes the calls, unless another goroutine does already.
func (n *notices) flush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy {
		return
	}
	n.busy = true
	for len(n.calls) > 0 {
		calls := n.calls
		n.calls = nil
		n.mu.Unlock()
		for _, f := range calls {
			f()
		}
		n.mu.Lock()
	}
	n.busy = false
}
