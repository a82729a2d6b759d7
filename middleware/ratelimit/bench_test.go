package ratelimit_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

func BenchmarkMemory(b *testing.B) {
	m := ratelimit.NewMemory(0)
	keys := make([]string, 1<<16)
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	for name, r := range map[string]ratelimit.Rate{
		"allowed": {N: 1 << 40, Per: time.Second, Burst: 1 << 40},
		"refused": {N: 1, Per: 24 * time.Hour, Burst: 1},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, _ = m.Take(context.Background(), keys[i%len(keys)], r, 1, 0)
			}
		})
	}
	b.Run("made up keys", func(b *testing.B) {
		b.ReportAllocs()
		r := ratelimit.Rate{N: 2, Per: time.Hour, Burst: 2}
		for i := 0; b.Loop(); i++ {
			_, _ = m.Take(context.Background(), "x"+strconv.Itoa(i), r, 1, 0)
		}
	})
}

// ctxOverLoopback returns an event's Ctx, of a client that has an address.
func ctxOverLoopback(tb testing.TB) *sio.Ctx {
	tb.Helper()
	n := newNetwork(tb, nil, siotest.Loopback)
	got := make(chan *sio.Ctx, 1)
	n.srv.On("post", func(c *sio.Ctx) error { got <- c; return nil })
	n.Connect(tb, "/", nil).Emit("post")
	return <-got
}

// BenchmarkMiddleware is the cost of a limit for one event, without that of the
// event itself.
func BenchmarkMiddleware(b *testing.B) {
	for name, limit := range map[string]func(n int, opts ...ratelimit.Option) sio.Middleware{
		"PerSocket": func(n int, o ...ratelimit.Option) sio.Middleware { return ratelimit.PerSocket(n, time.Hour, o...) },
		"PerIP":     func(n int, o ...ratelimit.Option) sio.Middleware { return ratelimit.PerIP(n, time.Hour, o...) },
	} {
		run := func(b *testing.B, mw sio.Middleware) {
			b.Helper()
			c := ctxOverLoopback(b)
			h := mw(func(*sio.Ctx) error { return nil })
			_ = h(c)
			b.ReportAllocs()
			for b.Loop() {
				_ = h(c)
			}
		}
		b.Run(name+"/allowed", func(b *testing.B) { run(b, limit(1<<40)) })
		b.Run(name+"/refused", func(b *testing.B) { run(b, limit(1)) })
		b.Run(name+"/dropped", func(b *testing.B) { run(b, limit(1, ratelimit.Drop())) })
	}
}

// BenchmarkEvent is an event with its ack over a loopback connection, handled or
// refused.
func BenchmarkEvent(b *testing.B) {
	srv := sio.New(nil)
	b.Cleanup(func() { _ = srv.Shutdown(context.Background()) })
	srv.On("handled", answer, ratelimit.PerSocket(1<<40, time.Hour))
	srv.On("refused", answer, ratelimit.PerSocket(1, time.Hour))
	c := siotest.Loopback(b, srv).WebSocket(b)
	c.Connect("/", "")
	for _, event := range []string{"handled", "refused"} {
		b.Run(event, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Send(`421["` + event + `"]`)
				c.Next()
			}
		})
	}
}
