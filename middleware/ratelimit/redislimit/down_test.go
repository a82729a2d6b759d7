package redislimit_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/redistest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
	"github.com/sioplug/sioplug/middleware/ratelimit/redislimit"
)

// down kills Redis, and looks who decides then; then it starts it again.
func down(t *testing.T, choice ratelimit.Limiter, decides func(t *testing.T, l ratelimit.Limiter)) {
	t.Helper()
	t.Parallel()
	s, log := redistest.Start(t), new(logbook)
	l := newLimiter(t, s, redislimit.Options{Down: choice, Logger: log.logger(), Retry: 50 * time.Millisecond})
	for round := range 2 {
		key := fmt.Sprint("before", round) // the limiter remembers for a second that it denied
		if v := take(t, l, key, daily(1), 1, 0); !v.OK {
			t.Fatalf("at first: %+v", v)
		}
		if v := take(t, l, key, daily(1), 1, 0); v.OK {
			t.Fatalf("Redis does not decide: %+v", v)
		}
		s.Kill()
		decides(t, l)
		if n := log.count("level=ERROR"); n != 1 {
			t.Errorf("logged %d times that Redis does not answer, want once", n)
		}
		s.Restart() // empty, and without the script
		eventually(t, "Redis decides again", func() bool {
			take(t, l, fmt.Sprint("after", round), daily(1), 0, 0)
			return log.count("level=INFO") == 1
		})
		key = fmt.Sprint("after", round)
		if v := take(t, l, key, daily(1), 1, 0); !v.OK {
			t.Fatalf("after that: %+v", v)
		}
		if v := take(t, l, key, daily(1), 1, 0); v.OK {
			t.Fatalf("after that: %+v", v)
		}
		log.mu.Lock()
		log.text.Reset()
		log.mu.Unlock()
	}
}

func TestRedisGoneDecidesInMemory(t *testing.T) {
	round := 0
	down(t, nil, func(t *testing.T, l ratelimit.Limiter) {
		t.Helper()
		round++
		for i := range 20 {
			if v := take(t, l, fmt.Sprint("meanwhile", round), daily(3), 1, 0); v.OK != (i < 3) {
				t.Errorf("event %d: %+v", i, v)
			}
		}
	})
}

func TestRedisGoneOpen(t *testing.T) {
	down(t, ratelimit.Open(), func(t *testing.T, l ratelimit.Limiter) {
		t.Helper()
		for i := range 20 {
			if v := take(t, l, "meanwhile", daily(3), 1, 0); !v.OK {
				t.Errorf("event %d: %+v", i, v)
			}
		}
	})
}

func TestRedisGoneClosed(t *testing.T) {
	down(t, ratelimit.Closed(), func(t *testing.T, l ratelimit.Limiter) {
		t.Helper()
		for i := range 20 {
			if v := take(t, l, "meanwhile", daily(3), 1, 0); v.OK || v.Wait != time.Second {
				t.Errorf("event %d: %+v", i, v)
			}
		}
	})
}

// failing is a limiter that does not know either.
type failing struct{}

func (failing) Take(context.Context, string, ratelimit.Rate, int, time.Duration) (ratelimit.Verdict, error) {
	return ratelimit.Verdict{}, io.ErrUnexpectedEOF
}

func TestRedisGoneAndTheOtherLimiterFails(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l := newLimiter(t, s, redislimit.Options{Down: failing{}, Logger: slog.New(slog.DiscardHandler)})
	s.Kill()
	if v, err := l.Take(t.Context(), "a", daily(1), 1, 0); v.OK || err == nil {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestRedisThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	s, log := redistest.Start(t), new(logbook)
	l := newLimiter(t, s, redislimit.Options{
		Down: ratelimit.Open(), Logger: log.logger(), Timeout: 200 * time.Millisecond, Retry: 10 * time.Millisecond,
	})
	goOn := s.Hang()
	var wg sync.WaitGroup
	for range 50 { // all at once, and again and again while it hangs
		wg.Go(func() {
			for range 5 {
				if v, err := l.Take(context.Background(), "a", daily(1), 1, 0); err != nil || !v.OK {
					t.Errorf("%+v, %v", v, err)
				}
			}
		})
	}
	wg.Wait()
	if n := log.count("level=ERROR"); n != 1 {
		t.Errorf("logged %d times that Redis does not answer, want once", n)
	}
	goOn()
	eventually(t, "Redis decides again", func() bool { return !take(t, l, "b", daily(1), 1, 0).OK })
}

func TestWhatIsNotOursIsNotTouched(t *testing.T) {
	t.Parallel()
	s, log := redistest.Start(t), new(logbook)
	l, c := newLimiter(t, s, redislimit.Options{Logger: log.logger(), Down: ratelimit.Closed()}), dial(t, s)
	ctx := t.Context()
	if err := c.Set(ctx, "ratelimit:text", "somebody's", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if v := take(t, l, "text", daily(1), 1, 0); v.OK {
		t.Errorf("%+v", v)
	}
	if got := c.Get(ctx, "ratelimit:text").Val(); got != "somebody's" {
		t.Errorf("it is %q now", got)
	}
	if log.count("level=ERROR") != 1 {
		t.Error("not logged")
	}
}

// A client that leaves while its event is with Redis must not look like a Redis that
// does not answer.
func TestClientThatLeavesIsNoFailure(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, redistest.Start(t), redislimit.Options{Down: ratelimit.Closed()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if v, err := l.Take(ctx, "a", daily(1), 1, 0); err != nil || !v.OK {
		t.Errorf("%+v, %v", v, err)
	}
}
