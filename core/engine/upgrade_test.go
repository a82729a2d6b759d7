package engine_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// upgraded opens a session over polling and upgrades it.
func upgraded(t *testing.T, k *enginetest.Kit) (*enginetest.Conn, *enginetest.Polling) {
	t.Helper()
	p := k.OpenPolling()
	c := p.Upgrade()
	c.Text("2probe")
	wantFrames(t, c, "3probe")
	c.Text("5")
	synctest.Wait()
	same(t, "transport", p.Session.Transport(), "websocket")
	return c, p
}

func TestUpgrade(t *testing.T) {
	inBubble(t, "protocol suite: probe, noop, upgrade, echo", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		p := k.OpenPolling()
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		start := time.Now()
		a := p.Poll().Wait()
		same(t, "poll", a.String(), "200 6")
		same(t, "EIO-UP-1 after", a.At.Sub(start), 40*time.Millisecond)
		c.Text("5")
		c.Text("4hello")
		c.Binary("\x01")
		wantFrames(t, c, "4hello", "<01>")
		same(t, "EIO-UP-14 request", p.Session.Request().Query.Get("transport"), "polling")
		same(t, "EIO-HS-8 sessions", k.Remembered(), 1)
	})
	inBubble(t, "EIO-UP-1, EIO-UP-2, EIO-GET-9 every poll is ended while probing", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		c := p.Upgrade()
		synctest.Wait()
		same(t, "answered before the probe", parked.Answered(), false)
		c.Text("2probe")
		same(t, "parked poll", parked.Wait().String(), "200 6")
		for range 20 {
			start := time.Now()
			a := p.Poll().Wait()
			same(t, "poll", a.String(), "200 6")
			same(t, "after", a.At.Sub(start), 100*time.Millisecond)
		}
	})
	inBubble(t, "EIO-UP-2 better: the poll that was parked at the probe ends at once", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		time.Sleep(100 * time.Millisecond)
		c := p.Upgrade()
		start := time.Now()
		c.Text("2probe")
		same(t, "after", parked.Wait().At.Sub(start), 0)
		wantFrames(t, c, "3probe")
	})
	inBubble(t, "EIO-UP-2 a session's first moments have no packet more than its messages", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		time.Sleep(19 * time.Millisecond)
		synctest.Wait()
		same(t, "answered", parked.Answered(), false)
		p.Send("what is said ends the poll")
		same(t, "poll", parked.Wait().String(), "200 4what is said ends the poll")
		p.Send("more")
		same(t, "next poll", p.Get(), "200 4more")
		start := time.Now()
		a := p.Poll().Wait()
		same(t, "last poll", a.String(), "200 6")
		same(t, "after", a.At.Sub(start), 40*time.Millisecond)
	})
	inBubble(t, "EIO-UP-2 better: a poll in a session's first moments ends soon if there are no messages", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		c := p.Upgrade()
		start := time.Now()
		c.Text("2probe")
		a := parked.Wait()
		same(t, "poll", a.String(), "200 6")
		same(t, "after", a.At.Sub(start), 20*time.Millisecond)
	})
	for what, send := range map[string]bool{"": false, "while messages wait": true} {
		inBubble(t, "EIO-GET-10 a GET that overtakes the upgrade packet"+what, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			time.Sleep(time.Second)
			c := p.Upgrade()
			c.Text("2probe")
			wantFrames(t, c, "3probe")
			if send {
				p.Send("for the new connection")
			}
			poll := p.Poll()
			time.Sleep(10 * time.Millisecond)
			if send {
				p.Send("this, too")
			}
			c.Text("5")
			same(t, "poll", poll.Wait().String(), badRequest)
			same(t, "another", p.Get(), badRequest)
			if send {
				wantFrames(t, c, "4for the new connection", "4this, too")
			}
			p.Send("x")
			wantFrames(t, c, "4x")
		})
	}
	inBubble(t, "EIO-GET-10 a GET while a POST holds up the switch", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		wait := make(chan struct{})
		k.OnMessage = func(*enginetest.Peer, bool, []byte) { <-wait }
		p := k.OpenPolling()
		post := k.Start(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader("4slow")})
		synctest.Wait()
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		c.Text("5")
		same(t, "poll", p.Get(), badRequest)
		close(wait)
		same(t, "post", post.Wait().String(), "200 ok")
		p.Send("x")
		wantFrames(t, c, "4x")
	})
	inBubble(t, "EIO-UP-4 without a probe", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		p.Send("waiting")
		c.Text("5")
		wantFrames(t, c, "4waiting")
		same(t, "transport", p.Session.Transport(), "websocket")
	})
	inBubble(t, "EIO-UP-5 several probes", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		for range 3 {
			c.Text("2probe")
		}
		wantFrames(t, c, "3probe", "3probe", "3probe")
		c.Text("5")
		p.Send("x")
		wantFrames(t, c, "4x")
	})
	inBubble(t, "EIO-GET-10, EIO-UP-12 polling after the switch", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c, p := upgraded(t, k)
		same(t, "GET", p.Get(), badRequest)
		same(t, "POST", p.Post("4x"), badRequest)
		wantMessages(t, p.Peer)
		c.Text("4still")
		wantFrames(t, c, "4still")
	})
	inBubble(t, "EIO-UP-12 a poll parked at the switch (better: answered with a noop)", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		c := p.Upgrade()
		synctest.Wait()
		c.Text("5")
		same(t, "parked poll", parked.Wait().String(), "200 6")
		p.Send("x")
		wantFrames(t, c, "4x")
	})
	inBubble(t, "EIO-UP-3 queued data goes with the switch", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		p.Send("a")
		same(t, "while probing, polling carries it", p.Get(), "200 4a")
		p.SendBinary("b")
		p.Send("c")
		c.Text("5")
		wantFrames(t, c, "<62>", "4c")
	})
}

