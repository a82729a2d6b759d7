package ratelimit

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"runtime/debug"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// EventLimited is what a client is sent when an event that wants no ack was
// refused: {event, code, retryAfter}.
const EventLimited = "rate_limited"

// The codes in the data of errors. They do not change.
const (
	codeLimited     = "rate_limited"
	codeConnections = "too_many_connections"
	codeRooms       = "too_many_rooms"
	codeBusy        = "busy"
)

// An Option changes a limit.
type Option func(o *options)

type options struct {
	name            string
	burst           int
	cost            func(c *sio.Ctx) int
	limiter         Limiter
	prefix          string // of keys in the limiter
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
	o := options{name: name, cost: func(*sio.Ctx) int { return 1 }, ipv6: defaultIPv6Prefix, log: slog.Default()}
	for _, set := range opts {
		set(&o)
	}
	if o.limiter == nil {
		o.limiter = NewMemory(o.maxKeys)
	}
	return o
}

// rate returns the limit's rate.
func (o *options) rate(n int, per time.Duration) Rate {
	if n <= 0 || per <= 0 {
		misuse(fmt.Sprintf("a limit of %d in %v allows nothing: use numbers above 0", n, per))
	}
	return Rate{N: n, Per: per, Burst: cmp.Or(o.burst, n)}
}

// Burst is how many events may come at once after a pause: as many as in the given
// time by default.
func Burst(n int) Option {
	if n <= 0 {
		misuse("Burst has to be above 0")
	}
	return func(o *options) { o.burst = n }
}

// Cost has each event take as many tokens as f says; nothing below 0. An event
// that costs more than a full bucket has is always refused.
func Cost(f func(c *sio.Ctx) int) Option {
	return func(o *options) { o.cost = func(c *sio.Ctx) int { return max(0, f(c)) } }
}

// Bytes has each event take as many tokens as its arguments have bytes, so that
// PerSocket(64<<10, time.Second, Bytes()) allows 64 KiB a second.
func Bytes() Option { return Cost(func(c *sio.Ctx) int { return max(1, c.Size()) }) }

// Drop has events beyond the limit ignored without a word: an ack does not come.
// Connects are refused.
func Drop() Option { return func(o *options) { o.drop = true } }

// Delay has events beyond the limit wait for their turn, if that is not more than
// atMost away, and all other events of the socket behind them. Beyond
// [sio.Options.MaxPendingEvents] its connection is not read, so that it is the
// client that waits.
func Delay(atMost time.Duration) Option { return func(o *options) { o.patience = atMost } }

// DisconnectAfter has a connection closed when n of a socket's events were refused
// within a minute. The client is sent [EventLimited] before.
func DisconnectAfter(n int) Option { return func(o *options) { o.disconnectAfter = n } }

// In has the buckets kept in a limiter that others use as well: redislimit.New
// returns one that servers share. The name tells this limit's buckets from theirs.
func In(limiter Limiter, name string) Option {
	if limiter == nil || name == "" {
		misuse("In needs a limiter and a name for this limit in it")
	}
	return func(o *options) { o.limiter, o.name, o.prefix = limiter, name, name+":" }
}

// MaxKeys is how many buckets are kept: see [NewMemory].
func MaxKeys(n int) Option { return func(o *options) { o.maxKeys = n } }

// IPv6Prefix is how many bits of an IPv6 address count, 64 by default.
func IPv6Prefix(bits int) Option {
	if bits <= 0 || bits > maxIPv6Prefix {
		misuse("IPv6Prefix is from 1 to 128")
	}
	return func(o *options) { o.ipv6 = bits }
}

// Name is what the limit is called in a [Refusal] and in the log.
func Name(name string) Option { return func(o *options) { o.name = name } }

// Observe has f told of everything beyond the limit, for metrics. It is called
// where that is refused, so it must not wait.
func Observe(f func(Refusal)) Option { return func(o *options) { o.observe = f } }

// Logger has what is not an answer to a packet logged to l, at Debug: dropped
// events, and sockets that are disconnected. The default is slog.Default().
func Logger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// A Refusal is something beyond a limit.
type Refusal struct {
	Limit      string // its name: "socket", "ip" and so on, unless [Name] says otherwise
	Key        string // whose limit
	Event      string // "connect" for a connect, "" for an HTTP handshake
	Socket     *sio.Socket
	RetryAfter time.Duration // 0 if unknown, or [Never]
}

func (o *options) tell(r Refusal) {
	if o.observe == nil {
		return
	}
	defer func() { // on whatever goroutine this is, a panic must not end the program
		if p := recover(); p != nil {
			o.log.Error("function of ratelimit.Observe failed", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	o.observe(r)
}

// data is the data of errors.
type data struct {
	Code       string  `json:"code"`
	RetryAfter float64 `json:"retryAfter,omitempty"` // seconds, to the millisecond
}

// limited is the argument of EventLimited.
type limited struct {
	data

	Event string `json:"event"`
}

func seconds(d time.Duration) float64 {
	const milli = 1e3
	return math.Ceil(max(d, 0).Seconds()*milli) / milli
}

// address returns the part of an address that counts.
func (o *options) address(text string) string {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	network, err := ip.WithZone("").Prefix(o.ipv6)
	if err != nil {
		return text
	}
	return network.String()
}

// userOrAddress keeps the two apart: nobody can be called like an address.
func (o *options) userOrAddress(user func(*sio.Socket) string, s *sio.Socket) string {
	if u := user(s); u != "" {
		return "u:" + u
	}
	return "a:" + o.address(s.Handshake().Address)
}

// misuse ends the program at startup, when what it asks for can only be wrong.
func misuse(msg string) {
	panic("ratelimit: " + msg) //nolint:forbidigo // wrong registration must not go unnoticed
}
