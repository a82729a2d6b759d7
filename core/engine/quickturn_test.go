package engine_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// answering answers the first message, and then waits.
func answering(k *enginetest.Kit, d time.Duration) {
	var answered atomic.Bool
	k.Work = func(p *enginetest.Peer) {
		if len(p.Messages()) > 0 && !answered.Swap(true) {
			_ = p.Session.SendMessage(false, []byte("answer")) // its session may have ended
			time.Sleep(d)
		}
	}
}

// ask opens a WebSocket, and sends a message when nothing is being written.
func ask(t *testing.T, k *enginetest.Kit) (c *enginetest.Conn, sent time.Time) {
	t.Helper()
	c, _ = openWebSocket(t, k)
	synctest.Wait()
	sent = time.Now()
	c.Text("4a")
	return c, sent
}

// A worker that is expected to be quick, and waits all the same, keeps its connection from
// being read for a while: until another connection gets a message, or a tenth of a second.
func TestAWorkerThatShouldBeQuickTakesItsTime(t *testing.T) {
	inBubble(t, "nobody else is there", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.Quick = true
		answering(k, time.Second)
		c, start := ask(t, k)
		c.Ping("x")
		wantFrames(t, c, "4answer", "pong x")
		same(t, "the answer took", time.Since(start), 100*time.Millisecond)
	})
	inBubble(t, "others get messages", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.Quick = true
		answering(k, time.Second)
		c, start := ask(t, k)
		synctest.Wait()
		time.Sleep(time.Millisecond + 1)
		for range 64 { // one at least shares the list of the first one
			other, _ := openWebSocket(t, k)
			other.Text("4b")
		}
		wantFrames(t, c, "4answer")
		same(t, "the answer took", time.Since(start), time.Millisecond+1)
	})
	inBubble(t, "it returns", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.Quick = true
		answering(k, 7*time.Millisecond)
		c, start := ask(t, k)
		wantFrames(t, c, "4answer")
		same(t, "the answer took", time.Since(start), 7*time.Millisecond)
	})
	inBubble(t, "it is not expected to be quick", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		answering(k, time.Second)
		c, start := ask(t, k)
		wantFrames(t, c, "4answer")
		same(t, "the answer took", time.Since(start), time.Millisecond)
	})
}
