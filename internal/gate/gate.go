// Package gate counts running calls. When a gate is closed, it lets no call begin and
// says when all of them have ended.
package gate

import "sync"

// A Gate is a wait group that can be closed: unlike with [sync.WaitGroup],
// entering and waiting may race. The zero Gate is open. It is safe for
// concurrent use.
type Gate struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{}
}

// Enter reports whether the gate is open. If so, [Gate.Leave] must follow.
func (g *Gate) Enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside++
	return true
}

// Leave undoes an Enter.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.closed {
		close(g.empty)
	}
}

// Close closes the gate: from now on, Enter returns false. The channel is closed when
// every Enter has been followed by a Leave. Close may be called again.
func (g *Gate) Close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		g.empty = make(chan struct{})
		if g.inside == 0 {
			close(g.empty)
		}
	}
	return g.empty
}

// Closed reports whether Close was called.
func (g *Gate) Closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}
