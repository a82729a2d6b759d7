package ratelimit_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// reference is a limiter of golang.org/x/time/rate, asked in the same way.
type reference struct{ *rate.Limiter }

func newReference(r ratelimit.Rate) reference {
	return reference{rate.NewLimiter(rate.Limit(float64(r.N)/r.Per.Seconds()), r.Burst)}
}

func (l reference) take(cost int, maxWait time.Duration) ratelimit.Verdict {
	now := time.Now()
	res := l.ReserveN(now, cost)
	if !res.OK() {
		return ratelimit.Verdict{Wait: ratelimit.Never}
	}
	if d := res.DelayFrom(now); d > maxWait {
		res.CancelAt(now)
		return ratelimit.Verdict{Wait: d}
	} else { //nolint:revive // d is needed in both
		return ratelimit.Verdict{OK: true, Wait: d}
	}
}

// compare asks both limiters the same questions, and wants the same answers, save
// for the nanoseconds that floating point and rounding down may cost.
func compare(t *testing.T, r ratelimit.Rate, next func() (pause time.Duration, cost int, maxWait time.Duration), steps int) {
	t.Helper()
	const slack = time.Microsecond
	m, ref := ratelimit.NewMemory(0), newReference(r)
	for i := range steps {
		pause, cost, maxWait := next()
		time.Sleep(pause)
		got, want := take(t, m, "key", r, cost, maxWait), ref.take(cost, maxWait)
		if got.OK != want.OK || (got.Wait == ratelimit.Never) != (want.Wait == ratelimit.Never) ||
			(got.Wait-want.Wait).Abs() > slack {
			t.Fatalf("%+v, step %d: after %v, %d tokens with maxWait %v: %+v, x/time/rate says %+v",
				r, i, pause, cost, maxWait, got, want)
		}
	}
}

// Where all is a power of two, nothing is rounded, and each decision has to be the
// same, at the very edge as well.
func TestDecidesLikeXTimeRateWhereAllIsExact(t *testing.T) {
	t.Parallel()
	const tick = time.Second / 512
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			r := ratelimit.Rate{N: 1 << rnd.IntN(10), Per: time.Second, Burst: 1 + rnd.IntN(40)}
			compare(t, r, func() (time.Duration, int, time.Duration) {
				return tick * time.Duration(rnd.IntN(600)/(1+rnd.IntN(60))), rnd.IntN(r.Burst+2) / (1 + rnd.IntN(8)),
					tick * time.Duration(max(0, rnd.IntN(200)-100))
			}, 2000)
		})
	}
}

// At any rate, the decisions are the same, unless they hang by less than floating
// point can tell: so maxWait is never a whole number of quarters of a token.
func TestDecidesLikeXTimeRateAtAnyRate(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			r := ratelimit.Rate{
				N: 1 + rnd.IntN(1000), Per: time.Duration(1+rnd.IntN(3600)) * time.Second, Burst: 1 + rnd.IntN(100),
			}
			compareOffBeat(t, r, rnd.IntN, 2000)
		})
	}
}

func compareOffBeat(t *testing.T, r ratelimit.Rate, intn func(int) int, steps int) {
	t.Helper()
	quarter := r.Time(1) / 4
	compare(t, r, func() (time.Duration, int, time.Duration) {
		return quarter * time.Duration(intn(16*r.Burst)/(1+intn(64))), intn(r.Burst+2) / (1 + intn(8)),
			quarter*time.Duration(max(0, intn(40)-20)) + quarter/2
	}, steps)
}

func FuzzDecidesLikeXTimeRate(f *testing.F) {
	f.Add(uint16(3), uint16(1), uint8(3), []byte("any number of steps"))
	f.Add(uint16(7), uint16(3600), uint8(1), []byte{0, 0, 0, 0, 0, 255, 255})
	f.Fuzz(func(t *testing.T, n, seconds uint16, burst uint8, choices []byte) {
		r := ratelimit.Rate{N: int(n%5000) + 1, Per: time.Duration(seconds%7200+1) * time.Second, Burst: int(burst) + 1}
		intn := func(n int) int { // from the input as long as there is some
			if len(choices) < 2 {
				return 0
			}
			v := binary.BigEndian.Uint16(choices)
			choices = choices[2:]
			return int(v) % n
		}
		synctest.Test(t, func(t *testing.T) { compareOffBeat(t, r, intn, len(choices)/10+1) })
	})
}