// What may go wrong while a connection probes does no harm to the session.
func TestUpgradeFails(t *testing.T) {
	unharmed := func(t *testing.T, p *enginetest.Polling) {
		t.Helper()
		same(t, "transport", p.Session.Transport(), "polling")
		p.Send("down")
		same(t, "poll", p.Get(), "200 4down")
		same(t, "post", p.Post("4up"), "200 ok")
		wantMessages(t, p.Peer, "up")
	}
	for name, first := range map[string]string{
		"message": "4x", "close": "1", "ping": "2", "empty": "", "unknown": "7", "pong": "3probe", "upgrade with data": "5x",
	} {
		inBubble(t, "EIO-UP-6 first packet is "+name, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			c := p.Upgrade()
			c.Text(first)
			wantFrames(t, c, "close")
			c.Text("5") // too late
			synctest.Wait()
			unharmed(t, p)
			again := p.Upgrade()
			again.Text("2probe")
			wantFrames(t, again, "3probe")
		})
	}
	inBubble(t, "EIO-UP-6 binary", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		c.Binary("2probe")
		wantFrames(t, c, "close")
		unharmed(t, p)
	})
	inBubble(t, "EIO-UP-6 garbage behind the probe", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		c.Raw([]byte("garbage garbage"))
		wantFrames(t, c, "end")
		unharmed(t, p)
	})
	for _, probed := range []bool{false, true} {
		inBubble(t, fmt.Sprintf("EIO-UP-7 connection lost, probed %v", probed), engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			c := p.Upgrade()
			if probed {
				c.Text("2probe")
				wantFrames(t, c, "3probe")
			}
			_ = c.Close()
			synctest.Wait()
			unharmed(t, p)
			poll := p.Poll()
			time.Sleep(time.Second)
			same(t, "polls are parked again", poll.Answered(), false)
			again := p.Upgrade()
			again.Text("2probe")
			same(t, "poll", poll.Wait().String(), "200 6")
			again.Text("5")
			synctest.Wait()
			same(t, "transport", p.Session.Transport(), "websocket")
		})
		inBubble(t, fmt.Sprintf("EIO-UP-8 upgrade timeout, probed %v", probed), engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			start := time.Now()
			c := p.Upgrade()
			if probed {
				c.Text("2probe")
				wantFrames(t, c, "3probe")
			}
			wantFrames(t, c, "end")
			same(t, "after", time.Since(start), 10*time.Second)
			unharmed(t, p)
		})
	}
	inBubble(t, "EIO-UP-8 the timeout does not touch who made it in time", engine.Options{UpgradeTimeout: time.Second}, func(t *testing.T, k *enginetest.Kit) {
		c, p := upgraded(t, k)
		time.Sleep(5 * time.Second)
		p.Send("x")
		wantFrames(t, c, "4x")
	})
	inBubble(t, "EIO-UP-9 second connection while one probes", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		first := p.Upgrade()
		first.Text("2probe")
		wantFrames(t, first, "3probe")
		second := p.Upgrade()
		wantFrames(t, second, "close")
		second.Text("5")
		first.Text("5")
		p.Send("x")
		wantFrames(t, first, "4x")
	})
	inBubble(t, "EIO-UP-9 second connection after the upgrade", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		first, p := upgraded(t, k)
		wantFrames(t, p.Upgrade(), "close")
		first.Text("4x")
		wantFrames(t, first, "4x")
	})
	inBubble(t, "EIO-UP-9 second connection to a session over WebSocket", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		first, p := openWebSocket(t, k)
		wantFrames(t, k.Dial(websocket+"&sid="+p.Session.ID()), "close")
		first.Text("4x")
		wantFrames(t, first, "4x")
	})
	inBubble(t, "EIO-UP-15 better: upgrades that are not allowed are refused", engine.Options{DisableUpgrades: true}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		wantFrames(t, c, "close")
		unharmed(t, p)
	})
	inBubble(t, "EIO-VF-24 a proxy that strips the upgrade headers", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		same(t, "answer", k.Do(enginetest.Request{Query: websocket + "&sid=" + p.SID}).String(), badRequest)
		unharmed(t, p)
	})
}

