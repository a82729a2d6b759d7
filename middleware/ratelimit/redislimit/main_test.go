package redislimit_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/internal/redistest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
	"github.com/sioplug/sioplug/middleware/ratelimit/redislimit"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // it complains of what the tests do to servers
	goleak.VerifyTestMain(m)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// maxWait is how long a test waits for what has to happen before it fails. A
// machine may be so busy that Redis needs more than its 100 ms, so the limiters of
// tests wait longer, too.
const maxWait = time.Minute

// A logbook keeps what is logged.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func dial(t *testing.T, s *redistest.Server) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func newLimiter(t *testing.T, s *redistest.Server, opts redislimit.Options) *redislimit.Limiter {
	t.Helper()
	if opts.Timeout == 0 {
		opts.Timeout = maxWait
	}
	if opts.Logger == nil { // for a test in which Redis is there all the time
		log := new(logbook)
		opts.Logger = log.logger()
		t.Cleanup(func() {
			if log.count("level=") > 0 {
				t.Errorf("it was logged that Redis does not answer:\n%s", log.text.String())
			}
		})
	}
	return redislimit.New(dial(t, s), &opts)
}

func take(t *testing.T, l ratelimit.Limiter, key string, r ratelimit.Rate, cost int, maxWait time.Duration) ratelimit.Verdict {
	t.Helper()
	v, err := l.Take(t.Context(), key, r, cost, maxWait)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// eventually looks again and again whether something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(maxWait); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// daily rates do not change while a test runs.
func daily(n int) ratelimit.Rate { return ratelimit.Rate{N: n, Per: 24 * time.Hour, Burst: n} }
