// Package redislimit keeps the buckets of package ratelimit in Redis, so that the
// servers of a cluster share them:
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
//	shared := redislimit.New(client, nil)
//	chat.UseEvents(ratelimit.PerUser(auth.Subject, 100, time.Second, ratelimit.In(shared, "events")))
//
// A limit asks Redis once for each event, by a script that takes one key, so that
// no two servers can take the same token, and that any kind of Redis from version 5
// on can run. What Redis refuses is not asked again for up to a second, unless
// tokens come back before: a flood does not get as far as Redis.
//
// It is a package of its own so that nobody links a Redis client who does not use
// one.
package redislimit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
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

	// Timeout is how long Redis may take to answer, 100 ms by default. An event
	// waits as long at most, and its socket with it.
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
	client  redis.Scripter
	script  *redis.Script
	opts    Options
	denials denials
	start   time.Time
	retry   atomic.Int64 // when to try again, in nanoseconds since start; 0 while Redis answers
}

// New returns a limiter on a client, which may be one of a cluster. The client has
// to have the option ContextTimeoutEnabled, without which it would not give up when
// the time is up. opts may be nil.
func New(client redis.Scripter, opts *Options) *Limiter {
	requireTimeouts(client)
	l := &Limiter{client: client, script: redis.NewScript(take), denials: newDenials(), start: time.Now()}
	if opts != nil {
		l.opts = *opts
	}
	o := &l.opts
	if o.Timeout < 0 || o.Retry < 0 {
		misuse("Options.Timeout or Options.Retry is negative: leave it 0 for the default")
	}
	o.Prefix = cmp.Or(o.Prefix, defaultPrefix)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.Retry = cmp.Or(o.Retry, defaultRetry)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Down == nil {
		o.Down = ratelimit.NewMemory(0)
	}
	return l
}

// mustGiveUp panics if a client would wait longer than it is told to.
func requireTimeouts(client redis.Scripter) {
	ok := client != nil
	switch c := client.(type) {
	case *redis.Client:
		ok = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		ok = c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		ok = c.Options().ContextTimeoutEnabled
	}
	if !ok {
		misuse("New needs a client with the option ContextTimeoutEnabled: " +
			"without it, events would wait for as long as a Redis that hangs")
	}
}

// misuse ends the program at startup, when what it asks for can only be wrong.
func misuse(msg string) {
	panic("redislimit: " + msg) //nolint:forbidigo // wrong registration must not go unnoticed
}

// take does for one key what [ratelimit.Memory] does, in one step and by the clock
// of Redis, whose times are in microseconds; all others are in nanoseconds. The
// value of a key is when it was written and how long its bucket then took to fill,
// and it ends when that is over. A clock that was set back takes no tokens away.
const take = `
local cost, full, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local lacks = 0
local kept = redis.call('GET', KEYS[1])
if kept then
	local at, lacked = string.match(kept, '^(%d+) (%d+)$')
	lacks = math.max(0, lacked - math.max(0, now - at) * 1000)
end
local wait = lacks + cost - full
if wait > patience then
	return {0, wait}
end
if cost > 0 then
	lacks = lacks + cost
	redis.call('SET', KEYS[1], string.format('%.0f %.0f', now, lacks), 'PX', string.format('%.0f', math.ceil(lacks / 1000000)))
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
	req := request{key, r, cost, patience}
	if wait, denied := l.denials.find(req, l.now()); denied {
		return ratelimit.Verdict{Wait: wait}, nil
	}
	if !l.mayAsk() {
		return l.opts.Down.Take(ctx, key, r, cost, patience)
	}
	v, err := l.ask(ctx, req)
	if err != nil {
		l.failed(err)
		return l.opts.Down.Take(ctx, key, r, cost, patience)
	}
	l.answered()
	if v.OK {
		l.denials.remove(key)
	} else {
		l.denials.add(req, l.now(), v.Wait)
	}
	return v, nil
}

// A question is what a limiter is asked.
type request struct {
	key      string
	rate     ratelimit.Rate
	cost     int
	patience time.Duration
}

// ask asks Redis. A client that leaves meanwhile does not end that: it would look
// as if Redis did not answer.
func (l *Limiter) ask(ctx context.Context, req request) (ratelimit.Verdict, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.opts.Timeout)
	defer cancel()
	answer, err := l.script.Run(ctx, l.client, []string{l.redisKey(req.key)},
		req.rate.Time(req.cost).Nanoseconds(), req.rate.Time(req.rate.Burst).Nanoseconds(), req.patience.Nanoseconds()).Int64Slice()
	if err != nil {
		return ratelimit.Verdict{}, err
	}
	if len(answer) != 2 { //nolint:mnd // as the script returns
		return ratelimit.Verdict{}, fmt.Errorf("script returned %v", answer)
	}
	return ratelimit.Verdict{OK: answer[0] == 1, Wait: time.Duration(answer[1])}, nil
}

// maxKey is how long a key may be to be kept as it is.
const maxKey = 128

// redisKey returns the name of a key in Redis. Clients may choose parts of keys: one
// that is long, or whose braces say which server of a cluster has it, is hashed.
func (l *Limiter) redisKey(key string) string {
	if len(key) > maxKey || strings.Contains(key, "{") {
		hash := sha256.Sum256([]byte(key))
		key = "#" + base64.RawURLEncoding.EncodeToString(hash[:])
	}
	return l.opts.Prefix + key
}

func (l *Limiter) now() time.Duration { return time.Since(l.start) }

// mayAsk reports whether Redis answers, as far as is known; or whether it is time
// to find out, which is up to the one that asks first.
func (l *Limiter) mayAsk() bool {
	at := l.retry.Load()
	if at == 0 {
		return true
	}
	now := l.now()
	return now >= time.Duration(at) && l.retry.CompareAndSwap(at, int64(now+l.opts.Retry))
}

func (l *Limiter) answered() {
	if l.retry.Load() != 0 && l.retry.Swap(0) != 0 {
		l.opts.Logger.Info("rate limits are in Redis again")
	}
}

func (l *Limiter) failed(err error) {
	if l.retry.Swap(int64(l.now()+l.opts.Retry)) == 0 {
		l.opts.Logger.Error("rate limits are not in Redis for now", slog.Any("err", err))
	}
}
