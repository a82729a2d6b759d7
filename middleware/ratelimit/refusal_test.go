package ratelimit_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// What clients are told, word for word.
const (
	limitedFor1s = `{"message":"rate limit exceeded","data":{"code":"rate_limited","retryAfter":1}}`
	neverAllowed = `{"message":"rate limit exceeded","data":{"code":"rate_limited"}}`
	tooMany      = `{"message":"too many connections","data":{"code":"too_many_connections"}}`
	tooManyRooms = `{"message":"too many rooms","data":{"code":"too_many_rooms"}}`
	tooBusy      = `{"message":"too busy","data":{"code":"busy"}}`
	unavailable  = `{"message":"rate limit unavailable","data":{"code":"unavailable"}}`
)

// broken is a limiter that does not know.
type broken struct{}

func (broken) Take(context.Context, string, ratelimit.Rate, int, time.Duration) (ratelimit.Verdict, error) {
	return ratelimit.Verdict{}, errors.New("out of order")
}

func TestEveryRefusalAsTheClientSeesIt(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		srv := n.srv
		one := func(opts ...ratelimit.Option) sio.Middleware { return ratelimit.PerSocket(1, time.Second, opts...) }
		srv.On("refused", answer, one())
		srv.On("refused without a word", answer, one(ratelimit.Drop()))
		srv.On("delayed", answer, one(ratelimit.Delay(time.Second)))
		srv.On("too dear", answer, one(ratelimit.Cost(func(*sio.Ctx) int { return 2 })))
		srv.On("rooms", func(c *sio.Ctx) error { return c.Join("a", "b") })
		srv.On("one more room", answer, ratelimit.MaxRooms(2))
		srv.On("broken", answer, one(ratelimit.In(broken{}, "x"), ratelimit.Logger(slog.New(slog.DiscardHandler))))

		c := n.WebSocket(t)
		c.Connect("/", "")
		for _, tt := range []struct{ name, send, want string }{
			{"ack", `421["refused"]`, `431["ok"]`},
			{"ack of a refused event", `421["refused"]`, `431[{"error":` + limitedFor1s + `}]`},
			{"event of a refused one", `42["refused"]`, `42["rate_limited",{"code":"rate_limited","retryAfter":1,"event":"refused"}]`},
			{"what costs too much", `421["too dear"]`, `431[{"error":` + neverAllowed + `}]`},
			{"what costs too much, without an ack", `42["too dear"]`, `42["rate_limited",{"code":"rate_limited","event":"too dear"}]`},
			{"delayed, at first", `421["delayed"]`, `431["ok"]`},
			{"delayed, then", `422["delayed"]`, `432["ok"]`},
			{"dropped, at first", `421["refused without a word"]`, `431["ok"]`},
			{"rooms", `42["rooms"]421["one more room"]`, `431[{"error":` + tooManyRooms + `}]`},
			{"rooms, without an ack", `42["one more room"]`, `42["rate_limited",{"code":"too_many_rooms","event":"one more room"}]`},
			{"broken limiter", `421["broken"]`, `431[{"error":` + unavailable + `}]`},
			{"broken limiter, without an ack", `42["broken"]`, `42["rate_limited",{"code":"unavailable","event":"broken"}]`},
		} {
			c.Send(strings.SplitAfter(tt.send, `]`)[:strings.Count(tt.send, `]`)]...)
			if got := c.Next(); got != tt.want {
				t.Errorf("%s: client sees %s, want %s", tt.name, got, tt.want)
			}
		}
		c.Send(`421["refused without a word"]`, `42["refused without a word"]`, `429["refused"]`)
		c.Want(`439["ok"]`) // since a second has passed with the delayed one; and nothing of those before
	})
}

