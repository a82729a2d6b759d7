package redislimit_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/redistest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
	"github.com/sioplug/sioplug/middleware/ratelimit/redislimit"
)

func TestDecidesLikeMemory(t *testing.T) {
	t.Parallel()
	l, m := newLimiter(t, redistest.Start(t), redislimit.Options{}), ratelimit.NewMemory(0)
	rnd := rand.New(rand.NewPCG(1, 1))
	const slack = 4 * time.Minute // that the test may take; no decision below hangs by less
	for i := range 2000 {
		r := ratelimit.Rate{N: 1 + i%7, Per: 24 * time.Hour, Burst: 1 + i%11}
		key := fmt.Sprint("key", i%77) // always with the same rate
		cost, maxWait := rnd.IntN(r.Burst+2), time.Duration(max(0, rnd.IntN(48)-24))*time.Hour+30*time.Minute
		got, want := take(t, l, key, r, cost, maxWait), take(t, m, key, r, cost, maxWait)
		if got.OK != want.OK || (got.Wait-want.Wait).Abs() > slack || (got.Wait == ratelimit.Never) != (want.Wait == ratelimit.Never) {
			t.Fatalf("step %d: %+v, %d tokens with maxWait %v: %+v, in memory %+v", i, r, cost, maxWait, got, want)
		}
	}
}

func TestAtTheLimitAndOnePast(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, redistest.Start(t), redislimit.Options{})
	for _, n := range []int{1, 3, 1000} {
		r := daily(n)
		for i := range n {
			if v := take(t, l, fmt.Sprint(n), r, 1, 0); !v.OK || v.Wait != 0 {
				t.Fatalf("%d of %d: %+v", i, n, v)
			}
		}
		if v := take(t, l, fmt.Sprint(n), r, 1, 0); v.OK || v.Wait <= 0 || v.Wait > r.Time(1) {
			t.Errorf("one past %d: %+v", n, v)
		}
		if v := take(t, l, fmt.Sprint(n), r, 0, 0); !v.OK {
			t.Errorf("what is free: %+v", v)
		}
		if v := take(t, l, fmt.Sprint(n, "other"), r, n+1, 0); v.OK || v.Wait != ratelimit.Never {
			t.Errorf("more than a full bucket: %+v", v)
		}
	}
}

func TestTokensComeBackWhenTold(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, redistest.Start(t), redislimit.Options{})
	r := ratelimit.Rate{N: 1, Per: 30 * time.Millisecond, Burst: 1}
	for allowed, tries := 0, 0; allowed < 20; tries++ {
		v := take(t, l, "a", r, 1, 0)
		if v.OK {
			allowed++
			continue
		}
		if v.Wait <= 0 || v.Wait > r.Per {
			t.Fatalf("told to wait for %v", v.Wait)
		}
		<-time.After(v.Wait)
		if tries > 1000 {
			t.Fatal("they do not")
		}
	}
}

func TestPatienceBorrowsFromTheFuture(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, redistest.Start(t), redislimit.Options{})
	r := ratelimit.Rate{N: 24, Per: 24 * time.Hour, Burst: 1} // one an hour
	for i := range 3 {
		if v := take(t, l, "a", r, 1, 150*time.Minute); !v.OK || v.Wait.Round(time.Hour) != time.Duration(i)*time.Hour {
			t.Errorf("%d: %+v", i, v)
		}
	}
	if v := take(t, l, "a", r, 1, 150*time.Minute); v.OK || v.Wait.Round(time.Hour) != 3*time.Hour {
		t.Errorf("one past: %+v", v)
	}
}

func TestServersShareBuckets(t *testing.T) {
	t.Parallel()
	shared := redistest.Start(t)
	server := func(log *slog.Logger) siotest.Dialer {
		srv := sio.New(&sio.Options{Logger: log})
		l := newLimiter(t, shared, redislimit.Options{})
		user := func(*sio.Socket) string { return "ann" }
		srv.On("post", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil }),
			ratelimit.PerUser(user, 7, 24*time.Hour, ratelimit.In(l, "posts")))
		srv.UseConnect(ratelimit.PerIP(3, 24*time.Hour, ratelimit.In(l, "connects")))
		d := siotest.Loopback(t, srv)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), maxWait)
			defer cancel()
			if err := srv.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
		return d
	}
	log := slog.New(slog.DiscardHandler)
	a, b := server(log), server(log)
	peers := []*siotest.Peer{a.Connect(t, "/", nil), b.Connect(t, "/", nil), a.Connect(t, "/", nil)}
	if _, err := b.TryConnect(t, "/", nil); err == nil {
		t.Error("a fourth connect was allowed")
	}
	allowed := 0
	for range 5 {
		for _, p := range peers {
			if p.Ask("post").Err() == nil {
				allowed++
			}
		}
	}
	if allowed != 7 {
		t.Errorf("%d events allowed, want 7", allowed)
	}
}

