package engine_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func TestPollingClose(t *testing.T) {
	inBubble(t, "EIO-CL-3 poll parked", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		poll := p.Poll()
		synctest.Wait()
		p.Session.Close(nil)
		same(t, "parked poll", poll.Wait().String(), "200 1")
		same(t, "reason", p.End().Reason, engine.ForcedClose)
		same(t, "next", p.Get(), unknownSession)
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-CL-1, EIO-CL-3, EIO-CL-4 messages and close in one turn, poll parked", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		poll := p.Poll()
		synctest.Wait()
		p.Send("a")
		p.Send("b")
		p.Session.Close(nil)
		got := poll.Wait().Body
		for range 2 { // the first may have left before the others were there
			if got == "4a" {
				got += "\x1e" + p.Poll().Wait().Body
			}
		}
		same(t, "polls", got, "4a\x1e4b")
		same(t, "the poll after that", p.Get(), "200 6\x1e1")
		same(t, "next", p.Get(), unknownSession)
	})
	inBubble(t, "EIO-GET-8, EIO-CL-4 no poll parked, nothing queued", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		start := time.Now()
		p.Session.Close(nil)
		end := p.End()
		same(t, "reason", end.Reason, engine.ForcedClose)
		same(t, "better: told at once", end.At.Sub(start), 0)
		time.Sleep(30*time.Second - 1)
		same(t, "poll at the last moment", p.Get(), "200 6\x1e1")
		same(t, "next", p.Get(), unknownSession)
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-CL-1, EIO-CL-4 no poll parked, messages queued", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("a")
		p.SendBinary("b")
		p.Session.Close(nil)
		same(t, "EIO-CL-4 POST meanwhile", p.Post("4dropped"), "200 ok")
		same(t, "poll", p.Get(), "200 4a\x1ebYg==")
		same(t, "the poll after that", p.Get(), "200 6\x1e1")
		same(t, "next", p.Get(), unknownSession)
		wantMessages(t, p.Peer)
	})
	inBubble(t, "EIO-CL-4 closeTimeout", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("never read")
		p.Session.Close(nil)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		same(t, "sessions", k.Remembered(), 0)
		same(t, "next", p.Get(), unknownSession)
	})
	inBubble(t, "EIO-CL-4 better: no ping while closing", engine.Options{PingInterval: time.Second, PingTimeout: time.Second}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Session.Close(nil)
		time.Sleep(20 * time.Second)
		same(t, "poll", p.Get(), "200 6\x1e1")
		same(t, "reason", p.End().Reason, engine.ForcedClose)
	})
	inBubble(t, "EIO-CL-6, EIO-POST-17 a POST that is being read", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		r, w := io.Pipe()
		post := k.Start(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: r})
		if _, err := w.Write([]byte("4a")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		p.Session.Close(nil)
		same(t, "parked poll", parked.Wait().String(), "200 1")
		same(t, "the POST", post.Wait().String(), "0 hung up")
		same(t, "reason", p.End().Reason, engine.ForcedClose)
		wantMessages(t, p.Peer)
	})
	inBubble(t, "EIO-CL-7, EIO-CL-12 once, and nothing after it", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		first := errors.New("first")
		p.Session.Close(first)
		p.Session.Close(errors.New("second"))
		p.Poll().Abort()
		time.Sleep(time.Hour)
		if end := p.End(); !errors.Is(end.Err, first) { // End fails if there were two
			t.Errorf("ended with %v", end)
		}
		if err := p.Session.SendMessage(false, []byte("x")); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("Send: %v", err)
		}
		same(t, "SendVolatile", p.Session.SendVolatile(), false)
	})
}

func TestWebSocketClose(t *testing.T) {
	inBubble(t, "EIO-CL-1 what was sent comes before the close", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		p.Send("a")
		p.SendBinary("b")
		p.Session.Close(nil)
		if err := p.Session.SendMessage(false, []byte("late")); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("Send: %v", err)
		}
		wantFrames(t, c, "4a", "<62>", "close")
		c.Text("4dropped")
		c.SendClose(0)
		_ = c.Close()
		synctest.Wait()
		wantMessages(t, p)
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-CL-1 a peer that does not answer the close frame is cut", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		start := time.Now()
		p.Session.Close(nil)
		wantFrames(t, c, "close", "end")
		same(t, "after", time.Since(start), 30*time.Second)
		synctest.Wait()
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-CL-1 a peer that does not even read is cut", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.DialPaused(enginetest.Request{Query: websocket, Header: enginetest.Handshake()})
		synctest.Wait()
		p := k.LastPeer()
		p.Send("never read")
		p.Session.Close(nil)
		same(t, "reason", p.End().Reason, engine.ForcedClose)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "nothing follows our close frame, not even a pong", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c := k.DialPaused(enginetest.Request{Query: websocket, Header: enginetest.Handshake()})
		synctest.Wait()
		p := k.LastPeer()
		p.Send("in the way") // keeps the writer busy until the client reads
		synctest.Wait()
		p.Session.Close(nil)
		c.Ping("late")
		c.SendClose(1000)
		c.Resume()
		sessionOf(t, k, c)
		wantFrames(t, c, "4in the way", "close")
		time.Sleep(time.Second)
		same(t, "behind it", c.Waiting(), "")
	})
}

func TestShutdown(t *testing.T) {
	inBubble(t, "EIO-CL-8 polling", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		idle, parked := k.OpenPolling(), k.OpenPolling()
		idle.Send("lost")
		poll := parked.Poll()
		synctest.Wait()
		if err := k.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, "parked poll", poll.Wait().String(), "200 1")
		for _, p := range []*enginetest.Polling{idle, parked} {
			same(t, "reason", p.End().Reason, engine.ForcedClose)
			same(t, "next", p.Get(), unknownSession)
		}
		same(t, "sessions", k.Remembered(), 0)
		same(t, "better: new polling sessions are refused", k.Do(enginetest.Request{Query: polling}).Status, 503)
		same(t, "new WebSocket sessions are refused",
			k.Do(enginetest.Request{Query: websocket, Header: enginetest.Handshake()}).Status, 503)
		same(t, "sessions", k.Remembered(), 0)
		if err := k.Shutdown(t.Context()); err != nil {
			t.Errorf("again: %v", err)
		}
	})
	inBubble(t, "EIO-CL-8, EIO-CL-9 websocket, upgraded, upgrading and closing", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		plain, p1 := openWebSocket(t, k)
		moved, p2 := upgraded(t, k)
		p3 := k.OpenPolling()
		moving := p3.Upgrade()
		p4 := k.OpenPolling()
		p4.Session.Close(nil)
		for _, c := range []*enginetest.Conn{plain, moved} {
			k.Go(func() { // as a client does
				wantFrames(t, c, "close")
				c.SendClose(0)
				_ = c.Close()
			})
		}
		start := time.Now()
		if err := k.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		same(t, "took", time.Since(start), 0)
		wantFrames(t, moving, "end")
		for _, p := range []*enginetest.Peer{p1, p2.Peer, p3.Peer, p4.Peer} {
			same(t, "reason", p.End().Reason, engine.ForcedClose)
		}
		synctest.Wait()
		same(t, "sessions", k.Remembered(), 0)
	})
}