func TestEveryRefusedConnectAsTheClientSeesIt(t *testing.T) {
	t.Parallel()
	perIP := func(opts ...ratelimit.Option) func() sio.Middleware {
		return func() sio.Middleware { return ratelimit.PerIP(1, time.Second, opts...) }
	}
	for name, tt := range map[string]struct {
		mw     func() sio.Middleware // made inside of the bubble
		before int                   // clients that are let in
		want   string
	}{
		"refused":    {perIP(), 1, limitedFor1s},
		"not drop":   {perIP(ratelimit.Drop()), 1, limitedFor1s},
		"not strike": {perIP(ratelimit.DisconnectAfter(1)), 1, limitedFor1s},
		"sockets":    {func() sio.Middleware { return ratelimit.MaxPerIP(1) }, 1, tooMany},
		"user": {func() sio.Middleware {
			return ratelimit.MaxPerUser(func(*sio.Socket) string { return "ann" }, 1)
		}, 1, tooMany},
		"in flight": {func() sio.Middleware { return occupied(ratelimit.InFlight(1)) }, 0, tooBusy},
		"broken":    {perIP(ratelimit.In(broken{}, "x"), ratelimit.Logger(slog.New(slog.DiscardHandler))), 0, unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, nil, func(t *testing.T, n network) {
				n.srv.Of("/limited").UseConnect(tt.mw())
				n.srv.On("hello", answer)
				for range tt.before {
					n.WebSocket(t).Connect("/limited", "")
				}
				c := n.WebSocket(t)
				c.Send("40/limited,")
				c.Want("44/limited," + tt.want)
				c.Connect("/", "") // the connection goes on
				c.Send(`421["hello"]`)
				c.Want(`431["ok"]`)
			})
		})
	}
}

// occupied returns middleware of which one place is taken.
func occupied(mw sio.Middleware) sio.Middleware {
	return func(next sio.Handler) sio.Handler {
		return mw(func(c *sio.Ctx) error { return mw(next)(c) })
	}
}

func TestClientThatWantsNoAckIsToldOnceUntilTheTimeIsUp(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		handled := 0
		n.srv.On("post", func(*sio.Ctx) error { handled++; return nil }, ratelimit.PerSocket(1, 5*time.Second))
		p := n.join(t)
		for range 100 {
			p.Emit("post")
		}
		synctest.Wait()
		var d struct {
			Code, Event string
			RetryAfter  float64
		}
		p.Expect(ratelimit.EventLimited, &d)
		if d.Code != "rate_limited" || d.Event != "post" || d.RetryAfter != 5 {
			t.Errorf("told %+v", d)
		}
		p.ExpectNone()
		if handled != 1 {
			t.Errorf("%d handled, want 1", handled)
		}
		time.Sleep(5*time.Second - time.Nanosecond)
		p.Emit("post")
		synctest.Wait()
		p.ExpectNone()
		time.Sleep(time.Nanosecond)
		for range 3 {
			p.Emit("post")
		}
		synctest.Wait()
		p.Expect(ratelimit.EventLimited)
		p.ExpectNone()
		if handled != 2 {
			t.Errorf("%d handled, want 2", handled)
		}
	})
}

func TestRetryAfterIsLongEnough(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.On("post", answer, ratelimit.PerSocket(7, 3*time.Second, ratelimit.Burst(1)))
		p := n.join(t)
		for i := range 50 {
			if err := p.Ask("post").Err(); err != nil {
				t.Fatalf("event %d after waiting as told: %v", i, err)
			}
			time.Sleep(time.Duration(i) * 1234567)
			wait := retryAfter(t, p.Ask("post").Err())
			if wait <= 0 || wait > 429*time.Millisecond {
				t.Fatalf("retryAfter is %v", wait)
			}
			time.Sleep(wait)
		}
	})
}

// retryAfter returns how long a refused client is told to wait.
func retryAfter(t *testing.T, err error) time.Duration {
	t.Helper()
	e, ok := errors.AsType[*sio.Error](err)
	if !ok {
		t.Fatalf("not refused: %v", err)
	}
	d, ok := e.Data.(map[string]any)
	if !ok || d["code"] != "rate_limited" {
		t.Fatalf("refused with %v", e.Data)
	}
	seconds, _ := d["retryAfter"].(float64)
	return time.Duration(seconds * float64(time.Second))
}

func TestBrokenLimiterIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, nil, func(t *testing.T, n network) {
		var seen refusals
		n.srv.On("post", answer, ratelimit.PerSocket(1, time.Second, ratelimit.In(broken{}, "posts"),
			ratelimit.Logger(log.logger()), ratelimit.Observe(seen.observe)))
		p := n.join(t)
		for range 10 {
			allowed(t, p, "post", 1)
		}
		if got := strings.Count(log.String(), "level=ERROR"); got != 1 {
			t.Errorf("logged %d times, want once:\n%s", got, log)
		}
		time.Sleep(time.Minute)
		allowed(t, p, "post", 1)
		if got := strings.Count(log.String(), "level=ERROR"); got != 2 {
			t.Errorf("logged %d times, want twice:\n%s", got, log)
		}
		if r := seen.all(); len(r) != 11 || r[0].Err == nil || r[0].Limit != "posts" || r[0].Key != p.ID() {
			t.Errorf("observed %+v", r)
		}
	})
}

func TestObserve(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		var seen refusals
		o := ratelimit.Observe(seen.observe)
		n.srv.UseConnect(ratelimit.PerIP(2, time.Minute, o))
		n.srv.On("post", answer, ratelimit.PerSocket(1, time.Minute, o, ratelimit.Name("posts")))
		n.srv.On("drop", answer, ratelimit.PerEvent(1, time.Minute, o, ratelimit.Drop()))
		n.srv.On("dear", answer, ratelimit.PerSocket(1, time.Minute, o, ratelimit.Cost(func(*sio.Ctx) int { return 9 })))
		p := n.from("192.0.2.1").join(t)
		n.from("192.0.2.1").join(t)
		if _, err := n.from("192.0.2.1").TryConnect(t, "/", nil); err == nil {
			t.Fatal("the third connect was allowed")
		}
		allowed(t, p, "post", 2)
		p.Emit("drop")
		p.Emit("drop")
		allowed(t, p, "dear", 1)
		want := []ratelimit.Refusal{
			{Limit: "ip", Key: "192.0.2.1", Event: "connect", RetryAfter: 30 * time.Second},
			{Limit: "posts", Key: p.ID(), Event: "post", RetryAfter: time.Minute},
			{Limit: "event", Key: p.ID() + " drop", Event: "drop", RetryAfter: time.Minute},
			{Limit: "socket", Key: p.ID(), Event: "dear", RetryAfter: ratelimit.Never},
		}
		got := seen.all()
		for i := range got {
			if got[i].Socket == nil {
				t.Errorf("%+v has no socket", got[i])
			}
			got[i].Socket = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPanicOfObserveIsLoggedAndHarmsNobody(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.On("post", answer, ratelimit.PerSocket(1, time.Minute, ratelimit.Logger(log.logger()),
			ratelimit.Observe(func(ratelimit.Refusal) { panic("no more counters") })))
		p := n.join(t)
		if got := allowed(t, p, "post", 3); got != 1 {
			t.Errorf("%d allowed, want 1", got)
		}
		if s := log.String(); !strings.Contains(s, "level=ERROR") || !strings.Contains(s, "no more counters") {
			t.Errorf("not logged:\n%s", s)
		}
	})
}

// Whatever clients do, they cannot fill the log, nor get payloads into it.
func TestRefusalsAreLoggedAtDebugOnly(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		log := ratelimit.Logger(n.log.logger())
		n.srv.On("post", answer, ratelimit.PerSocket(1, time.Minute, log))
		n.srv.On("drop", answer, ratelimit.PerSocket(1, time.Minute, log, ratelimit.Drop()))
		p := n.join(t)
		for range 3 {
			p.Emit("post", "hunter2")
			p.Emit("drop", "hunter2")
		}
		synctest.Wait()
		s := n.log.String() // bubble sees to the levels
		if !strings.Contains(s, "event dropped") || !strings.Contains(s, "rate limit exceeded") {
			t.Errorf("not logged:\n%s", s)
		}
		if strings.Contains(s, "hunter2") {
			t.Errorf("a payload was logged:\n%s", s)
		}
	})
}