func TestNoMoreThanTheLimitUnderConcurrency(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	limiters := []*redislimit.Limiter{newLimiter(t, s, redislimit.Options{}), newLimiter(t, s, redislimit.Options{})}
	const keys = 5
	var got [keys]atomic.Int64
	var wg sync.WaitGroup
	for w := range 10 {
		wg.Go(func() {
			for i := range 500 {
				v, err := limiters[w%2].Take(t.Context(), strconv.Itoa(i%keys), daily(100), 1, 0)
				if err != nil {
					t.Error(err)
				}
				if v.OK {
					got[i%keys].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for k := range got {
		if n := got[k].Load(); n != 100 {
			t.Errorf("key %d: %d allowed, want 100", k, n)
		}
	}
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l, c := newLimiter(t, s, redislimit.Options{Prefix: "test:"}), dial(t, s)
	take(t, l, "long", ratelimit.Rate{N: 10, Per: 10 * time.Hour, Burst: 10}, 3, 0)
	if ttl := c.PTTL(t.Context(), "test:long").Val(); ttl <= 2*time.Hour || ttl > 3*time.Hour {
		t.Errorf("the bucket is full in three hours and ends in %v", ttl)
	}
	take(t, l, "short", ratelimit.Rate{N: 1, Per: time.Millisecond, Burst: 1}, 1, 0)
	take(t, l, "very short", ratelimit.Rate{N: 1 << 40, Per: time.Second, Burst: 1}, 1, 0)
	take(t, l, "free", daily(1), 0, 0)
	eventually(t, "only one key is left", func() bool {
		return c.DBSize(t.Context()).Val() == 1 && c.Exists(t.Context(), "test:long").Val() == 1
	})
}

func TestKeysThatClientsChooseAreOfBoundedLength(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l, c := newLimiter(t, s, redislimit.Options{}), dial(t, s)
	long := strings.Repeat("x", 1<<20)
	for _, key := range []string{"limit:" + long, "limit:" + long + "y", "limit:{a}", "limit:{b}", "limit:", "limit:ok"} {
		if !take(t, l, key, daily(1), 1, 0).OK || take(t, l, key, daily(1), 1, 0).OK {
			t.Errorf("key %.20q has no bucket of its own", key)
		}
	}
	keys := c.Keys(t.Context(), "*").Val()
	for _, k := range keys {
		if len(k) > 150 || strings.Contains(k, "{") || !strings.HasPrefix(k, "ratelimit:") {
			t.Errorf("key %.200q", k)
		}
	}
	if len(keys) != 6 {
		t.Errorf("%d keys, want 6", len(keys))
	}
}

func TestScriptIsLoadedAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	l, c := newLimiter(t, s, redislimit.Options{}), dial(t, s)
	for i := range 5 {
		if v := take(t, l, "a", daily(3), 1, 0); v.OK != (i < 3) {
			t.Errorf("event %d: %+v", i, v)
		}
		if err := c.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// A cluster of one server is as strict about keys as one of many.
func TestCluster(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--cluster-enabled", "yes")
	one := dial(t, s)
	if err := one.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster is ready", func() bool {
		return strings.Contains(one.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.Addr}, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	log := new(logbook)
	l := redislimit.New(c, &redislimit.Options{Down: ratelimit.Closed(), Timeout: maxWait, Logger: log.logger()})
	for i := range 100 {
		key := fmt.Sprint(i)
		if !take(t, l, key, daily(1), 1, 0).OK || take(t, l, key, daily(1), 1, 0).OK {
			t.Errorf("key %s has no bucket of its own", key)
		}
	}
	if log.count("level=") > 0 {
		t.Error(log.text.String())
	}
}

func TestMisusePanicsAndNamesTheFix(t *testing.T) {
	t.Parallel()
	good := redis.NewClient(&redis.Options{ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = good.Close() })
	for name, tt := range map[string]struct {
		client redis.Scripter
		opts   *redislimit.Options
		want   string
	}{
		"no client": {nil, nil, "ContextTimeoutEnabled"},
		"client":    {redis.NewClient(&redis.Options{}), nil, "ContextTimeoutEnabled"},
		"cluster":   {redis.NewClusterClient(&redis.ClusterOptions{}), nil, "ContextTimeoutEnabled"},
		"ring":      {redis.NewRing(&redis.RingOptions{}), nil, "ContextTimeoutEnabled"},
		"timeout":   {good, &redislimit.Options{Timeout: -1}, "leave it 0"},
		"retry":     {good, &redislimit.Options{Retry: -1}, "leave it 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if s := fmt.Sprint(recover()); !strings.HasPrefix(s, "redislimit: ") || !strings.Contains(s, tt.want) {
					t.Errorf("panic %q, want %q in it", s, tt.want)
				}
				if c, ok := tt.client.(io.Closer); ok && tt.client != good {
					_ = c.Close()
				}
			}()
			redislimit.New(tt.client, tt.opts)
		})
	}
}
