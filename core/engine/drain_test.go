package engine_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// drainTick is how often Drain looks, which is how late it may see something.
const drainTick = 20 * time.Millisecond

// between two ticks is when tests do something, so that it is seen at the next tick.
const between = drainTick / 2

// answerClose plays a client that closes its end when it has read the close frame.
func answerClose(k *enginetest.Kit, c *enginetest.Conn) {
	k.Go(func() {
		for f := c.Next(); f != "close"; f = c.Next() {
			if f == "end" {
				return
			}
		}
		_ = c.Close()
	})
}

// drain drains and returns how long it took.
func drain(t *testing.T, k *enginetest.Kit, spread, grace time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	k.Drain(t.Context(), spread, grace)
	return time.Since(start)
}

func TestDrainSpread(t *testing.T) {
	inBubble(t, "sessions end at even distances, in random order", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		var peers []*enginetest.Peer
		for range 20 {
			c, p := openWebSocket(t, k)
			answerClose(k, c)
			peers = append(peers, p)
		}
		start := time.Now()
		same(t, "took", drain(t, k, 20*time.Second, time.Second), 19*time.Second+drainTick)
		inOrder := slices.IsSortedFunc(peers, func(a, b *enginetest.Peer) int { return a.End().At.Compare(b.End().At) })
		slices.SortFunc(peers, func(a, b *enginetest.Peer) int { return a.End().At.Compare(b.End().At) })
		for i, p := range peers {
			same(t, "end", p.End().At.Sub(start), time.Duration(i)*time.Second)
			same(t, "reason", p.End().Reason, engine.ForcedClose)
		}
		same(t, "in the order in which they came", inOrder, false)
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "without a spread all end at once", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		start := time.Now()
		for range 200 { // more than are closed at the same time
			c, _ := openWebSocket(t, k)
			answerClose(k, c)
		}
		same(t, "took", drain(t, k, 0, time.Second), drainTick)
		same(t, "end", k.LastPeer().End().At.Sub(start), 0)
	})
	inBubble(t, "nobody is there", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "took", drain(t, k, time.Hour, time.Hour), 0)
	})
	inBubble(t, "sessions that end by themselves have no turn", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		for range 5 {
			openWebSocket(t, k)
		}
		time.AfterFunc(time.Minute+between, k.CloseAll)
		same(t, "took", drain(t, k, time.Hour, time.Hour), time.Minute+drainTick)
	})
	inBubble(t, "no time at all: Shutdown has to do it", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		openWebSocket(t, k)
		same(t, "took", drain(t, k, 0, 0), 0)
		same(t, "refused", k.Do(enginetest.Request{Query: polling}).Status, http.StatusServiceUnavailable)
	})
}

// Sessions that have ended are remembered until their clients have read the rest, which a client
// that has gone never does. They have no turn, so Spread is not for them.
func TestDrainDoesNotSpreadWhatHasEnded(t *testing.T) {
	const spread, grace = time.Hour, 5 * time.Second
	inBubble(t, "before, and the clients do not poll", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		for range 3 {
			k.OpenPolling().Session.Close(nil)
		}
		same(t, "sessions", k.Remembered(), 3)
		same(t, "took", drain(t, k, spread, grace), grace)
	})
	inBubble(t, "before, and a client polls", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Session.Close(nil)
		time.AfterFunc(time.Second+between, func() { same(t, "poll", p.Get(), "200 6\x1e1") })
		same(t, "took", drain(t, k, spread, grace), time.Second+drainTick)
	})
	inBubble(t, "before, and the peer does not answer the close frame", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		_, p := openWebSocket(t, k)
		p.Session.Close(nil)
		same(t, "took", drain(t, k, spread, grace), grace)
	})
	inBubble(t, "during the spread", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		for range 5 {
			p := k.OpenPolling()
			time.AfterFunc(10*time.Second+between, func() { p.Session.Close(nil) })
		}
		same(t, "took", drain(t, k, spread, grace), 10*time.Second+grace)
	})
	inBubble(t, "in the turn of the last one", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OpenPolling()
		k.OpenPolling()
		same(t, "took", drain(t, k, time.Minute, grace), 30*time.Second+grace)
	})
	inBubble(t, "with clients that stay, it goes on", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OpenPolling().Session.Close(nil)
		var last *enginetest.Peer
		for range 3 {
			c, p := openWebSocket(t, k)
			answerClose(k, c)
			last = p
		}
		if took := drain(t, k, time.Minute, grace); took < 30*time.Second {
			t.Errorf("took %v, and a client was there", took)
		}
		same(t, "open", last.Open(), false)
	})
}

