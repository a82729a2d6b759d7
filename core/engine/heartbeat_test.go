package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// The timers of these tests. Time in a bubble is exact, so all of them check it
// to the nanosecond.
const (
	interval = 25 * time.Second
	timeout  = 20 * time.Second
)

// pinged waits for a ping and returns when it came.
func pinged(t *testing.T, c *enginetest.Conn) time.Time {
	t.Helper()
	f, ok := c.NextFrame()
	if !ok || f.String() != "2" {
		t.Fatalf("no ping but %q, %v", f, ok)
	}
	return f.At
}

func TestHeartbeat(t *testing.T) {
	inBubble(t, "EIO-HB-1, EIO-HB-2 the next ping counts from the pong", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		last := time.Now()
		for _, delay := range []time.Duration{0, time.Millisecond, 5 * time.Second, timeout - 1} {
			at := pinged(t, c)
			same(t, "ping after", at.Sub(last), interval)
			time.Sleep(delay)
			c.Text("3")
			last = time.Now()
		}
		same(t, "ping after", pinged(t, c).Sub(last), interval)
		same(t, "open", p.Open(), true)
	})
	inBubble(t, "EIO-HB-1 polling", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		last := time.Now()
		for range 3 {
			a := p.Poll().Wait()
			same(t, "poll", a.String(), "200 2")
			same(t, "after", a.At.Sub(last), interval)
			time.Sleep(time.Second)
			same(t, "post", p.Post("3"), "200 ok")
			last = time.Now()
		}
	})
	inBubble(t, "EIO-HB-3, EIO-WS-16 no pong over WebSocket", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		at := pinged(t, c)
		wantFrames(t, c, "close")
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		same(t, "after", end.At.Sub(at), timeout)
	})
	inBubble(t, "EIO-HB-3 no pong, poll parked", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		start := time.Now()
		same(t, "poll", p.Get(), "200 2")
		a := p.Poll().Wait()
		same(t, "parked poll", a.String(), "200 1")
		same(t, "after", a.At.Sub(start), interval+timeout)
		same(t, "reason", p.End().Reason, engine.PingTimeout)
		same(t, "next", p.Get(), unknownSession)
	})
	inBubble(t, "EIO-HB-3, EIO-HB-5, EIO-HB-8 the client never polls", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		start := time.Now()
		p.Send("never read")
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		same(t, "after", end.At.Sub(start), interval+timeout)
		synctest.Wait()
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-HB-5 the ping waits behind what is queued", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("a")
		time.Sleep(interval)
		synctest.Wait()
		p.Send("b")
		same(t, "poll", p.Get(), "200 4a\x1e2\x1e4b")
	})
	inBubble(t, "EIO-HB-6 a pong with data", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, _ := openWebSocket(t, k)
		pinged(t, c)
		c.Text("3x")
		start := time.Now()
		same(t, "ping after", pinged(t, c).Sub(start), interval)
	})
	inBubble(t, "EIO-HB-9 a large queue does not starve the heartbeat", engine.Options{
		PingInterval: 200 * time.Millisecond, PingTimeout: 100 * time.Millisecond,
	}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		long := strings.Repeat("x", 64<<10)
		k.Go(func() {
			for range 100 {
				p.Send(long)
				time.Sleep(10 * time.Millisecond)
			}
		})
		for got := 0; got < 100; {
			switch f := c.Next(); f {
			case "2":
				c.Text("3")
			case "4" + long:
				got++
			default:
				t.Fatalf("frame %.20q", f)
			}
		}
		same(t, "open", p.Open(), true)
	})
}

func TestHeartbeatOtherPackets(t *testing.T) {
	inBubble(t, "EIO-HB-4 the first one prolongs the wait, once", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		at := pinged(t, c)
		time.Sleep(timeout - 1)
		c.Text("4alive") // at the last moment
		time.Sleep(timeout - 1)
		c.Text("4still alive") // does not count
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		same(t, "after", end.At.Sub(at), 2*timeout-1)
		wantMessages(t, p, "alive", "still alive")
	})
	inBubble(t, "EIO-HB-4 once per ping", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		for range 3 {
			pinged(t, c)
			time.Sleep(timeout - 1)
			c.Text("4alive")
			time.Sleep(timeout - 1)
			c.Text("3")
		}
		pinged(t, c)
		same(t, "open", p.Open(), true)
	})
	inBubble(t, "EIO-HB-4 packets before the ping do not count", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		start := time.Now()
		time.Sleep(interval - 1)
		c.Text("4early")
		same(t, "reason", p.End().Reason, engine.PingTimeout)
		same(t, "after", p.End().At.Sub(start), interval+timeout)
	})
	inBubble(t, "EIO-HB-4 over polling", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		same(t, "poll", p.Get(), "200 2")
		at := time.Now()
		time.Sleep(timeout - 1)
		same(t, "post", p.Post("4alive"), "200 ok")
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		same(t, "after", end.At.Sub(at), 2*timeout-1)
	})
	inBubble(t, "EIO-HB-3 a request in the moment of the timeout finds nothing", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		time.Sleep(interval + timeout)
		same(t, "post", p.Post("4x"), unknownSession)
		wantMessages(t, p.Peer)
	})
}

