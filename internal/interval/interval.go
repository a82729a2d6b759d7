// Package interval limits how often something is done: a line in the log, for example.
package interval

import (
	"sync"
	"time"
)

// A Limit knows when something was done last. The zero value has not done it. It goes on
// if somebody sets the clock. It is safe for concurrent use.
type Limit struct {
	mu   sync.Mutex
	last time.Time
}

// Allow reports whether it is time to do it again: at least every has passed since it
// reported true.
func (l *Limit) Allow(every time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && time.Since(l.last) < every {
		return false
	}
	l.last = time.Now()
	return true
}
