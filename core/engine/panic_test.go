package engine_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// A panic in a handler ends the session whose message it was, and nothing else,
// whichever HTTP server there is: not all survive one.
func TestHandlerPanics(t *testing.T) {
	panics := func(p *enginetest.Peer, binary bool, data []byte) {
		if string(data) == "bad" {
			panic("handler is broken")
		}
		enginetest.Echo(p, binary, data)
	}
	told := func(t *testing.T, k *enginetest.Kit, p *enginetest.Peer) {
		t.Helper()
		end := p.End()
		same(t, "reason", end.Reason, engine.TransportError)
		if end.Err == nil || !strings.Contains(end.Err.Error(), "handler is broken") {
			t.Errorf("error: %v", end.Err)
		}
		loud := k.Log.Loud()
		if len(loud) != 1 || !strings.HasPrefix(loud[0], "ERROR") || !strings.Contains(loud[0], "panic_test.go") {
			t.Errorf("logged: %q, want one error with its stack", loud)
		}
		if strings.Contains(strings.Join(loud, ""), p.Session.ID()) {
			t.Error("the session id, which is a secret, was logged")
		}
	}
	inBubble(t, "websocket", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = panics
		other, _ := openWebSocket(t, k)
		c, p := openWebSocket(t, k)
		c.Text("4bad")
		told(t, k, p)
		for c.Next() != "end" { // perhaps behind a close frame
			continue
		}
		synctest.Wait()
		same(t, "sessions", k.Remembered(), 1)
		other.Text("4good")
		wantFrames(t, other, "4good")
	})
	inBubble(t, "polling", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = panics
		other := k.OpenPolling()
		p := k.OpenPolling()
		parked := p.Poll()
		synctest.Wait()
		same(t, "post", p.Post("4bad\x1e4behind"), "500")
		told(t, k, p.Peer)
		same(t, "parked poll", parked.Wait().String(), "200 1")
		wantMessages(t, p.Peer, "bad")
		same(t, "sessions", k.Remembered(), 1)
		same(t, "the other", other.Post("4good"), "200 ok")
		same(t, "the other", other.Get(), "200 4good")
	})
	inBubble(t, "while an upgrade is under way", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = panics
		p := k.OpenPolling()
		c := p.Upgrade()
		same(t, "post", p.Post("4bad"), "500")
		told(t, k, p.Peer)
		wantFrames(t, c, "end")
	})
}

// A handler that works on messages after they came may do so on three kinds of
// goroutines.
func TestWorkerPanics(t *testing.T) {
	for _, transport := range []string{engine.Polling, engine.WebSocket} {
		inBubble(t, transport, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			var broken atomic.Bool
			k.Work = func(p *enginetest.Peer) {
				if len(p.Messages()) > 0 && !broken.Swap(true) {
					panic("worker is broken")
				}
			}
			var p *enginetest.Peer
			if transport == engine.Polling {
				client := k.OpenPolling()
				same(t, "post", client.Post("4x"), "200 ok")
				p = client.Peer
			} else {
				c := k.Dial(websocket)
				p = sessionOf(t, k, c)
				c.Text("4x")
			}
			same(t, "reason", p.End().Reason, engine.TransportError)
			synctest.Wait()
			loud := k.Log.Loud()
			if len(loud) != 1 || !strings.Contains(loud[0], "worker is broken") {
				t.Errorf("logged: %q", loud)
			}
		})
	}
}
