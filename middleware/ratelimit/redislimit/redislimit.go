// Package redislimit keeps the buckets of package ratelimit in Redis, so that the
// servers of a cluster share them:
//
//	shared := redislimit.New(redis.NewClient(&redis.Options{
//		Addr: "localhost:6379", ContextTimeoutEnabled: true,
//	}), nil)
//	chat.UseEvents(ratelimit.PerUser(auth.Subject, 100, time.Second, ratelimit.In(shared, "events")))
//
// It is a package of its own so that nobody links a Redis client who does not use
// one.
package redislimit

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// Options are the settings of a [Limiter]. A zero value means the default.
type Options struct {
	// Prefix is what the names of keys in Redis begin with, "ratelimit:" by
	// default.
	Prefix string

	// Timeout is how long Redis may take to answer, 100 ms by default. The
	// client has to have ContextTimeoutEnabled for that; otherwise its own
	// timeouts count.
	Timeout time.Duration

	// Down decides while Redis does not answer. By default that is this
	// server's memory, with the same rates. [ratelimit.Open] allows everything
	// meanwhile, and [ratelimit.Closed] nothing.
	Down ratelimit.Limiter

	// Retry is how long Redis is left alone after it did not answer, a second by
	// default. Then one event tries again.
	Retry time.Duration

	// Logger is told at Error when Redis stops to answer, and at Info when it
	// does again. Nil means slog.Default().
	Logger *slog.Logger
}

const (
	defaultPrefix  = "ratelimit:"
	defaultTimeout = 100 * time.Millisecond
	defaultRetry   = time.Second
)

// A Limiter is a [ratelimit.Limiter] in Redis. It is safe for concurrent use. It
// does not close the client.
type Limiter struct {
	client redis.Scripter
	script *redis.Script
	opts   Options
	start  time.Time
	retry  atomic.Int64 // when to try again, in nanoseconds since start; 0 while Redis answers
}

// New returns a limiter on a client, which may be one of a cluster. opts may be
// nil.
func New(client redis.Scripter, opts *Options) *Limiter {
	l := &Limiter{client: client, script: redis.NewScript(take), start: time.Now()}
	if opts != nil {
		l.opts = *opts
	}
	o := &l.opts
	o.Prefix = cmp.Or(o.Prefix, defaultPrefix)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.Retry = cmp.Or(o.Retry, defaultRetry)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Down == nil {
		o.Down = ratelimit.NewMemory(0)
	}
	return l
}

// take does for one key what [ratelimit.Memory] does, in one step and by the clock
// of Redis. Times are in microseconds. A key ends when its bucket is full.
const take = `
local cost, burst, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = full + cost - now - burst
if wait > patience then
	return {0, wait}
end
if cost > 0 then
	local life = math.ceil((full + cost - now) / 1000)
	redis.call('SET', KEYS[1], string.format('%.0f', full + cost), 'PX', string.format('%.0f', life))
end
return {1, math.max(wait, 0)}
`

// Take implements [ratelimit.Limiter]. It fails only if Options.Down does.
func (l *Limiter) Take(
	ctx context.Context, key string, r ratelimit.Rate, cost int, patience time.Duration,
) (ratelimit.Verdict, error) {
	if cost > r.Burst {
		return ratelimit.Verdict{Wait: ratelimit.Never}, nil
	}
	if !l.mayAsk() {
		return l.opts.Down.Take(ctx, key, r, cost, patience)
	}
	v, err := l.ask(ctx, key, r, cost, patience)
	if err == nil {
		l.answered()
		return v, nil
	}
	if ctx.Err() == nil { // otherwise it was not Redis that gave up
		l.failed(err)
	}
	return l.opts.Down.Take(ctx, key, r, cost, patience)
}

func (l *Limiter) ask(
	ctx context.Context, key string, r ratelimit.Rate, cost int, patience time.Duration,
) (ratelimit.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, l.opts.Timeout)
	defer cancel()
	answer, err := l.script.Run(ctx, l.client, []string{l.opts.Prefix + key},
		max(r.Time(cost).Microseconds(), int64(min(cost, 1))), r.Time(r.Burst).Microseconds(), patience.Microseconds()).Int64Slice()
	if err != nil {
		return ratelimit.Verdict{}, err
	}
	if len(answer) != 2 { //nolint:mnd // as the script returns
		return ratelimit.Verdict{}, fmt.Errorf("script returned %v", answer)
	}
	return ratelimit.Verdict{OK: answer[0] == 1, Wait: time.Duration(answer[1]) * time.Microsecond}, nil
}

// mayAsk reports whether Redis answers, as far as is known; or whether it is time
// to find out, which is up to the one that asks first.
func (l *Limiter) mayAsk() bool {
	at := l.retry.Load()
	if at == 0 {
		return true
	}
	now := time.Since(l.start)
	return now >= time.Duration(at) && l.retry.CompareAndSwap(at, int64(now+l.opts.Retry))
}

func (l *Limiter) answered() {
	if l.retry.Load() != 0 && l.retry.Swap(0) != 0 {
		l.opts.Logger.Info("rate limits are in Redis again")
	}
}

func (l *Limiter) failed(err error) {
	if l.retry.Swap(int64(time.Since(l.start)+l.opts.Retry)) == 0 {
		l.opts.Logger.Error("rate limits are not in Redis for now", slog.Any("err", err))
	}
}
