package redislimit

import (
	"time"

	"github.com/sioplug/sioplug/middleware/ratelimit"
)

const MaxDenials = maxDenials

// Denials returns how many are kept.
func Denials(l *Limiter) int {
	l.denials.mu.Lock()
	defer l.denials.mu.Unlock()
	return len(l.denials.young) + len(l.denials.old)
}

// Deny notes that a token of a key has to be waited for.
func Deny(l *Limiter, key string, r ratelimit.Rate, wait time.Duration) {
	l.denials.add(request{key: key, rate: r, cost: 1}, l.now(), wait)
}
