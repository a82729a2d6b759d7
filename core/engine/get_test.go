package engine_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func TestPollingGet(t *testing.T) {
	inBubble(t, "EIO-GET-1 what is queued comes at once, in one payload", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		for _, s := range []string{"a", "", "é€😀"} {
			p.Send(s)
		}
		p.SendBinary("")
		start := time.Now()
		same(t, "EIO-ENC-2, EIO-ENC-6 poll", p.Get(), "200 4a\x1e4\x1e4é€😀\x1eb")
		same(t, "waited", time.Since(start), 0)
	})
	inBubble(t, "EIO-GET-2 an empty queue parks the poll", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		poll := p.Poll()
		time.Sleep(24 * time.Second)
		synctest.Wait()
		same(t, "answered", poll.Answered(), false)
		p.Send("x")
		a := poll.Wait()
		same(t, "poll", a.String(), "200 4x")
		same(t, "answered when", time.Since(a.At), 0)
	})
	inBubble(t, "EIO-GET-2 the ping ends it", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		start := time.Now()
		a := p.Poll().Wait()
		same(t, "poll", a.String(), "200 2")
		same(t, "after", a.At.Sub(start), 25*time.Second)
	})
	inBubble(t, "EIO-GET-3 several packets in one turn keep their order", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		poll := p.Poll()
		synctest.Wait()
		for _, s := range []string{"a", "b", "c"} {
			p.Send(s)
		}
		got := strings.TrimPrefix(poll.Wait().String(), "200 ")
		for !strings.HasSuffix(got, "4c") { // how many polls it takes is up to the server
			got += "\x1e" + strings.TrimPrefix(p.Get(), "200 ")
		}
		same(t, "polls", got, "4a\x1e4b\x1e4c")
	})
	inBubble(t, "EIO-GET-4, EIO-HD-1 headers", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("x")
		a := p.Poll().Wait()
		same(t, "content type", a.Header.Get("Content-Type"), "text/plain; charset=UTF-8")
		same(t, "cache control", a.Header.Get("Cache-Control"), "no-store")
	})
	inBubble(t, "EIO-GET-5 second GET while one is parked", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		synctest.Wait()
		same(t, "second", p.Get(), "400")
		same(t, "first", parked.Wait().String(), "200 1")
		same(t, "third", p.Get(), unknownSession)
		same(t, "POST", p.Post("4x"), unknownSession)
		end := p.End()
		same(t, "reason", end.Reason, engine.TransportError)
		same(t, "error", end.Err.Error(), "overlap from client")
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-GET-6 client aborts a parked poll", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		poll := p.Poll()
		synctest.Wait()
		poll.Abort()
		end := p.End()
		same(t, "reason", end.Reason, engine.TransportError)
		same(t, "error", end.Err.Error(), "poll connection closed prematurely")
		same(t, "answer, for logs and caches", poll.Wait().String(), "499")
		same(t, "next", p.Get(), unknownSession)
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-GET-11 after close", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		synctest.Wait()
		p.Session.Close(nil)
		parked.Wait()
		same(t, "GET", p.Get(), unknownSession)
	})
	inBubble(t, "EIO-GET-12 maxPayload does not bind the server", engine.Options{MaxHTTPBufferSize: 10}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		long := strings.Repeat("x", 1000)
		p.Send(long)
		p.Send(long)
		same(t, "poll", p.Get(), "200 4"+long+"\x1e4"+long)
	})
}

// A client that goes away together with the answer to its poll has got the
// answer or has not; either way it is too late to blame the session for it.
func TestPollAbortedAfterItsAnswer(t *testing.T) {
	inBubble(t, "EIO-CL-11, EIO-UP-12 the aborted poll of an upgraded session", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		for range 30 { // both are ready when the poll wakes up: either may be seen first
			p := k.OpenPolling()
			c := p.Upgrade()
			late := &lateContext{Context: t.Context(), hurry: func() {
				c.Text("5")
				synctest.Wait()
			}}
			poll := k.Start(enginetest.Request{Query: p.Query(), Context: late})
			same(t, "poll", poll.Wait().String(), "200 6")
			c.Text("4x")
			synctest.Wait()
			if !p.Open() {
				t.Fatalf("session ended: %v", p.End())
			}
			same(t, "transport", p.Session.Transport(), "websocket")
		}
	})
}

// A lateContext ends when it is first waited for, after hurry.
type lateContext struct {
	context.Context

	hurry func()
}

func (c *lateContext) Done() <-chan struct{} {
	c.hurry()
	done := make(chan struct{})
	close(done)
	return done
}

func TestMethods(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH", "get", ""} {
		if method == "" {
			method = "BREW"
		}
		inBubble(t, "EIO-MT-1 "+method+" without sid", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			same(t, "answer", k.Do(enginetest.Request{Method: method, Query: polling}).String(), badMethod)
			same(t, "sessions", k.Remembered(), 0)
		})
	}
	for _, method := range []string{"PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"} {
		inBubble(t, "EIO-MT-2 "+method+" with a session (better: 405)", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			a := k.Do(enginetest.Request{Method: method, Query: p.Query(), Body: strings.NewReader("4x")})
			same(t, "answer", a.String(), "405")
			same(t, "allowed", a.Header.Get("Allow"), "GET, POST")
			same(t, "messages", len(p.Messages()), 0)
			p.Send("unharmed")
			same(t, "poll", p.Get(), "200 4unharmed")
		})
	}
	inBubble(t, "EIO-WS-2 POST that wants an upgrade, with a session", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		a := k.Do(enginetest.Request{
			Method: http.MethodPost, Query: websocket + "&sid=" + p.SID, Header: enginetest.Handshake(),
		})
		same(t, "answer", a.String(), "405 Invalid HTTP method")
	})
	inBubble(t, "EIO-WS-2 POST that wants an upgrade, without", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		a := k.Do(enginetest.Request{Method: http.MethodPost, Query: websocket, Header: enginetest.Handshake()})
		same(t, "answer", a.String(), "400 Bad handshake method")
	})
}
