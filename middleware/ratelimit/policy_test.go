package ratelimit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// turn is how long the server may hold answers back, to write them together.
const turn = time.Millisecond

func TestDelayHoldsTheSocketUpAndNobodyElse(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.On("post", sio.Reply(func(_ *sio.Ctx, i int) (int, error) { return i, nil }),
			ratelimit.PerSocket(10, time.Second, ratelimit.Burst(1), ratelimit.Delay(time.Second)))
		n.srv.On("other", answer)
		p, q := n.join(t), n.join(t)
		start := time.Now()
		var acks []*siotest.Ack
		for i := range 5 {
			acks = append(acks, p.Ask("post", i))
		}
		behind := p.Ask("other")
		synctest.Wait()
		if acks[0].Pending() || !acks[1].Pending() || !behind.Pending() {
			t.Error("want the first event handled, and the others waiting")
		}
		if err := q.Ask("other").Err(); err != nil || time.Since(start) > turn {
			t.Errorf("another socket: %v after %v", err, time.Since(start))
		}
		for i, a := range acks {
			var got int
			a.Bind(&got)
			if at := time.Since(start); got != i || at.Truncate(100*time.Millisecond) != time.Duration(i)*100*time.Millisecond {
				t.Errorf("event %d was answered %d after %v", i, got, at)
			}
		}
		if err := behind.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestDelayRefusesWhatIsTooFarAway(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		// All sockets share one bucket, so that several can wait for it.
		n.srv.On("post", answer, ratelimit.PerNamespace(1, time.Second, ratelimit.Delay(2*time.Second)))
		var acks []*siotest.Ack
		for range 4 {
			acks = append(acks, n.join(t).Ask("post"))
			synctest.Wait()
		}
		if wait := retryAfter(t, acks[3].Err()); wait != 3*time.Second {
			t.Errorf("the fourth is told to wait for %v", wait)
		}
		for i, a := range acks[:3] {
			if err := a.Err(); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}

func TestDelayedEventOfAClientThatLeaves(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		handled := 0
		failed := make(chan error, 1)
		n.srv.UseEvents(func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error {
				err := next(c)
				if err != nil {
					failed <- err
				}
				return err
			}
		})
		n.srv.On("post", func(*sio.Ctx) error { handled++; return nil },
			ratelimit.PerSocket(1, time.Hour, ratelimit.Delay(time.Hour)))
		p := n.join(t)
		p.Emit("post")
		p.Emit("post")
		synctest.Wait()
		p.Abort()
		if err := <-failed; !errors.Is(err, sio.ErrDisconnected) {
			t.Errorf("ended with %v", err)
		}
		if handled != 1 {
			t.Errorf("%d handled, want 1", handled)
		}
	})
}

func TestDelayEndsWithTheContextOfAMiddleware(t *testing.T) {
	t.Parallel()
	var failed error
	bubble(t, &sio.Options{OnError: func(_ *sio.Ctx, err error) { failed = err }}, func(t *testing.T, n network) {
		n.srv.UseEvents(func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error {
				ctx, cancel := context.WithTimeout(c.Context(), time.Second)
				defer cancel()
				return next(c.WithContext(ctx))
			}
		})
		n.srv.On("post", answer, ratelimit.PerSocket(1, time.Minute, ratelimit.Delay(time.Minute)))
		p := n.join(t)
		p.Emit("post")
		p.Emit("post")
		time.Sleep(time.Second)
		synctest.Wait()
		if !errors.Is(failed, context.DeadlineExceeded) {
			t.Errorf("ended with %v", failed)
		}
	})
}

func TestDisconnectAfter(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.On("post", answer, ratelimit.PerSocket(1, time.Hour, ratelimit.DisconnectAfter(3), ratelimit.Logger(n.log.logger())))
		left := make(chan sio.Reason, 1)
		n.srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { left <- r })
		p := n.join(t)
		if got := allowed(t, p, "post", 1); got != 1 {
			t.Fatal("not even one")
		}
		for i := range 2 {
			if p.Ask("post").Err() == nil {
				t.Fatalf("%d was allowed", i)
			}
		}
		last := p.Ask("post")
		var d map[string]any
		p.Expect(ratelimit.EventLimited, &d)
		if diff := cmp.Diff(map[string]any{"code": "rate_limited", "retryAfter": 3600.0, "event": "post"}, d); diff != "" {
			t.Errorf("last words: %s", diff)
		}
		if why := p.Disconnected(); why != siotest.ServerDisconnect {
			t.Errorf("disconnected by %s", why)
		}
		if !last.Pending() {
			t.Error("acknowledged nevertheless")
		}
		if r := <-left; r != sio.ReasonServerNamespaceDisconnect {
			t.Errorf("reason %q", r)
		}
		if !strings.Contains(n.log.String(), "socket exceeded its rate limit too often") {
			t.Errorf("not logged:\n%s", n.log)
		}
	})
}

func TestDisconnectAfterCountsWithinAMinute(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.On("post", answer, ratelimit.PerSocket(1, 24*time.Hour, ratelimit.DisconnectAfter(2), ratelimit.Drop()))
		p := n.join(t)
		p.Emit("post")
		p.Emit("post") // refused, which begins a minute
		time.Sleep(time.Minute)
		p.Emit("post") // begins another one
		time.Sleep(time.Minute - time.Nanosecond)
		synctest.Wait()
		p.ExpectNone()
		p.Emit("post")
		p.Expect(ratelimit.EventLimited)
		p.Disconnected()
	})
}

func TestDisconnectAfterIsForEachSocket(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.On("post", answer, ratelimit.PerNamespace(1, time.Hour, ratelimit.DisconnectAfter(2)))
		n.srv.On("other", answer)
		p, q := n.join(t), n.join(t)
		allowed(t, p, "post", 2)
		allowed(t, q, "post", 1)
		p.Emit("post")
		p.Expect(ratelimit.EventLimited)
		p.Disconnected()
		if err := q.Ask("other").Err(); err != nil {
			t.Errorf("the other socket: %v", err)
		}
		q.Emit("post")
		q.Disconnected()
		if r := n.join(t); allowed(t, r, "post", 1) != 0 { // a new socket begins anew
			t.Error("a new socket has a new bucket")
		}
	})
}
