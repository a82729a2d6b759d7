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
	patience        time.Duration
	disconnectAfter int
	observe         func(Refusal)
	log             *slog.Logger
}

const (
	defaultIPv6Prefix = 64 // what a network at the edge has at least
	maxIPv6Prefix     = 128
)

func newOptions(name string, opts []Option) options {
	o := options{ipv6: defaultIPv6Prefix}
	for _, set := range opts {
		set(&o)
	}
	o.name = cmp.Or(o.name, o.shared, name)
	o.log = cmp.Or(o.log, slog.Default())
	return o
}

// rate returns the limit's rate, and sees to it that there is a limiter.
func (o *options) rate(n int, per time.Duration) Rate {
	if n <= 0 || per <= 0 {
		misuse.Panic(fmt.Sprintf("ratelimit: a limit of %d in %v allows nothing: use numbers above 0", n, per))
	}
	if o.limiter == nil {
		o.limiter = NewMemory(o.maxKeys)
	} else if o.maxKeys != 0 {
		misuse.Panic("ratelimit: MaxKeys has no say in the limiter of In: give the number to NewMemory")
	}
	return Rate{N: n, Per: per, Burst: cmp.Or(o.burst, n)}
}

// bucket returns the name of a key's bucket. As names have no colon, limits that
// share a limiter do not meet, whatever the keys are.
func (o *options) bucket(key string) string {
	if o.shared == "" {
		return key
	}
	return o.shared + ":" + key
}

// Burst is how many events may come at once after a pause: as many as in the given
// time by default.
func Burst(n int) Option {
	if n <= 0 {
		misuse.Panic("ratelimit: Burst has to be above 0")
	}
	return func(o *options) { o.burst = n }
}

// Cost has each event take as many tokens as f says. One that costs 0 or less is
// free; one that costs more than a full bucket has is always refused, without a
// time to try again.
func Cost(f func(c *sio.Ctx) int) Option {
	if f == nil {
		misuse.Panic("ratelimit: Cost needs a function that tells the cost")
	}
	return func(o *options) { o.cost = f }
}

// Bytes has each event take as many tokens as its name and arguments have bytes, one
// at least, so that PerSocket(64<<10, time.Second, Bytes()) allows 64 KiB a second.
func Bytes() Option { return Cost(func(c *sio.Ctx) int { return max(1, c.Size()) }) }

// Drop has events beyond the limit ignored without a word: an ack does not come.
// Connects are refused nevertheless.
func Drop() Option { return func(o *options) { o.drop = true } }

// Delay has events beyond the limit wait for their turn, if that is not more than
// atMost away, and all other events of the socket behind them. Beyond
// [sio.Options.MaxPendingEvents] its connection is not read, so that it is the
// client that waits.
func Delay(atMost time.Duration) Option {
	if atMost <= 0 {
		misuse.Panic("ratelimit: Delay has to be above 0")
	}
	return func(o *options) { o.patience = atMost }
}

// DisconnectAfter has a connection closed at the n-th refusal of a socket's events,
// if they come within a minute; then counting begins anew. The client is sent
// [EventLimited] before. Nothing keeps it from connecting again, so limit connects,
// too.
func DisconnectAfter(n int) Option {
	if n <= 0 {
		misuse.Panic("ratelimit: DisconnectAfter has to be above 0")
	}
	return func(o *options) { o.disconnectAfter = n }
}

// In has the buckets kept in a limiter that others use as well: redislimit.New
// returns one that servers share. The name tells this limit's buckets from others';
// limits of the same name are one, on all servers. It must not have a colon.
func In(limiter Limiter, name string) Option {
	if limiter == nil || name == "" {
		misuse.Panic("ratelimit: In needs a limiter and a name for this limit in it")
	}
	if strings.Contains(name, ":") {
		misuse.Panic(fmt.Sprintf("ratelimit: In got the name %q: use one without a colon, which separates names from keys", name))
	}
	return func(o *options) { o.limiter, o.shared = limiter, name }
}

// MaxKeys is how many buckets are kept, if they are not [In] another limiter: see
// [NewMemory].
func MaxKeys(n int) Option {
	if n <= 0 {
		misuse.Panic("ratelimit: MaxKeys has to be above 0")
	}
	return func(o *options) { o.maxKeys = n }
}

// IPv6Prefix is how many bits of an IPv6 address count, 64 by default.
func IPv6Prefix(bits int) Option {
	if bits <= 0 || bits > maxIPv6Prefix {
		misuse.Panic("ratelimit: IPv6Prefix is from 1 to 128")
	}
	return func(o *options) { o.ipv6 = bits }
}

// Name is what the limit is called in a [Refusal] and in the log. The default is
// its name in the limiter of [In], or what it limits by: "socket", "event", "ip",
// "user", "namespace", "key", "handshakes", "sockets per ip", "sockets per user",
// "rooms" or "in flight".
func Name(name string) Option { return func(o *options) { o.name = name } }

// Observe has f told of everything beyond the limit, for metrics. It is called
// where that is refused, so it must not wait.
func Observe(f func(Refusal)) Option { return func(o *options) { o.observe = f } }

// Logger has what is not an answer to a packet logged to l: at Debug, dropped
// events and sockets that are disconnected; at Error, no more than once a minute,
// that the limiter failed. The default is slog.Default().
func Logger(l *slog.Logger) Option { return func(o *options) { o.log = l } }
