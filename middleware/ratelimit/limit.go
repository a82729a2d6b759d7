package ratelimit

import (
	"fmt"
	"log/slog"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// PerSocket allows each socket n events in the given time.
func PerSocket(n int, per time.Duration, opts ...Option) sio.Middleware {
	return newLimit("socket", n, per, opts, func(c *sio.Ctx, _ *options) string { return c.ID() })
}

// PerEvent is like [PerSocket] for each name of an event by itself. As clients can
// make up names, limit all events, too.
func PerEvent(n int, per time.Duration, opts ...Option) sio.Middleware {
	return newLimit("event", n, per, opts, func(c *sio.Ctx, _ *options) string { return c.ID() + " " + c.Event() })
}

// PerIP allows the clients of each address together n events, or connects, in the
// given time.
func PerIP(n int, per time.Duration, opts ...Option) sio.Middleware {
	return newLimit("ip", n, per, opts, func(c *sio.Ctx, o *options) string { return o.address(c.Handshake().Address) })
}

// PerUser allows the clients of each user together n events in the given time;
// user tells who that is, as auth.Subject does. Clients for which it is "" are
// limited by address.
func PerUser(user func(s *sio.Socket) string, n int, per time.Duration, opts ...Option) sio.Middleware {
	if user == nil {
		misuse("PerUser needs a function that tells the user, such as auth.Subject")
	}
	return newLimit("user", n, per, opts, func(c *sio.Ctx, o *options) string { return o.userOrAddress(user, c.Socket) })
}

// PerNamespace allows the clients of a namespace all together n events, or
// connects, in the given time.
func PerNamespace(n int, per time.Duration, opts ...Option) sio.Middleware {
	return newLimit("namespace", n, per, opts, func(c *sio.Ctx, _ *options) string { return c.Namespace().Name() })
}

// Per allows n events in the given time for each key: a tenant, for example, or
// the user and the event. An event whose key is "" is not limited.
func Per(key func(c *sio.Ctx) string, n int, per time.Duration, opts ...Option) sio.Middleware {
	if key == nil {
		misuse("Per needs a function that tells the key")
	}
	return newLimit("key", n, per, opts, func(c *sio.Ctx, _ *options) string { return key(c) })
}

// A limit is a middleware's.
type limit struct {
	options

	rate    Rate
	key     func(c *sio.Ctx, o *options) string
	records *sio.Key[*record]
}

func newLimit(name string, n int, per time.Duration, opts []Option, key func(*sio.Ctx, *options) string) sio.Middleware {
	l := &limit{options: newOptions(name, opts), key: key, records: sio.NewKey[*record]("ratelimit")}
	l.rate = l.options.rate(n, per)
	return l.middleware
}

func (l *limit) middleware(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		key := l.key(c, &l.options)
		if key == "" {
			return next(c)
		}
		v, err := l.limiter.Take(c.Context(), l.prefix+key, l.rate, l.cost(c), l.patience)
		switch {
		case err != nil:
			return fmt.Errorf("ratelimit: asking the limiter: %w", err)
		case !v.OK:
			return l.exceeded(c, key, v.Wait)
		case v.Wait > 0:
			if err := wait(c, v.Wait); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// wait holds the event up, and with it all others of the socket: what comes after
// them stays in the network.
func wait(c *sio.Ctx, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.Context().Done():
		return sio.ErrDisconnected
	}
}

// exceeded says what becomes of an event beyond the limit.
func (l *limit) exceeded(c *sio.Ctx, key string, retry time.Duration) error {
	l.tell(Refusal{Limit: l.name, Key: key, Event: c.Event(), Socket: c.Socket, RetryAfter: retry})
	d := data{Code: codeLimited, RetryAfter: seconds(retry)}
	refused := &sio.Error{Message: "rate limit exceeded", Data: d}
	if c.Event() == "connect" {
		return refused
	}
	r := l.record(c)
	if l.disconnectAfter > 0 && r.strike(time.Now()) >= l.disconnectAfter {
		l.log.Debug("socket exceeded its rate limit too often", slog.String("ns", c.Namespace().Name()),
			slog.String("sid", c.ID()), slog.String("limit", l.name))
		_ = c.Emit(EventLimited, limited{d, c.Event()}) // its last words
		_ = c.Close()
		return refused
	}
	if l.drop {
		l.log.Debug("event dropped", slog.String("ns", c.Namespace().Name()),
			slog.String("sid", c.ID()), slog.String("event", c.Event()), slog.String("limit", l.name))
		return nil
	}
	if !c.WantsAck() && r.mayTell(time.Now(), retry) {
		_ = c.Emit(EventLimited, limited{d, c.Event()}) // nobody to tell if it has gone
	}
	return refused
}

// strikeWindow is the time in which refusals are counted for DisconnectAfter.
const strikeWindow = time.Minute

// A record is what a limit remembers of a socket that exceeded it. Only handlers
// of the socket use it, which run one at a time.
type record struct {
	since    time.Time // when counting began
	strikes  int
	silentTo time.Time // until then the client needs no event
}

func (l *limit) record(c *sio.Ctx) *record {
	r, ok := l.records.Get(c.Socket)
	if !ok {
		r = new(record)
		l.records.Set(c.Socket, r)
	}
	return r
}

func (r *record) strike(now time.Time) int {
	if now.Sub(r.since) >= strikeWindow {
		r.since, r.strikes = now, 0
	}
	r.strikes++
	return r.strikes
}

// mayTell reports whether the client has to be told: of the first refusal until
// the time is up, which keeps a flood from being answered by a flood.
func (r *record) mayTell(now time.Time, retry time.Duration) bool {
	if now.Before(r.silentTo) {
		return false
	}
	r.silentTo = now.Add(max(retry, time.Second))
	return true
}
