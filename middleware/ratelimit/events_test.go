package ratelimit_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

func TestMaxRoomsAtTheLimitAndOnePast(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		var seen refusals
		n.srv.On("join", sio.Reply(func(c *sio.Ctx, room string) (int, error) {
			return len(c.Rooms()), c.Join(room)
		}), ratelimit.MaxRooms(3, ratelimit.Observe(seen.observe)))
		n.srv.On("leave", sio.Reply(func(c *sio.Ctx, room string) (bool, error) { return true, c.Leave(room) }))
		p := n.join(t)
		join := func(room string) error { return p.Ask("join", room).Err() }
		for i := range 3 {
			if err := join(fmt.Sprint(i)); err != nil {
				t.Errorf("room %d: %v", i, err)
			}
		}
		if err := join("one more"); err == nil || err.Error() != "too many rooms" {
			t.Errorf("one past the limit: %v", err)
		}
		if r := seen.all(); len(r) != 1 || r[0].Limit != "rooms" || r[0].Key != p.ID() || r[0].Event != "join" {
			t.Errorf("observed %+v", r)
		}
		leave := func(room string) { p.Ask("leave", room).Bind() }
		leave("0")
		if err := join("another"); err != nil {
			t.Errorf("after leaving one: %v", err)
		}
		leave("1")
		leave(p.ID()) // the room of its id never counts, and may be left
		if err := join("yet another"); err != nil {
			t.Errorf("after leaving that of its id: %v", err)
		}
		if err := join("one more"); err == nil {
			t.Error("four rooms")
		}
	})
}

func TestMaxRoomsWithDisconnect(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.On("join", sio.Bind(func(c *sio.Ctx, room string) error { return c.Join(room) }),
			ratelimit.MaxRooms(1, ratelimit.DisconnectAfter(2)))
		p := n.join(t)
		for i := range 3 {
			p.Emit("join", fmt.Sprint(i))
		}
		p.Expect(ratelimit.EventLimited)
		p.Expect(ratelimit.EventLimited)
		p.Disconnected()
	})
}

func TestJoinIsAllOrNothing(t *testing.T) {
	t.Parallel()
	c, client := siotest.NewCtx(t, "join")
	for _, tt := range []struct {
		rooms []string
		ok    bool
		want  int // rooms afterwards
	}{
		{[]string{"a", "b"}, true, 2},
		{[]string{"c", "d"}, false, 2},
		{[]string{"a", "b", "a", c.ID(), "c"}, true, 3},
		{[]string{"a"}, true, 3},
		{nil, true, 3},
		{[]string{"d"}, false, 3},
	} {
		err := ratelimit.Join(c.Socket, 3, tt.rooms...)
		if (err == nil) != tt.ok {
			t.Errorf("joining %q: %v", tt.rooms, err)
		}
		if e, ok := errors.AsType[*sio.Error](err); err != nil && (!ok || e.Message != "too many rooms") {
			t.Errorf("refused with %v", err)
		}
		if got := len(c.Rooms()) - 1; got != tt.want {
			t.Errorf("after %q: %d rooms, want %d", tt.rooms, got, tt.want)
		}
	}
	client.Abort()
	<-c.Context().Done()
	if err := ratelimit.Join(c.Socket, 9, "e"); !errors.Is(err, sio.ErrDisconnected) {
		t.Errorf("of a client that has gone: %v", err)
	}
}

func TestInFlightAtTheLimitAndOnePast(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		release := make(chan struct{})
		slow := func(c *sio.Ctx) error { <-release; return c.Ack("ok") }
		var seen refusals
		n.srv.On("slow", slow, ratelimit.InFlight(2, ratelimit.Observe(seen.observe)))
		var acks []*siotest.Ack
		for range 2 {
			acks = append(acks, n.join(t).Ask("slow"))
		}
		synctest.Wait()
		if err := n.join(t).Ask("slow").Err(); err == nil || err.Error() != "too busy" {
			t.Errorf("one past the limit: %v", err)
		}
		if r := seen.all(); len(r) != 1 || r[0].Limit != "in flight" || r[0].Key != "/" || r[0].Event != "slow" {
			t.Errorf("observed %+v", r)
		}
		close(release)
		for _, a := range acks {
			if err := a.Err(); err != nil {
				t.Error(err)
			}
		}
		if err := n.join(t).Ask("slow").Err(); err != nil {
			t.Errorf("after the others: %v", err)
		}
	})
}

func TestInFlightWithDelay(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		var seen refusals
		handled := 0
		n.srv.On("slow", func(c *sio.Ctx) error {
			handled++
			time.Sleep(3 * time.Second)
			return c.Ack("ok")
		}, ratelimit.InFlight(1, ratelimit.Delay(5200*time.Millisecond), ratelimit.Observe(seen.observe)))
		start := time.Now()
		ask := func() *siotest.Ack {
			a := n.join(t).Ask("slow")
			time.Sleep(500 * time.Millisecond)
			return a
		}
		first, second, third := ask(), ask(), ask() // from 0, 3 and 6 seconds on
		tooLate := ask()                            // would have to wait for 9
		leaves := n.join(t)
		leaves.Emit("slow")
		time.Sleep(time.Second)
		leaves.Abort()
		for i, a := range []*siotest.Ack{first, second} {
			if err := a.Err(); err != nil || time.Since(start).Truncate(3*time.Second) != time.Duration(3+3*i)*time.Second {
				t.Errorf("event %d: %v after %v", i, err, time.Since(start))
			}
		}
		if err := tooLate.Err(); err == nil || err.Error() != "too busy" || time.Since(start).Truncate(time.Second) != 6*time.Second {
			t.Errorf("the one that waited for too long: %v after %v", err, time.Since(start))
		}
		if err := third.Err(); err != nil {
			t.Error(err)
		}
		if handled != 3 || len(seen.all()) != 1 {
			t.Errorf("%d handled, %d refused, want 3 and 1: who leaves is neither", handled, len(seen.all()))
		}
	})
}

func TestInFlightSlotIsFreeAfterAPanic(t *testing.T) {
	t.Parallel()
	bubble(t, &sio.Options{OnError: func(c *sio.Ctx, _ error) { _ = c.Ack("failed") }}, func(t *testing.T, n network) {
		n.srv.On("panic", func(*sio.Ctx) error { panic("a bug") }, ratelimit.InFlight(1))
		p := n.join(t)
		for range 3 {
			var got string
			if p.Ask("panic").Bind(&got); got != "failed" {
				t.Errorf("got %q", got)
			}
		}
	})
}

func TestInFlightUnderConcurrency(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, nil, siotest.Loopback)
	const most = 3
	slots := make(chan struct{}, most)
	n.srv.On("work", func(c *sio.Ctx) error {
		select {
		case slots <- struct{}{}:
		default:
			t.Error("more than the limit at the same time")
			return nil
		}
		<-slots
		return c.Ack("ok")
	}, ratelimit.InFlight(most, ratelimit.Delay(maxWait)))
	var wg sync.WaitGroup
	for range 10 {
		c := n.WebSocket(t)
		c.Connect("/", "")
		wg.Go(func() {
			for range 50 {
				if err := c.TrySend(`421["work"]`); err != nil {
					t.Error(err)
					return
				}
				if got, err := c.TryNext(); err != nil || got != `431["ok"]` {
					t.Errorf("%s, %v", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
