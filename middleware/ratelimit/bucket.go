package ratelimit

import (
	"context"
	"math/bits"
	"time"
)

// A Rate is how fast a bucket fills and how much it holds. All fields are above 0.
type Rate struct {
	N     int           // number of tokens that come back
	Per   time.Duration // the time in which N tokens come back
	Burst int           // tokens in a full bucket
}

// forever is the longest time in calculations, some 36 years. Sums of a few such times
// fit into a Duration.
const forever time.Duration = 1 << 60

// Time returns the time in which n tokens come back, rounded down to the nanosecond, and
// at most some 36 years.
func (r Rate) Time(n int) time.Duration {
	if r.N <= 0 || r.Per <= 0 || n <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(r.Per), uint64(n))
	if hi >= uint64(r.N) {
		return forever
	}
	t, _ := bits.Div64(hi, lo, uint64(r.N))
	return time.Duration(min(t, uint64(forever)))
}

// take takes cost tokens out of a bucket if it has them, and returns when the bucket is
// full again. All times are since the same moment. This is the generic cell rate
// algorithm, which is equivalent to a bucket of tokens.
func (r Rate) take(full, now time.Duration, cost int, maxWait time.Duration) (time.Duration, Verdict) {
	if cost > r.Burst {
		return full, Verdict{Wait: Never}
	}
	after := max(full, now) + r.Time(cost)
	wait := after - now - r.Time(r.Burst)
	if wait > min(maxWait, forever) {
		return full, Verdict{Wait: wait}
	}
	return after, Verdict{OK: true, Wait: max(wait, 0)}
}

// A Verdict is the decision of a [Limiter].
type Verdict struct {
	OK bool

	// Wait is how long to wait: if OK, before the event is handled, otherwise before
	// another attempt, or [Never].
	Wait time.Duration
}

// Never is the Wait of an event that costs more than a full bucket holds.
const Never time.Duration = -1

// A Limiter keeps buckets. It must be safe for concurrent use.
type Limiter interface {
	// Take takes cost tokens, 0 or more, out of the bucket of that key. If the bucket
	// has not enough tokens, Take looks when they will have come back. If that is
	// within maxWait, it takes them in advance and returns how long to wait. Otherwise
	// it takes none. If the limiter cannot decide, it returns an error, and the event
	// is refused. Take must not block for long, because the events of the socket wait
	// for it.
	Take(ctx context.Context, key string, r Rate, cost int, maxWait time.Duration) (Verdict, error)
}

// Open returns a [Limiter] that allows everything, and [Closed] one that refuses
// everything. Use them for the time when another limiter is unavailable.
func Open() Limiter { return constant{Verdict{OK: true}} }

// Closed returns a [Limiter] that refuses everything, and tells clients to try
// again in a second. See [Open].
func Closed() Limiter { return constant{Verdict{Wait: time.Second}} }

type constant struct{ verdict Verdict }

func (c constant) Take(context.Context, string, Rate, int, time.Duration) (Verdict, error) {
	return c.verdict, nil
}
