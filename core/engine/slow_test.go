package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
	"github.com/sioplug/sioplug/internal/frame"
)

// dialSlow opens a session whose client does not read yet.
func dialSlow(k *enginetest.Kit) (*enginetest.Conn, *enginetest.Peer) {
	c := k.DialPaused(enginetest.Request{Query: websocket, Header: enginetest.Handshake()})
	synctest.Wait()
	return c, k.LastPeer()
}

func message(s string) *frame.Frame { return frame.Text(append(frame.Buffer(1+len(s)), "4"+s...)) }

func TestSlowClient(t *testing.T) {
	const limit = 10_000
	opts := engine.Options{MaxSendBuffer: limit}
	f := message(strings.Repeat("x", 100))
	const most = limit / 103 // of these frames, and fewer with what they take beyond their bytes

	fill := func(t *testing.T, p *enginetest.Peer) (sent int) {
		t.Helper()
		for sent = range most + 1 {
			if err := p.Session.Send(f); err != nil {
				if !errors.Is(err, engine.ErrSlowClient) {
					t.Errorf("Send: %v", err)
				}
				return sent
			}
		}
		t.Fatalf("%d frames of %d bytes were queued", sent, f.Len())
		return 0
	}
	slow := func(t *testing.T, k *enginetest.Kit, p *enginetest.Peer) {
		t.Helper()
		end := p.End()
		same(t, "reason", end.Reason, engine.TransportError)
		if !errors.Is(end.Err, engine.ErrSlowClient) {
			t.Errorf("error: %v", end.Err)
		}
		same(t, "Send afterwards", p.Session.Send(f), engine.ErrClosed)
		time.Sleep(30 * time.Second) // then it is cut, whether it reads or not
		synctest.Wait()
		same(t, "sessions", k.Remembered(), 1)
	}
	inBubble(t, "EIO-WS-18 better: a WebSocket that does not read is closed, others get everything", opts, func(t *testing.T, k *enginetest.Kit) {
		other, o := openWebSocket(t, k)
		_, p := dialSlow(k)
		if n := fill(t, p); n < most/2 {
			t.Errorf("only %d frames were queued", n)
		}
		for i := range 2 * most { // the other one reads
			o.Send(fmt.Sprint(i))
			wantFrames(t, other, fmt.Sprint("4", i))
		}
		slow(t, k, p)
	})
	inBubble(t, "polling client that does not poll", opts, func(t *testing.T, k *enginetest.Kit) {
		openWebSocket(t, k)
		p := k.OpenPolling()
		fill(t, p.Peer)
		same(t, "poll", p.Get(), unknownSession)
		slow(t, k, p.Peer)
	})
	inBubble(t, "a client that catches up may fall behind again", opts, func(t *testing.T, k *enginetest.Kit) {
		c, p := dialSlow(k)
		for range most / 2 {
			if err := p.Session.Send(f); err != nil {
				t.Fatal(err)
			}
		}
		c.Resume()
		synctest.Wait()
		for range 3 * most {
			if err := p.Session.Send(f); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		sessionOf(t, k, c)
		for range most/2 + 3*most {
			wantFrames(t, c, string(f.Payload()))
		}
	})
	large := strings.Repeat("x", 10*limit)
	inBubble(t, "a message larger than the whole buffer, WebSocket", opts, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		for range 3 {
			p.Send("before")
			p.Send(large)
			wantFrames(t, c, "4before", "4"+large)
			synctest.Wait()
		}
		same(t, "open", p.Open(), true)
	})
	inBubble(t, "a message larger than the whole buffer, polling", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		for range 3 {
			p.Send(large)
			same(t, "poll", p.Get(), "200 4"+large)
		}
		parked := p.Poll()
		synctest.Wait()
		p.Send(large)
		same(t, "parked poll", parked.Wait().String(), "200 4"+large)
		same(t, "open", p.Open(), true)
	})
	inBubble(t, "a message larger than the whole buffer, its attachments together", opts, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		head, attachment := message(large), frame.Binary(append(frame.Buffer(3), "\x01\x02\x03"...))
		if err := p.Session.Send(head, attachment, head); err != nil {
			t.Fatal(err)
		}
		wantFrames(t, c, "4"+large, "<010203>", "4"+large)
	})
	inBubble(t, "more behind such a message", opts, func(t *testing.T, k *enginetest.Kit) {
		_, p := dialSlow(k)
		p.Send(large)
		same(t, "Send", p.Session.Send(f), engine.ErrSlowClient)
		same(t, "reason", p.End().Reason, engine.TransportError)
	})
	inBubble(t, "a flood of pings without reading the pongs", opts, func(t *testing.T, k *enginetest.Kit) {
		c, p := dialSlow(k)
		payload := strings.Repeat("p", 100)
		for range 10 * most {
			c.Ping(payload)
		}
		synctest.Wait()
		same(t, "open", p.Open(), true)
		c.Resume()
		sessionOf(t, k, c)
		synctest.Wait()
		pongs := 0
		for got := c.Waiting(); got != ""; got = c.Waiting() {
			same(t, "frame", got, "pong "+payload)
			pongs++
		}
		if pongs < most/4 || pongs > most {
			t.Errorf("%d pongs were queued, of %d bytes each", pongs, len(payload))
		}
		c.Ping("again")
		wantFrames(t, c, "pong again")
	})
	inBubble(t, "a flood of pings of revision 3", engine.Options{MaxSendBuffer: limit, AllowEIO3: true}, func(t *testing.T, k *enginetest.Kit) {
		c := k.DialPaused(enginetest.Request{Query: websocket3, Header: enginetest.Handshake()})
		synctest.Wait()
		p := k.LastPeer()
		for range limit {
			c.Text("2")
		}
		if err := p.End().Err; !errors.Is(err, engine.ErrSlowClient) {
			t.Errorf("error: %v", err)
		}
		_ = c.Close()
	})
	inBubble(t, "a volatile message does not end the session", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		for range 3 * most {
			p.Session.SendVolatile(f) // no poll is open
		}
		same(t, "open", p.Open(), true)
		parked := p.Poll()
		synctest.Wait()
		for range 3 * most { // some while the poll is being answered
			p.Session.SendVolatile(f)
		}
		same(t, "status", parked.Wait().Status, 200)
		same(t, "open", p.Open(), true)
	})
	inBubble(t, "a volatile message does not end the session whose handler sends many", opts, func(t *testing.T, k *enginetest.Kit) {
		dropped := 0
		k.Work = func(p *enginetest.Peer) { // what it sends is written when it returns
			for len(p.Messages()) > 0 && dropped < most {
				if !p.Session.SendVolatile(f) {
					dropped++
				}
			}
		}
		c, p := openWebSocket(t, k)
		c.Text("4go")
		synctest.Wait()
		same(t, "dropped", dropped, most)
		same(t, "open", p.Open(), true)
	})
}

