package sioclient

import (
	"math"
	"math/rand/v2"
	"time"
)

// A backoff computes how long to wait before connecting again.
type backoff struct {
	first, most time.Duration
	jitter      float64 // from 0 to 1
}

func (o *Options) backoff() backoff {
	return backoff{first: o.ReconnectionDelay, most: o.ReconnectionDelayMax, jitter: o.RandomizationFactor}
}

// delay returns how long to wait before attempt n, which counts from 0 (CLI-RC-1). The
// jitter is spread over the full range, and not over parts of it as in JavaScript
// (CLI-RC-5).
func (b backoff) delay(n int) time.Duration {
	d := float64(b.first) * math.Pow(2, float64(n))
	if b.jitter > 0 {
		d *= 1 + b.jitter*(2*rand.Float64()-1) //nolint:gosec // it spreads clients, and protects nothing
	}
	return time.Duration(min(d, float64(b.most)))
}
