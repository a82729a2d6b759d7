package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// EventLimited is what a client is sent when an event that wants no ack was
// refused: {event, code, retryAfter}.
const EventLimited = "rate_limited"

// eventConnect is what the event of a connect is called.
const eventConnect = "connect"

// A Refusal is something beyond a limit. Clients can make up keys and events, so
// count by Limit.
type Refusal struct {
	Limit      string // its name: see [Name]
	Key        string // whose limit
	Event      string // "connect" for a connect, "" for an HTTP handshake
	Socket     *sio.Socket
	RetryAfter time.Duration // 0 if unknown, or [Never]
	Err        error         // nil, or why the limiter could not be asked
}

// A code is in the data of an error. Codes do not change.
type code string

const (
	codeLimited     code = "rate_limited"
	codeConnections code = "too_many_connections"
	codeRooms       code = "too_many_rooms"
	codeBusy        code = "busy"
	codeUnavailable code = "unavailable"
)

func (c code) message() string {
	switch c {
	case codeLimited:
		return "rate limit exceeded"
	case codeConnections:
		return "too many connections"
	case codeRooms:
		return "too many rooms"
	case codeBusy:
		return "too busy"
	case codeUnavailable:
	}
	return "rate limit unavailable"
}

// data is the data of errors.
type data struct {
	Code       code    `json:"code"`
	RetryAfter float64 `json:"retryAfter,omitempty"` // seconds, to the millisecond
}

// limited is the argument of EventLimited.
type limited struct {
	data

	Event string `json:"event"`
}

// seconds rounds up, so that who waits as long has waited enough.
func seconds(d time.Duration) float64 {
	return float64((max(d, 0)+time.Millisecond-1)/time.Millisecond) / 1e3 //nolint:mnd // milliseconds
}

// A guard says what becomes of events beyond a limit.
type guard struct {
	options

	records       *sio.Key[*record]
	addressWarned atomic.Bool  // that a client has no address
	reported      atomic.Int64 // when a failure was logged, in Unix nanoseconds
}

func newGuard(name string, opts []Option) guard {
	return guard{options: newOptions(name, opts), records: sio.NewKey[*record]("ratelimit")}
}

// refuse tells those who want to know of an event beyond the limit, and returns
// what the middleware has to return.
func (g *guard) refuse(c *sio.Ctx, r Refusal, because code) error {
	r.Limit, r.Event, r.Socket = g.name, c.Event(), c.Socket
	g.notify(r)
	d := data{Code: because, RetryAfter: seconds(r.RetryAfter)}
	refused := &sio.Error{Message: because.message(), Data: d, Err: r.Err}
	if r.Event == eventConnect {
		return refused
	}
	if g.disconnectAfter == 0 && (g.drop || c.WantsAck()) { // no need to remember anything
		return g.answer(c, refused)
	}
	now, p := time.Now(), g.record(c.Socket)
	if g.disconnectAfter > 0 && p.countRefusal(now) >= g.disconnectAfter {
		defer func() { _ = c.Close() }() // whatever becomes of its last words
		g.debug(c, "socket exceeded its rate limit too often")
		_ = c.Emit(EventLimited, limited{d, r.Event})
		return refused
	}
	if !g.drop && !c.WantsAck() && p.shouldNotify(now, r.RetryAfter) {
		_ = c.Emit(EventLimited, limited{d, r.Event}) // nobody to tell if it has gone
	}
	return g.answer(c, refused)
}

// answer returns what the middleware has to return for an event that is refused.
func (g *guard) answer(c *sio.Ctx, refused error) error {
	if !g.drop {
		return refused
	}
	g.debug(c, "event dropped")
	return nil
}

func (g *guard) debug(c *sio.Ctx, msg string) {
	if ctx := c.Context(); g.log.Enabled(ctx, slog.LevelDebug) {
		//nolint:sloglint // its callers pass constants
		g.log.LogAttrs(ctx, slog.LevelDebug, msg, slog.String("ns", c.Namespace().Name()),
			slog.String("sid", c.ID()), slog.String("event", c.Event()), slog.String("limit", g.name))
	}
}

// reportInterval is how often a limiter that fails is logged at most, since each
// event may find out that it does.
const reportInterval = time.Minute

// failed notes that the limiter could not be asked. What it was asked for is
// refused: a limiter that is to fail open says so by its verdict.
func (g *guard) failed(err error) error {
	now, last := time.Now().UnixNano(), g.reported.Load()
	if (last == 0 || now-last >= int64(reportInterval)) && g.reported.CompareAndSwap(last, now) {
		g.log.LogAttrs(context.Background(), slog.LevelError, "limiter failed", slog.String("limit", g.name), slog.Any("err", err))
	}
	return fmt.Errorf("asking the limiter: %w", err)
}

// tell calls the function of Observe. On whatever goroutine this is, a panic must
// not end the program.
func (g *guard) notify(r Refusal) {
	if g.observe == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			g.log.Error("function of ratelimit.Observe failed", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		}
	}()
	g.observe(r)
}

// strikeWindow is the time in which refusals are counted for DisconnectAfter.
const refusalWindow = time.Minute

// A record is what a limit remembers of a socket that exceeded it. Only handlers
// of the socket use it, which run one at a time.
type record struct {
	since       time.Time // when counting began
	refusals    int
	silentUntil time.Time // until then the client needs no event
}

func (g *guard) record(s *sio.Socket) *record {
	r, ok := g.records.Get(s)
	if !ok {
		r = new(record)
		g.records.Set(s, r)
	}
	return r
}

func (r *record) countRefusal(now time.Time) int {
	if now.Sub(r.since) >= refusalWindow {
		r.since, r.refusals = now, 0
	}
	r.refusals++
	return r.refusals
}

// mayTell reports whether the client has to be told: of the first refusal until
// the time is up, which keeps a flood from being answered by a flood.
func (r *record) shouldNotify(now time.Time, retry time.Duration) bool {
	if now.Before(r.silentUntil) {
		return false
	}
	r.silentUntil = now.Add(max(retry, time.Second))
	return true
}
