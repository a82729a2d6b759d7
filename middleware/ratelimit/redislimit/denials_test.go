package redislimit_test

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/internal/redistest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
	"github.com/sioplug/sioplug/middleware/ratelimit/redislimit"
)

// calls returns how often Redis was asked to run a script.
func calls(t *testing.T, c *redis.Client) (n int) {
	t.Helper()
	info := c.Info(t.Context(), "commandstats").Val()
	for _, m := range regexp.MustCompile(`cmdstat_eval(?:sha)?:calls=(\d+)`).FindAllStringSubmatch(info, -1) {
		k, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	return n
}

func TestFloodDoesNotGetAsFarAsRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l, c := newLimiter(t, s, redislimit.Options{}), dial(t, s)
	start := time.Now()
	const events = 20_000
	for i := range events {
		if v := take(t, l, "flood", daily(10), 1, 0); v.OK != (i < 10) {
			t.Fatalf("event %d: %+v", i, v)
		}
	}
	// Once for each that was allowed, and then once a second, however long it took.
	most := 10 + 2 + int(time.Since(start)/time.Second) + 1 // and once to load the script
	if n := calls(t, c); n < 11 || n > most {
		t.Errorf("Redis was asked %d times for %d events, want 11 to %d", n, events, most)
	}
}

func TestDenialIsForWhatWasAskedOnly(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, redistest.Start(t), redislimit.Options{})
	r := ratelimit.Rate{N: 24, Per: 24 * time.Hour, Burst: 10}
	take(t, l, "a", r, 6, 0)
	refused := take(t, l, "a", r, 5, 0)
	if refused.OK || refused.Wait.Round(time.Hour) != time.Hour {
		t.Errorf("5 of 4: %+v", refused)
	}
	if v := take(t, l, "a", r, 7, 0); v.OK || v.Wait.Round(time.Hour) != 3*time.Hour {
		t.Errorf("7 of 4: %+v", v)
	}
	if v := take(t, l, "b", r, 5, 0); !v.OK {
		t.Errorf("another key: %+v", v)
	}
	if v := take(t, l, "a", r, 4, 0); !v.OK {
		t.Errorf("4 of 4: %+v", v)
	}
	if v := take(t, l, "a", r, 5, 6*time.Hour); !v.OK || v.Wait.Round(time.Hour) != 5*time.Hour {
		t.Errorf("with maxWait: %+v", v)
	}
	if v := take(t, l, "a", ratelimit.Rate{N: 24, Per: 24 * time.Hour, Burst: 100}, 5, 0); !v.OK {
		t.Errorf("another rate: %+v", v)
	}
}

func TestDenialsOfManyKeysAreBounded(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	l := redislimit.New(client, nil)
	for i := range 10 * redislimit.MaxDenials {
		redislimit.Deny(l, strconv.Itoa(i), daily(1), time.Hour)
		if n := redislimit.Denials(l); n > 2*redislimit.MaxDenials {
			t.Fatalf("%d denials are kept", n)
		}
	}
	// The last ones are known still, without Redis, which is not there.
	if v := take(t, l, strconv.Itoa(10*redislimit.MaxDenials-1), daily(1), 1, 0); v.OK || v.Wait > time.Hour {
		t.Errorf("%+v", v)
	}
}

func TestDeletedKeyIsNoticed(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l, c := newLimiter(t, s, redislimit.Options{}), dial(t, s)
	take(t, l, "a", daily(1), 1, 0)
	if take(t, l, "a", daily(1), 1, 0).OK {
		t.Fatal("allowed")
	}
	c.Del(t.Context(), "ratelimit:a")
	eventually(t, "it is allowed again", func() bool { return take(t, l, "a", daily(1), 1, 0).OK })
}
