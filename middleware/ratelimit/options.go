package ratelimit

import (
	"cmp"
	"fmt"
	"log/slog"
	"strings"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
)

// An Option changes a limit.
type Option func(o *options)

type options struct {
	name            string
	burst           int
	cost            func(c *sio.Ctx) int // nil for 1
	limiter         Limiter
	shared          string // the name in limiter; "" if that is the limit's own
	maxKeys         int
	ipv6            int
	drop            bool
	maxWait         time.Duration
	disconnectAfter int
	observe         func(Refusal)
	log             *slog.Logger
	countTimeout    time.Duration
	refuseUncounted bool
	newestWins      bool
}

const (
	defaultIPv6Prefix = 64 // what a network at the edge has at least
	maxIPv6Prefix     = 128
)

func newOptions(name string, opts []Option) options {
	o := options{ipv6: defaultIPv6Prefix, countTimeout: defaultCountTimeout}
	for _, set := range opts {
		set(&o)
	}
	o.name = cmp.Or(o.name, o.shared, name)
	o.log = cmp.Or(o.log, slog.Default())
	return o
}

// rate returns the limit's rate. If there is no limiter, it makes one.
func (o *options) rate(n int, per time.Duration) Rate {
	if n <= 0 || per <= 0 {
		misuse.Panic(fmt.Sprintf("ratelimit: a limit of %d in %v allows nothing: use numbers above 0", n, per))
	}
	if o.limiter == nil {
		o.limiter = NewMemory(o.maxKeys)
	} else if o.maxKeys != 0 {
		misuse.Panic("ratelimit: MaxKeys does not apply to the limiter of In: give the number to NewMemory")
	}
	return Rate{N: n, Per: per, Burst: cmp.Or(o.burst, n)}
}

// bucket returns the name of a key's bucket. Names of limits have no colon, so limits
// that share a limiter have different buckets for all keys.
func (o *options) bucket(key string) string {
	if o.shared == "" {
		return key
	}
	return o.shared + ":" + key
}

// Burst sets how many events may come at once after a pause. By default, this is the
// number of events for the given time.
func Burst(n int) Option {
	if n <= 0 {
		misuse.Panic("ratelimit: Burst has to be above 0")
	}
	return func(o *options) { o.burst = n }
}

// Cost sets a function that returns how many tokens an event takes. An event that costs 0
// or less is free. An event that costs more than a full bucket holds is always refused,
// without a time to try again.
func Cost(f func(c *sio.Ctx) int) Option {
	if f == nil {
		misuse.Panic("ratelimit: Cost needs a function that tells the cost")
	}
	return func(o *options) { o.cost = f }
}

// Bytes makes each event take as many tokens as its name and arguments have bytes, at
// least one. So PerSocket(64<<10, time.Second, Bytes()) allows 64 KiB per second.
func Bytes() Option { return Cost(func(c *sio.Ctx) int { return max(1, c.Size()) }) }

// Drop ignores events beyond the limit: the client gets no ack and no error. Connects are
// still refused.
func Drop() Option { return func(o *options) { o.drop = true } }

// Delay delays events beyond the limit until there are enough tokens, for atMost at most.
// All later events of the socket wait, too. If more than
// [sio.Options.MaxPendingEvents] wait, the connection is not read, so the client has to
// wait.
func Delay(atMost time.Duration) Option {
	if atMost <= 0 {
		misuse.Panic("ratelimit: Delay has to be above 0")
	}
	return func(o *options) { o.maxWait = atMost }
}

// DisconnectAfter closes the connection when n events of a socket are refused within a
// minute. Counting begins anew after a minute. Before the connection is closed, the
// server sends [EventLimited]. The client can connect again, so limit connects as well.
func DisconnectAfter(n int) Option {
	if n <= 0 {
		misuse.Panic("ratelimit: DisconnectAfter has to be above 0")
	}
	return func(o *options) { o.disconnectAfter = n }
}

// In keeps the buckets in a limiter that other limits use as well. redislimit.New returns
// one that servers share. The name keeps the buckets of different limits apart. Limits
// with the same name are one limit, on all servers. The name must not have a colon.
func In(limiter Limiter, name string) Option {
	if limiter == nil || name == "" {
		misuse.Panic("ratelimit: In needs a limiter and a name for this limit in it")
	}
	if strings.Contains(name, ":") {
		misuse.Panic(fmt.Sprintf("ratelimit: In got the name %q: use one without a colon, which separates names from keys", name))
	}
	return func(o *options) { o.limiter, o.shared = limiter, name }
}

// MaxKeys sets how many buckets are kept: see [NewMemory]. It does not apply with [In].
func MaxKeys(n int) Option {
	if n <= 0 {
		misuse.Panic("ratelimit: MaxKeys has to be above 0")
	}
	return func(o *options) { o.maxKeys = n }
}

// IPv6Prefix sets how many bits of an IPv6 address are used, 64 by default.
func IPv6Prefix(bits int) Option {
	if bits <= 0 || bits > maxIPv6Prefix {
		misuse.Panic("ratelimit: IPv6Prefix is from 1 to 128")
	}
	return func(o *options) { o.ipv6 = bits }
}

// Name sets the name of the limit in a [Refusal] and in the log. The default is
// the name of [In], or what the limit is for: "socket", "event", "ip",
// "user", "namespace", "key", "handshakes", "sockets per ip", "sockets per user",
// "rooms" or "in flight".
func Name(name string) Option { return func(o *options) { o.name = name } }

// Observe calls f for everything that is refused, for metrics. f is called on the
// goroutine that refuses, so it must not block.
func Observe(f func(Refusal)) Option { return func(o *options) { o.observe = f } }

// Logger sets the logger. At Debug, it gets dropped events and disconnected sockets. At
// Error, at most once a minute, it gets failures of the limiter. The default is
// slog.Default().
func Logger(l *slog.Logger) Option { return func(o *options) { o.log = l } }
