package redislimit

import (
	"time"

	"github.com/sioplug/sioplug/middleware/ratelimit"
)

const MaxDenials = maxDenials

// Denials returns how many are kept.
func Denials(l *Limiter) int {
	l.denied.mu.Lock()
	defer l.denied.mu.Unlock()
	return len(l.denied.young) + len(l.denied.old)
}

// Deny notes that a token of a key has to be waited for.
func Deny(l *Limiter, key string, r ratelimit.Rate, wait time.Duration) {
	l.denied.add(question{key: key, rate: r, cost: 1}, l.now(), wait)
}
