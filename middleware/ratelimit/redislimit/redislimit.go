// Package redislimit keeps the buckets of package ratelimit in Redis, so that the
// servers of a cluster share them:
//
//	client := redis.NewClient(&redis.Options{Addr: "localhost:6379", ContextTimeoutEnabled: true})
//	shared := redislimit.New(client, nil)
//	chat.UseEvents(ratelimit.PerUser(auth.Subject, 100, time.Second, ratelimit.In(shared, "events")))
//
// A limit sends one request to Redis for each event: a script with one key. So two servers
// cannot take the same token. The script runs on Redis 5 and later, also in a cluster.
// When Redis has refused a request, the limit does not send the same one again for up to
// a second, unless tokens come back before. So a flood does not reach Redis.
//
// The package is a module of its own, so that only applications which use it depend on a
// Redis client.
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

	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// Options are the settings of a [Limiter]. A zero value means the default.
type Options struct {
	// Prefix is the prefix of all keys in Redis, "ratelimit:" by default.
	Prefix string

	// Timeout is how long a request to Redis may take, 100 ms by default. The events of
	// a socket wait for it.
	Timeout time.Duration

	// Down is the limiter that decides while Redis does not answer. By default, it is
	// in this server's memory, with the same rates. [ratelimit.Open] allows everything
	// meanwhile, and [ratelimit.Closed] nothing.
	Down ratelimit.Limiter

	// Retry is the pause after a request without an answer, a second by default. Then
	// one event tries again.
	Retry time.Duration

	// Logger gets a line at Error when Redis stops answering, and one at Info when it
	// answers again. Nil means slog.Default().
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

// New returns a limiter that uses a client, which may be one for a cluster. The client
// needs the option ContextTimeoutEnabled. Without it, Timeout would have no effect, so New
// panics. opts may be nil.
func New(client redis.Scripter, opts *Options) *Limiter {
	requireTimeouts(client)
	l := &Limiter{client: client, script: redis.NewScript(take), denials: newDenials(), start: time.Now()}
	if opts != nil {
		l.opts = *opts
	}
	o := &l.opts
	if o.Timeout < 0 || o.Retry < 0 {
		misuse.Panic("redislimit: Options.Timeout or Options.Retry is negative: leave it 0 for the default")
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

// requireTimeouts panics if a client ignores the deadlines of contexts.
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
		misuse.Panic("redislimit: New needs a client with the option ContextTimeoutEnabled: " +
			"without it, events would wait for as long as a Redis that hangs")
	}
}

// take does for one key what [ratelimit.Memory] does, in one step and by the clock
// of Redis, whose times are in microseconds; all others are in nanoseconds. The
// value of a key is when it was written and how long its bucket then took to fill,
// and it ends when that is over. A clock that was set back takes no tokens away.
const take = `
local cost, full, maxWait = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local lacks = 0
local kept = redis.call('GET', KEYS[1])
if kept then
	local at, lacked = string.match(kept, '^(%d+) (%d+)$')
	lacks = math.max(0, lacked - math.max(0, now - at) * 1000)
end
local wait = lacks + cost - full
if wait > maxWait then
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
	ctx context.Context, key string, r ratelimit.Rate, cost int, maxWait time.Duration,
) (ratelimit.Verdict, error) {
	if cost > r.Burst {
		return ratelimit.Verdict{Wait: ratelimit.Never}, nil
	}
	req := request{key, r, cost, maxWait}
	if wait, denied := l.denials.find(req, l.now()); denied {
		return ratelimit.Verdict{Wait: wait}, nil
	}
	if !l.mayAsk() {
		return l.opts.Down.Take(ctx, key, r, cost, maxWait)
	}
	v, err := l.ask(ctx, req)
	if err != nil {
		l.failed(err)
		return l.opts.Down.Take(ctx, key, r, cost, maxWait)
	}
	l.answered()
	if v.OK {
		l.denials.remove(key)
	} else {
		l.denials.add(req, l.now(), v.Wait)
	}
	return v, nil
}

// A request has the arguments of Take.
type request struct {
	key     string
	rate    ratelimit.Rate
	cost    int
	maxWait time.Duration
}

// ask sends a request to Redis. It goes on if the client of the event disconnects, because
// an error would look as if Redis did not answer.
func (l *Limiter) ask(ctx context.Context, req request) (ratelimit.Verdict, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.opts.Timeout)
	defer cancel()
	answer, err := l.script.Run(ctx, l.client, []string{l.redisKey(req.key)},
		req.rate.Time(req.cost).Nanoseconds(), req.rate.Time(req.rate.Burst).Nanoseconds(), req.maxWait.Nanoseconds()).Int64Slice()
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

// redisKey returns the name of a key in Redis. Clients may choose parts of keys. So a key
// is hashed if it is long, or if it has braces, which select a server of a cluster.
func (l *Limiter) redisKey(key string) string {
	if len(key) > maxKey || strings.Contains(key, "{") {
		hash := sha256.Sum256([]byte(key))
		key = "#" + base64.RawURLEncoding.EncodeToString(hash[:])
	}
	return l.opts.Prefix + key
}

func (l *Limiter) now() time.Duration { return time.Since(l.start) }

// mayAsk reports whether to send a request: if Redis has answered the last one, or if the
// pause is over and no other event tries again.
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