func TestSendVolatile(t *testing.T) {
	f := message("volatile")
	inBubble(t, "websocket: dropped while congested", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := dialSlow(k)
		p.Send("in the way") // the client reads neither this
		synctest.Wait()
		for range 3 {
			same(t, "queued", p.Session.SendVolatile(f), false)
		}
		p.Send("kept")
		c.Resume()
		sessionOf(t, k, c)
		wantFrames(t, c, "4in the way", "4kept")
		synctest.Wait()
		same(t, "queued", p.Session.SendVolatile(f), true)
		wantFrames(t, c, "4volatile")
	})
	inBubble(t, "polling: dropped without a poll", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		same(t, "queued", p.Session.SendVolatile(f), false)
		poll := p.Poll()
		synctest.Wait()
		same(t, "queued", p.Session.SendVolatile(f), true)
		same(t, "poll", poll.Wait().String(), "200 4volatile")
	})
}

// Frames of one Send stay together, whatever else is sent meanwhile.
func TestSendKeepsTogether(t *testing.T) {
	inBubble(t, "frames of one Send", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		const senders, each = 8, 50
		for i := range senders {
			k.Go(func() {
				for range each {
					_ = p.Session.Send(message(fmt.Sprint(i, "head")), message(fmt.Sprint(i, "tail")))
				}
			})
		}
		for range senders * each {
			sender, _ := strings.CutSuffix(c.Next(), "head")
			wantFrames(t, c, sender+"tail")
		}
	})
}
