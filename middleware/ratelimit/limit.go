package ratelimit

import (
	"context"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
)

// PerSocket allows each socket n events in the given time. A client that connects again
// has a new socket, unless it recovers its session. So do not use it for connects: it
// panics there.
func PerSocket(n int, per time.Duration, opts ...Option) sio.Middleware {
	return newLimit("socket", n, per, opts, func(c *sio.Ctx, _ *guard) string { return socketID(c) })
}

// PerEvent is like [PerSocket] for each event name separately. Clients can make up names,
// so limit all events as well.
func PerEvent(n int, per time.Duration, opts ...Option) sio.Middleware {
	return newLimit("event", n, per, opts, func(c *sio.Ctx, _ *guard) string { return socketID(c) + " " + c.Event() })
}

// socketID returns the socket's id, which is a new one for each connect.
func socketID(c *sio.Ctx) string {
	if c.Event() == eventConnect {
		misuse.Panic("ratelimit: a limit for each socket would let every connect through: use PerIP or PerUser in UseConnect")
	}
	return c.ID()
}

// PerIP allows all clients of an address together n events, or connects, in the given
// time. In a cluster, it counts as [PerUser] does. Clients whose address is not known count as clients of one address. The server
// logs that once.
func PerIP(n int, per time.Duration, opts ...Option) sio.Middleware {
	return newLimit("ip", n, per, opts, func(c *sio.Ctx, g *guard) string { return g.addressKey(c.Address()) })
}

// PerUser allows all clients of a user together n events in the given time. In a cluster,
// each server counts for itself, unless the servers share their buckets: see [In]. The function
// user returns the user of a socket, as auth.Subject does. If it returns "", the client
// is limited by its address. If your tokens have no claim sub, use auth.SubjectOf.
func PerUser(user func(s *sio.Socket) string, n int, per time.Duration, opts ...Option) sio.Middleware {
	if user == nil {
		misuse.Panic("ratelimit: PerUser needs a function that tells the user, such as auth.Subject")
	}
	return newLimit("user", n, per, opts, func(c *sio.Ctx, g *guard) string { return g.userKey(user, c.Socket) })
}

// PerNamespace allows all clients of a namespace together n events, or connects, in the
// given time.
func PerNamespace(n int, per time.Duration, opts ...Option) sio.Middleware {
	return newLimit("namespace", n, per, opts, func(c *sio.Ctx, _ *guard) string { return c.Namespace().Name() })
}

// Per allows n events in the given time for each key: a tenant, for example, or
// the user and the event. An event whose key is "" is not limited.
func Per(key func(c *sio.Ctx) string, n int, per time.Duration, opts ...Option) sio.Middleware {
	if key == nil {
		misuse.Panic("ratelimit: Per needs a function that tells the key")
	}
	return newLimit("key", n, per, opts, func(c *sio.Ctx, _ *guard) string { return key(c) })
}

// A limit is a middleware's.
type limit struct {
	guard

	rate Rate
	key  func(c *sio.Ctx, g *guard) string
}

func newLimit(name string, n int, per time.Duration, opts []Option, key func(*sio.Ctx, *guard) string) sio.Middleware {
	l := &limit{guard: newGuard(name, opts), key: key}
	l.rate = l.options.rate(n, per)
	return l.middleware
}

func (l *limit) middleware(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		key := l.key(c, &l.guard)
		if key == "" {
			return next(c)
		}
		cost := 1
		if l.cost != nil {
			cost = max(0, l.cost(c))
		}
		v, err := l.limiter.Take(c.Context(), l.bucket(key), l.rate, cost, l.maxWait)
		switch {
		case err != nil:
			return l.refuse(c, Refusal{Key: key, Err: l.failed(err)}, codeUnavailable)
		case !v.OK:
			return l.refuse(c, Refusal{Key: key, RetryAfter: v.Wait}, codeLimited)
		case v.Wait > 0:
			if err := delay(c, v.Wait); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// delay delays the event, and with it all later events of the socket.
func delay(c *sio.Ctx, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.Context().Done():
		return context.Cause(c.Context())
	}
}
