package ratelimit

import (
	"context"
	"math/bits"
	"time"
)

// A Rate is how fast a bucket fills, and how much it holds. All are above 0.
type Rate struct {
	N     int           // tokens that come back
	Per   time.Duration // in this time
	Burst int           // tokens in a full bucket
}

// forever is the longest time that takes part in calculations, some 36 years, so
// that sums of a few fit into a Duration.
const forever time.Duration = 1 << 60

// Time returns how long it takes for n tokens to come back, rounded down to the
// nanosecond, and no more than some 36 years.
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

// take takes cost tokens out of a bucket, if it has them, and returns when it is
// full again. Times are measured from the same moment. This is the generic cell
// rate algorithm, which allows exactly what a bucket of tokens does.
func (r Rate) take(full, now time.Duration, cost int, patience time.Duration) (time.Duration, Verdict) {
	if cost > r.Burst {
		return full, Verdict{Wait: Never}
	}
	after := max(full, now) + r.Time(cost)
	wait := after - now - r.Time(r.Burst)
	if wait > min(patience, forever) {
		return full, Verdict{Wait: wait}
	}
	return after, Verdict{OK: true, Wait: max(wait, 0)}
}

// A Verdict is what a [Limiter] says.
type Verdict struct {
	OK bool

	// Wait is when OK, how long to wait before going on; otherwise when to try
	// again, or [Never].
	Wait time.Duration
}

// Never is the Wait of what costs more than a full bucket has.
const Never time.Duration = -1

// A Limiter keeps buckets. It must be safe for concurrent use.
type Limiter interface {
	// Take takes cost tokens, not below 0, out of the bucket of that key. If
	// there are not enough, it either takes them before they have come back, if
	// that is within patience, or none. An error means that the limiter does not
	// know: whatever asked is refused. Take must not wait long, since the events
	// of a socket wait for it.
	Take(ctx context.Context, key string, r Rate, cost int, patience time.Duration) (Verdict, error)
}

// Open returns a [Limiter] that allows everything, and [Closed] one that refuses
// everything. They say what is to happen when another one cannot be asked.
func Open() Limiter { return constant{Verdict{OK: true}} }

// Closed returns a [Limiter] that refuses everything, and tells clients to try
// again in a second. See [Open].
func Closed() Limiter { return constant{Verdict{Wait: time.Second}} }

type constant struct{ verdict Verdict }

func (c constant) Take(context.Context, string, Rate, int, time.Duration) (Verdict, error) {
	return c.verdict, nil
}