// Fifty messages each way, two milliseconds apart, around the switch: EIO-UP-3.
func TestUpgradeUnderLoad(t *testing.T) {
	const messages = 50
	for pause := range 12 { // moves the switch along the messages
		inBubble(t, fmt.Sprintf("EIO-UP-3, EIO-UP-18 exactly once and in order, %d", pause), engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			var want []string
			for i := range messages {
				want = append(want, fmt.Sprint(i))
			}
			k.Go(func() {
				for _, m := range want {
					p.Send(m)
					time.Sleep(2 * time.Millisecond)
				}
			})
			up := make(chan string, messages)
			k.Go(func() {
				defer close(up)
				for _, m := range want {
					up <- m
					time.Sleep(2 * time.Millisecond)
				}
			})
			var got []string
			take := func(packets string) {
				for s := range strings.SplitSeq(packets, "\x1e") {
					if s != "6" {
						got = append(got, strings.TrimPrefix(s, "4"))
					}
				}
			}
			// What an official client does: it polls, posts one payload at a
			// time, probes, and switches when its poll and its POST are done.
			c := (*enginetest.Conn)(nil)
			probed := false
			for turn := 0; !probed; turn++ {
				if turn == pause {
					c = p.Upgrade()
					c.Text("2probe")
				}
				poll := p.Poll()
				select {
				case m := <-up:
					same(t, "post", p.Post("4"+m), "200 ok")
				default:
				}
				take(strings.TrimPrefix(poll.Wait().String(), "200 "))
				probed = c != nil && c.Waiting() == "3probe"
			}
			c.Text("5")
			for m := range up {
				c.Text("4" + m)
			}
			for len(got) < messages {
				take(c.Next())
			}
			synctest.Wait()
			if !slices.Equal(got, want) {
				t.Errorf("client got %v", got)
			}
			wantMessages(t, p.Peer, want...)
			same(t, "nothing more", c.Waiting(), "")
		})
	}
}

func TestUpgradeAndClose(t *testing.T) {
	inBubble(t, "EIO-UP-10 session closed while probing", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		c := p.Upgrade()
		synctest.Wait()
		p.Session.Close(nil)
		same(t, "parked poll", parked.Wait().String(), "200 1")
		wantFrames(t, c, "end")
		same(t, "reason", p.End().Reason, engine.ForcedClose)
	})
	inBubble(t, "EIO-UP-10 client closes while probing", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		same(t, "post", p.Post("1"), "200 ok")
		wantFrames(t, c, "end")
		same(t, "reason", p.End().Reason, engine.TransportClose)
	})
	inBubble(t, "EIO-UP-10 the probe comes when the client has closed, before its POST is answered", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		post := k.Start(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader("1")})
		synctest.Wait() // it waits for a poll that it may have overtaken
		c := p.Upgrade()
		wantFrames(t, c, "close")
		same(t, "POST", post.Wait().String(), "200 ok")
		c.Text("5")
		time.Sleep(30 * time.Second)
		wantFrames(t, c, "end")
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-UP-10 ping timeout while probing", engine.Options{UpgradeTimeout: time.Hour}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		wantFrames(t, c, "end")
		same(t, "reason", p.End().Reason, engine.PingTimeout)
	})
	inBubble(t, "EIO-UP-11 the upgrade completes while closing, and brings what was queued", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		same(t, "poll", p.Get(), "200 6") // the client polls no more
		p.Send("last words")
		p.Session.Close(nil)
		synctest.Wait()
		c.Text("5")
		wantFrames(t, c, "4last words", "close")
		same(t, "reason", p.End().Reason, engine.ForcedClose)
		_ = c.Close()
		synctest.Wait()
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-UP-11 the upgrade begins while closing", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("last words")
		p.Session.Close(nil)
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		c.Text("5")
		wantFrames(t, c, "4last words", "close")
	})
	inBubble(t, "EIO-UP-10, EIO-CL-4 nobody completes it in time", engine.Options{UpgradeTimeout: time.Hour}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		start := time.Now()
		c := p.Upgrade()
		p.Send("never read")
		p.Session.Close(nil)
		wantFrames(t, c, "end")
		same(t, "after", time.Since(start), 30*time.Second)
		same(t, "poll", p.Get(), unknownSession)
	})
	inBubble(t, "EIO-UP-10 the closing session is fetched by polling", engine.Options{UpgradeTimeout: time.Hour}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		p.Session.Close(nil)
		same(t, "poll", p.Get(), "200 6\x1e1")
		wantFrames(t, c, "end")
	})
}