func TestDrainClose(t *testing.T) {
	inBubble(t, "a parked poll is closed, and its connection", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		poll := p.Poll()
		synctest.Wait()
		same(t, "took", drain(t, k, time.Minute, time.Second), drainTick)
		same(t, "poll", poll.Wait().String(), "503")
		same(t, "header", poll.Wait().Header.Get("Connection"), "close")
		same(t, "next", p.Get(), unknownSession)
	})
	inBubble(t, "a client between two polls has the grace to poll", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("a")
		time.AfterFunc(2*time.Second+between, func() {
			poll := p.Poll().Wait()
			same(t, "poll", poll.String(), "200 4a")
			same(t, "the poll after that", p.Get(), "503")
			same(t, "next", p.Get(), unknownSession)
		})
		same(t, "took", drain(t, k, 0, 5*time.Second), 2*time.Second+drainTick)
	})
	inBubble(t, "a parked poll gets what is queued", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		p := k.OpenPolling()
		same(t, "POST", p.Post("4a"), "200 ok")
		time.AfterFunc(between, func() { same(t, "poll", p.Get(), "200 4a") })
		time.AfterFunc(drainTick+between, func() { same(t, "the poll after that", p.Get(), "503") })
		same(t, "took", drain(t, k, 0, 5*time.Second), 2*drainTick)
	})
	inBubble(t, "Shutdown forgets a client that has not polled", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		k.Go(func() { k.Drain(t.Context(), 0, time.Hour) })
		synctest.Wait()
		same(t, "open", p.Open(), false)
		same(t, "sessions", k.Remembered(), 1)
		if err := k.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		same(t, "sessions", k.Remembered(), 0)
		same(t, "next", p.Get(), unknownSession)
	})
	inBubble(t, "a client that does not poll is not waited for longer", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OpenPolling()
		same(t, "took", drain(t, k, 3*time.Second, 5*time.Second), 5*time.Second)
	})
	inBubble(t, "what was sent before comes first", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		p.Send("a")
		k.Go(func() { drain(t, k, 0, time.Second) })
		wantFrames(t, c, "4a", "close")
		_ = c.Close()
	})
	inBubble(t, "a client in the middle of an upgrade", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		time.AfterFunc(time.Second+between, func() { c.Text("5") })
		k.Go(func() {
			wantFrames(t, c, "close")
			_ = c.Close()
		})
		same(t, "took", drain(t, k, 0, 5*time.Second), time.Second+drainTick)
	})
}

