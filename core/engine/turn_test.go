package engine_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// While a worker takes its time its connection has to be read all the same.
func TestWorkerTakesItsTime(t *testing.T) {
	// busy keeps the first call with messages until the test ends it.
	busy := func(k *enginetest.Kit) (release func()) {
		done := make(chan struct{})
		var entered atomic.Bool
		k.Work = func(p *enginetest.Peer) {
			if len(p.Messages()) > 0 && !entered.Swap(true) {
				_ = p.Session.SendMessage(false, []byte("working")) // its session may have ended
				<-done
			}
		}
		return func() { close(done) }
	}
	inBubble(t, "messages, pings and heartbeat go on", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		release := busy(k)
		c, p := openWebSocket(t, k)
		c.Text("4a")
		wantFrames(t, c, "4working")
		c.Text("4b")
		c.Ping("x")
		wantFrames(t, c, "pong x")
		wantMessages(t, p, "a", "b")
		for range 3 {
			pinged(t, c)
			c.Text("3")
		}
		release()
		synctest.Wait()
		c.Text("4c")
		c.Ping("y")
		wantFrames(t, c, "pong y")
		wantMessages(t, p, "a", "b", "c")
	})
	inBubble(t, "the end is told meanwhile", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		release := busy(k)
		defer release()
		c, p := openWebSocket(t, k)
		c.Text("4a")
		wantFrames(t, c, "4working")
		_ = c.Close()
		same(t, "reason", p.End().Reason, engine.TransportClose)
		synctest.Wait()
		same(t, "sessions", k.Remembered(), 0)
	})
	for name, end := range map[string]struct {
		sent   []byte
		closed string
		reason engine.Reason
	}{
		"close frame":      {[]byte{0x88, 0x80, 1, 2, 3, 4}, "close", engine.TransportClose},
		"protocol error":   {[]byte{0xF8, 0x80, 1, 2, 3, 4}, "close 1002", engine.TransportError},
		"too big":          {enginetest.MaskedText("4" + strings.Repeat("x", 100)), "close 1009", engine.TransportError},
		"broken packet":    {enginetest.MaskedText("7"), "close", engine.ParseError},
		"engine's own end": {enginetest.MaskedText("1"), "close", engine.TransportClose},
	} {
		inBubble(t, "the end comes with the message: "+name, engine.Options{MaxHTTPBufferSize: 50}, func(t *testing.T, k *enginetest.Kit) {
			release := busy(k)
			defer release()
			c, p := openWebSocket(t, k)
			c.Raw(append(enginetest.MaskedText("4a"), end.sent...))
			got := c.Next()
			if got == "4working" { // unless it was dropped with the queue
				got = c.Next()
			}
			if !strings.HasPrefix(got, end.closed) {
				t.Errorf("frame: got %q, want %q", got, end.closed)
			}
			_ = c.Close()
			same(t, "reason", p.End().Reason, end.reason)
		})
	}
	inBubble(t, "polling: the answer does not wait for it", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		release := busy(k)
		p := k.OpenPolling()
		start := time.Now()
		same(t, "post", p.Post("4a"), "200 ok")
		same(t, "took", time.Since(start), 0)
		same(t, "poll", p.Get(), "200 4working")
		same(t, "post", p.Post("4b"), "200 ok")
		wantMessages(t, p.Peer, "a", "b")
		release()
	})
	inBubble(t, "EIO-UP-3 it does not hold up the upgrade", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		release := busy(k)
		defer release()
		p := k.OpenPolling()
		same(t, "post", p.Post("4a"), "200 ok")
		same(t, "poll", p.Get(), "200 4working")
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		c.Text("5")
		c.Text("4b")
		c.Ping("")
		wantFrames(t, c, "pong ")
		wantMessages(t, p.Peer, "a", "b")
	})
}