func TestHeartbeatUpgrade(t *testing.T) {
	inBubble(t, "EIO-UP-13 a ping pending at the switch does no harm", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		same(t, "poll", p.Get(), "200 2")
		time.Sleep(timeout - 1)
		c := p.Upgrade()
		c.Text("5")
		start := time.Now()
		same(t, "better: pings go on", pinged(t, c).Sub(start), interval)
		same(t, "open", p.Open(), true)
	})
	// A client gives up when it gets no ping for the sum of both times. An
	// interval that started anew with the switch would be too late for it.
	inBubble(t, "EIO-UP-13, EIO-HB-7 the interval goes on across the switch", engine.Options{PingTimeout: 5 * time.Second}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		start := time.Now()
		time.Sleep(9 * time.Second)
		c := p.Upgrade()
		c.Text("5")
		same(t, "ping after", pinged(t, c).Sub(start), interval)
	})
	inBubble(t, "EIO-UP-13 the ping that was queued comes with the switch", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		time.Sleep(interval)
		synctest.Wait()
		c := p.Upgrade()
		c.Text("5")
		pinged(t, c)
		c.Text("3")
		start := time.Now()
		same(t, "next after", pinged(t, c).Sub(start), interval)
	})
}

// unread is how long a WebSocket may be on hold without being read.
const unread = 4 * (interval + timeout)

// While a handler keeps the session from being read, pongs are not heard. That
// must not cost an honest client its connection, nor keep one for ever that has
// gone; see Session.Hold.
func TestHeartbeatHeld(t *testing.T) {
	inBubble(t, "Hold suspends the wait for a pong", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		pinged(t, c)
		time.Sleep(timeout - 1)
		p.Session.Hold()
		time.Sleep(unread - 1)
		same(t, "open", p.Open(), true)
		p.Session.Release()
		released := time.Now()
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		same(t, "the wait starts anew", end.At.Sub(released), timeout)
	})
	inBubble(t, "a held WebSocket that is never read ends, at a ping", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		time.Sleep(time.Second)
		p.Session.Hold()
		start := time.Now()
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		if after := end.At.Sub(start); after < unread || after > unread+interval {
			t.Errorf("after %v", after)
		}
		for range unread / interval { // it was pinged all the time
			pinged(t, c)
		}
		wantFrames(t, c, "close")
	})
	inBubble(t, "EIO-HB-7 a held client goes on being pinged, or it would give up", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		last := time.Now()
		time.Sleep(time.Second)
		p.Session.Hold()
		for range unread / interval {
			at := pinged(t, c)
			same(t, "ping after", at.Sub(last), interval)
			last = at
		}
		p.Session.Release()
		c.Text("3")
		released := time.Now()
		same(t, "ping after the pong", pinged(t, c).Sub(released), interval)
		same(t, "open", p.Open(), true)
	})
	inBubble(t, "EIO-HB-7 held while a pong is awaited", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		last := pinged(t, c)
		p.Session.Hold()
		for range 3 {
			at := pinged(t, c)
			same(t, "ping after", at.Sub(last), interval)
			last = at
		}
		p.Session.Release()
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		same(t, "after", end.At.Sub(last), timeout)
	})
	inBubble(t, "EIO-HB-7 held and released again and again", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		k.Go(func() {
			for p.Open() {
				p.Session.Hold()
				time.Sleep(timeout / 3)
				p.Session.Release()
			}
		})
		for start, last := time.Now(), pinged(t, c); last.Sub(start) < 10*unread; {
			at := pinged(t, c)
			if after := at.Sub(last); after > interval+timeout {
				t.Fatalf("ping after %v: the client has given up", after)
			}
			last = at
		}
		same(t, "open", p.Open(), true)
		p.Session.Close(nil)
	})
	inBubble(t, "Hold counts", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		pinged(t, c)
		p.Session.Hold()
		p.Session.Hold()
		p.Session.Release()
		time.Sleep(unread - 1)
		same(t, "open", p.Open(), true)
		p.Session.Release()
		same(t, "reason", p.End().Reason, engine.PingTimeout)
	})
	inBubble(t, "Release behind the end", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		p.Session.Hold()
		p.Session.Close(nil)
		p.Session.Release()
		wantFrames(t, c, "close")
		time.Sleep(time.Hour)
		same(t, "reason", p.End().Reason, engine.ForcedClose)
	})
}

// Polls are heard, whatever a POST waits for.
func TestHeartbeatHeldOverPolling(t *testing.T) {
	inBubble(t, "a client that polls no more is gone", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		start := time.Now()
		p.Session.Hold()
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		same(t, "after", end.At.Sub(start), interval+timeout)
		p.Session.Release()
	})
	inBubble(t, "a client that goes on polling is not", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Session.Hold()
		for range 100 {
			same(t, "poll", p.Get(), "200 2")
			time.Sleep(timeout - 1)
		}
		same(t, "open", p.Open(), true)
		p.Session.Release()
		same(t, "post", p.Post("3"), "200 ok")
		same(t, "poll", p.Get(), "200 2")
		same(t, "open", p.Open(), true)
	})
	inBubble(t, "one whose poll is parked when the hold begins is not", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		same(t, "poll", p.Get(), "200 2")
		poll := p.Poll()
		synctest.Wait()
		p.Session.Hold()
		same(t, "poll", poll.Wait().String(), "200 2") // the next ping, and not the end
		same(t, "open", p.Open(), true)
		p.Session.Release()
	})
}