func TestDrainRefuses(t *testing.T) {
	asked := 0
	opts := engine.Options{
		UseRequest: []func(http.Header, *engine.Request) error{
			func(http.Header, *engine.Request) error { asked++; return nil },
		},
		AllowRequest:      func(*engine.Request) error { asked++; return nil },
		OnConnectionError: func(engine.ConnectionError) { asked++ },
		CORS:              &engine.CORS{Origins: []string{"https://app.test"}},
	}
	inBubble(t, "new sessions are refused, others go on", opts, func(t *testing.T, k *enginetest.Kit) {
		p, upgrades := k.OpenPolling(), k.OpenPolling()
		asked = 0
		ctx, cancel := context.WithCancel(t.Context())
		k.Go(func() { k.Drain(ctx, time.Hour, time.Hour) })
		synctest.Wait()
		if !p.Open() {
			p = upgrades
		}
		for _, transport := range []string{polling, websocket} {
			header := enginetest.Handshake()
			header.Set("Origin", "https://app.test")
			if transport == polling {
				header.Del("Connection")
				header.Del("Upgrade")
			}
			_, a := k.TryDial(enginetest.Request{Query: transport, Header: header})
			same(t, transport, a.String(), "503")
			same(t, "Retry-After", a.Header.Get("Retry-After"), "1")
			same(t, "Connection", a.Header.Get("Connection"), "close")
			same(t, "CORS", a.Header.Get("Access-Control-Allow-Origin"), "https://app.test")
		}
		same(t, "functions called for new sessions", asked, 0)
		same(t, "POST", p.Post("4a"), "200 ok")
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		c.Text("5")
		synctest.Wait()
		same(t, "transport", p.Session.Transport(), "websocket")
		cancel()
	})
}

func TestDrainWaits(t *testing.T) {
	inBubble(t, "for a handler, for grace at most", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		var mu sync.Mutex
		done := make(map[string]bool)
		k.Finished = func(p *enginetest.Peer) bool {
			mu.Lock()
			defer mu.Unlock()
			return done[p.Session.ID()]
		}
		start := time.Now()
		var peers []*enginetest.Peer
		for i := range 3 {
			c, p := openWebSocket(t, k)
			answerClose(k, c)
			peers = append(peers, p)
			time.AfterFunc(time.Duration(i+1)*2*time.Second+between, func() {
				mu.Lock()
				defer mu.Unlock()
				done[p.Session.ID()] = true
			})
		}
		same(t, "took", drain(t, k, 0, 5*time.Second), 5*time.Second+drainTick)
		same(t, "after 2 s", peers[0].End().At.Sub(start), 2*time.Second+drainTick)
		same(t, "after 4 s", peers[1].End().At.Sub(start), 4*time.Second+drainTick)
		same(t, "after 6 s", peers[2].End().At.Sub(start), 5*time.Second)
	})
	inBubble(t, "a handler that cannot say has the grace", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.Finished = func(*enginetest.Peer) bool { panic("broken") }
		c, _ := openWebSocket(t, k)
		answerClose(k, c)
		same(t, "took", drain(t, k, 0, 5*time.Second), 5*time.Second+drainTick)
	})
	inBubble(t, "for a POST that is being read", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		r, w := io.Pipe()
		post := k.Start(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: r})
		poll := p.Poll()
		synctest.Wait()
		time.AfterFunc(3*time.Second+between, func() {
			_, _ = io.WriteString(w, "4a")
			_ = w.Close()
		})
		same(t, "took", drain(t, k, 0, 5*time.Second), 3*time.Second+2*drainTick)
		same(t, "POST", post.Wait().String(), "200 ok")
		same(t, "poll", poll.Wait().String(), "503")
		wantMessages(t, p.Peer, "a")
	})
	inBubble(t, "for a message that is being received", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		received := false
		k.OnMessage = func(p *enginetest.Peer, _ bool, _ []byte) {
			time.Sleep(3*time.Second + between)
			received = p.Open()
		}
		c, _ := openWebSocket(t, k)
		answerClose(k, c)
		c.Text("4a")
		synctest.Wait()
		same(t, "took", drain(t, k, 0, 5*time.Second), 3*time.Second+2*drainTick)
		same(t, "received in time", received, true)
	})
	inBubble(t, "until its context ends", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.Finished = func(*enginetest.Peer) bool { return false }
		openWebSocket(t, k)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		k.Drain(ctx, time.Hour, time.Hour)
		same(t, "took", time.Since(start), 3*time.Second)
		same(t, "open", k.LastPeer().Open(), true)
	})
}
