package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/interval"
	"github.com/sioplug/sioplug/internal/rescue"
)

// EventLimited is the event that the server sends when it has refused an event that
// wants no ack: {event, code, retryAfter}.
const EventLimited = "rate_limited"

// eventConnect is the name of the event in the connect chain.
const eventConnect = "connect"

// A Refusal is an event, a connect or a handshake beyond a limit. Clients can make up
// keys and events, so label metrics by Limit.
type Refusal struct {
	Limit      string // its name: see [Name]
	Key        string // whose limit
	Event      string // "connect" for a connect, "" for an HTTP handshake
	Socket     *sio.Socket
	RetryAfter time.Duration // 0 if unknown, or [Never]
	Err        error         // nil, or why the limiter could not be asked
	Replaced   string        // the id of the socket that was disconnected for Socket: see NewestWins
}

// A code is in the data of an error. Codes do not change.
type code string

const (
	codeLimited     code = "rate_limited"
	codeConnections code = "too_many_connections"
	codeReplaced    code = "replaced"
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
	case codeReplaced:
		return "replaced by a newer connection"
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

// seconds rounds up, so that a client which waits for that time has waited long enough.
func seconds(d time.Duration) float64 {
	return float64((max(d, 0)+time.Millisecond-1)/time.Millisecond) / 1e3 //nolint:mnd // milliseconds
}

// A guard handles events beyond a limit.
type guard struct {
	options

	records       *sio.Key[*record]
	addressWarned atomic.Bool    // that a client has no address
	reported      interval.Limit // of the records of failures
}

func newGuard(name string, opts []Option) guard {
	return guard{options: newOptions(name, opts), records: sio.NewKey[*record]("ratelimit")}
}

// refuse notifies the observer and the client of an event beyond the limit. It returns
// the error for the middleware to return.
func (g *guard) refuse(c *sio.Ctx, r Refusal, because code) error {
	r.Limit, r.Event, r.Socket = g.name, c.Event(), c.Socket
	g.notify(r)
	c.ReportRefusal(g.refusal(because, r.Err))
	d := data{Code: because, RetryAfter: seconds(r.RetryAfter)}
	refused := &sio.Error{Message: because.message(), Data: d, Err: r.Err}
	if r.Event == eventConnect {
		return refused
	}
	if g.disconnectAfter == 0 && (g.drop || c.WantsAck()) { // no record is needed
		return g.answer(c, refused)
	}
	now, p := time.Now(), g.record(c.Socket)
	if g.disconnectAfter > 0 && p.countRefusal(now) >= g.disconnectAfter {
		defer func() { _ = c.Close() }() // also if Emit panics
		g.debug(c, "socket exceeded its rate limit too often")
		_ = c.Emit(EventLimited, limited{d, r.Event})
		return refused
	}
	if !g.drop && !c.WantsAck() && p.shouldNotify(now, r.RetryAfter) {
		_ = c.Emit(EventLimited, limited{d, r.Event}) // the socket may have gone
	}
	return g.answer(c, refused)
}

// refusal is a refusal as observers of the server are told it.
func (g *guard) refusal(because code, err error) sio.GuardError {
	return sio.GuardError{Guard: "ratelimit", Rule: g.name, Code: string(because), Err: err}
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

// failed logs an error of the limiter and returns it. The event is refused: a limiter that
// is to fail open has to return a verdict.
func (g *guard) failed(err error) error {
	if g.reported.Allow(reportInterval) {
		g.log.LogAttrs(context.Background(), slog.LevelError, "limiter failed", slog.String("limit", g.name), slog.Any("err", err))
	}
	return fmt.Errorf("asking the limiter: %w", err)
}

// notify calls the function of Observe. If it panics, the event is refused nevertheless.
func (g *guard) notify(r Refusal) {
	if g.observe == nil {
		return
	}
	err := rescue.Call(func() error {
		g.observe(r)
		return nil
	})
	if err != nil {
		g.log.Error("function of ratelimit.Observe failed", slog.String("panic", err.Error()), slog.String("stack", string(rescue.StackOf(err))))
	}
}

// refusalWindow is the time in which refusals are counted for DisconnectAfter.
const refusalWindow = time.Minute

// A record is the state of a limit for a socket that exceeded it. It needs no lock: only
// handlers of the socket use it, and they run one at a time.
type record struct {
	since       time.Time // when counting began
	refusals    int
	silentUntil time.Time // until then the client gets no other EventLimited
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

// shouldNotify reports whether to send EventLimited: once until the time is up, so that
// the server does not answer a flood with a flood.
func (r *record) shouldNotify(now time.Time, retry time.Duration) bool {
	if now.Before(r.silentUntil) {
		return false
	}
	r.silentUntil = now.Add(max(retry, time.Second))
	return true
}
