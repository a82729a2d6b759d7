package engine_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
	"github.com/sioplug/sioplug/internal/frame"
)

// withPolicy returns a message with attachments.
func withPolicy(p frame.Policy, text string, attachments ...string) []*frame.Frame {
	fs := []*frame.Frame{message(text)}
	for _, a := range attachments {
		fs = append(fs, frame.Binary(append(frame.Buffer(len(a)), a...)))
	}
	frame.SetPolicy(fs, p)
	return fs
}

func latest(key, text string, attachments ...string) []*frame.Frame {
	return withPolicy(frame.Policy{Key: key}, text, attachments...)
}

func dropOldest(n int, text string, attachments ...string) []*frame.Frame {
	return withPolicy(frame.Policy{MaxWaiting: n, Event: "e"}, text, attachments...)
}

func mustSend(t *testing.T, p *enginetest.Peer, fs []*frame.Frame) {
	t.Helper()
	if err := p.Session.Send(fs...); err != nil {
		t.Fatal(err)
	}
}

// sendAll sends some of everything to a client that does not read.
func sendAll(t *testing.T, p *enginetest.Peer) {
	t.Helper()
	for i := range 20 {
		n := strconv.Itoa(i)
		mustSend(t, p, latest("a", "a"+n, "\x01"+n))
		mustSend(t, p, dropOldest(2, "d"+n, "\x02"+n, "\x03"))
		if i == 10 {
			p.Send("plain")
		}
		mustSend(t, p, latest("b", "b"+n))
	}
}

const sendAllDropped, sendAllReplaced = 18, 38

var afterSendAll = []string{
	"4plain", "4d18", "<023138>", "<03>", "4a19", "<013139>", "4d19", "<023139>", "<03>", "4b19",
}

func TestMessagesThatASlowClientMayMiss(t *testing.T) {
	inBubble(t, "WebSocket: what is being written is not touched, the rest keeps its order", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := dialSlow(k)
		mustSend(t, p, latest("a", "being written"))
		synctest.Wait()
		sendAll(t, p)
		c.Resume()
		sessionOf(t, k, c)
		wantFrames(t, c, append([]string{"4being written"}, afterSendAll...)...)
		same(t, "drops", p.Session.Drops(), engine.DropCount{Dropped: sendAllDropped, Replaced: sendAllReplaced})
		mustSend(t, p, latest("a", "later"))
		wantFrames(t, c, "4later")
		synctest.Wait()
		same(t, "waits", p.Session.Buffered(), 0)
		same(t, "drops of the server", k.Drops(), engine.DropCount{Dropped: sendAllDropped, Replaced: sendAllReplaced})
	})
	inBubble(t, "polling", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		sendAll(t, p.Peer)
		same(t, "poll", p.Get(), "200 "+strings.Join([]string{
			"4plain", "4d18", "bAjE4", "bAw==", "4a19", "bATE5", "4d19", "bAjE5", "bAw==", "4b19",
		}, "\x1e"))
		same(t, "drops", p.Session.Drops(), engine.DropCount{Dropped: sendAllDropped, Replaced: sendAllReplaced})
		same(t, "waits", p.Session.Buffered(), 0)
	})
	inBubble(t, "an upgrade in between", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		mustSend(t, p.Peer, latest("a", "old"))
		mustSend(t, p.Peer, dropOldest(2, "old"))
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		sendAll(t, p.Peer)
		c.Text("5")
		wantFrames(t, c, afterSendAll...)
		same(t, "drops", p.Session.Drops(), engine.DropCount{Dropped: sendAllDropped + 1, Replaced: sendAllReplaced + 1})
	})
	inBubble(t, "revision 3 over polling, attachments as base64", eio3(), func(t *testing.T, k *enginetest.Kit) {
		p := openOld(t, k, "&b64=1")
		mustSend(t, p.Peer, latest("a", "a1", "\x01"))
		mustSend(t, p.Peer, dropOldest(1, "d1", "\x02"))
		mustSend(t, p.Peer, latest("a", "a2", "\x03"))
		mustSend(t, p.Peer, dropOldest(1, "d2", "\x04"))
		same(t, "poll", k.Do(enginetest.Request{Query: p.query}).Body, "3:4a26:b4Aw==3:4d26:b4BA==")
		same(t, "drops", p.Session.Drops(), engine.DropCount{Dropped: 1, Replaced: 1})
	})
	inBubble(t, "messages that begin with binary data, in base64", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		for i := range 3 { // as a parser for MessagePack sends them
			f := frame.Binary(append(frame.Buffer(1), byte(i)))
			frame.SetPolicy([]*frame.Frame{f}, frame.Policy{Key: "a"})
			mustSend(t, p.Peer, []*frame.Frame{f})
		}
		same(t, "poll", p.Get(), "200 bAg==")
	})
	inBubble(t, "the client has read between two of them", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		for i := range 40 {
			mustSend(t, p, latest("a", strconv.Itoa(i)))
			mustSend(t, p, dropOldest(1, "d"))
			wantFrames(t, c, fmt.Sprint("4", i), "4d")
			synctest.Wait()
		}
		same(t, "drops", p.Session.Drops(), engine.DropCount{})
	})
}

func TestFullBufferDropsWhatMayBeDropped(t *testing.T) {
	const limit = 20_000
	opts := engine.Options{MaxSendBuffer: limit}
	long := strings.Repeat("x", 1000)
	inBubble(t, "to make room for others", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		for range 10 {
			mustSend(t, p.Peer, dropOldest(100, "d"+long))
		}
		for p.Session.Drops().Dropped < 10 {
			p.Send("plain" + long)
		}
		same(t, "open", p.Open(), true)
		same(t, "waiting messages", strings.Count(p.Get(), "\x1e")+1 <= limit/1000, true)
	})
	inBubble(t, "itself, if there is no other", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		for p.Session.Buffered() < limit {
			p.Send("plain" + long)
		}
		same(t, "error", p.Session.Send(dropOldest(100, "d")...), engine.ErrDropped)
		same(t, "drops", p.Session.Drops(), engine.DropCount{Dropped: 1})
		same(t, "open", p.Open(), true)
		same(t, "others are too much", p.Session.Send(latest("a", "")...), engine.ErrSlowClient)
		same(t, "error", p.End().Err, engine.ErrSlowClient)
	})
	inBubble(t, "itself, when a large one is being written", opts, func(t *testing.T, k *enginetest.Kit) {
		c, p := dialSlow(k)
		p.Send(strings.Repeat("x", 2*limit))
		synctest.Wait()
		for i := range 5 {
			same(t, "error", p.Session.Send(dropOldest(100, strconv.Itoa(i))...), engine.ErrDropped)
		}
		c.Resume()
		sessionOf(t, k, c)
		wantFrames(t, c, "4"+strings.Repeat("x", 2*limit))
		synctest.Wait()
		same(t, "drops", p.Session.Drops(), engine.DropCount{Dropped: 5})
	})
	inBubble(t, "a million keys", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		n := 0
		for ; p.Open() && n < 1_000_000; n++ {
			_ = p.Session.Send(latest(strconv.Itoa(n), "x")...)
		}
		same(t, "error", p.End().Err, engine.ErrSlowClient)
		same(t, "at most so many", n < limit/100, true)
		p = k.OpenPolling()
		for i := range 200_000 { // the oldest go
			mustSend(t, p.Peer, withPolicy(frame.Policy{Key: strconv.Itoa(i), MaxWaiting: 1 << 30, Event: "e"}, "x"))
		}
		same(t, "open", p.Open(), true)
		same(t, "all but a few are dropped", p.Session.Drops().Dropped > 199_000, true)
		same(t, "buffered", p.Session.Buffered() < limit+1000, true)
	})
	inBubble(t, "a huge key", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		mustSend(t, p.Peer, latest(strings.Repeat("k", 2*limit), "x"))
		same(t, "counts", p.Session.Buffered() > 2*limit, true)
		same(t, "and fills the buffer", p.Session.Send(latest("other", "x")...), engine.ErrSlowClient)
	})
}

// What waits counts as what it takes, with all that is kept to find it.
func TestMemoryOfMessagesWithPoliciesIsCounted(t *testing.T) {
	for name, policy := range map[string]func(i int) frame.Policy{
		"keys":   func(i int) frame.Policy { return frame.Policy{Namespace: "/", Key: "key number " + strconv.Itoa(i)} },
		"limits": func(int) frame.Policy { return frame.Policy{Namespace: "/", Event: "e", MaxWaiting: 1 << 20} },
		"both": func(i int) frame.Policy {
			return frame.Policy{Namespace: "/", Key: strconv.Itoa(i), Event: "e", MaxWaiting: 1 << 20}
		},
		"many events": func(i int) frame.Policy { return frame.Policy{Namespace: "/", Event: strconv.Itoa(i), MaxWaiting: 1} },
	} {
		t.Run(name, func(t *testing.T) {
			k := enginetest.New(t, engine.Options{MaxSendBuffer: 1 << 30})
			p := k.OpenPolling()
			const n = 30_000
			before := heap()
			for i := range n {
				fs := []*frame.Frame{message("x")}
				frame.SetPolicy(fs, policy(i))
				mustSend(t, p.Peer, fs)
			}
			taken, counted := int(heap()-before), p.Session.Buffered()
			if taken > counted+counted/10 || counted > 3*taken {
				t.Errorf("%d bytes each, %d are counted", taken/n, counted/n)
			}
		})
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // empties pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Flush waits for the messages from before, and is not deceived by those that are dropped.
func TestFlushWhileMessagesAreDropped(t *testing.T) {
	flushing := func(t *testing.T, p *enginetest.Peer) <-chan error {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- p.Session.Flush(t.Context()) }() // ends with the session
		synctest.Wait()
		return done
	}
	still := func(t *testing.T, done <-chan error) {
		t.Helper()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("it does not wait: %v", err)
		default:
		}
	}
	inBubble(t, "later ones", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := dialSlow(k)
		p.Send("first")
		synctest.Wait()
		p.Send("second")
		done := flushing(t, p)
		for range 100 {
			mustSend(t, p, latest("a", strings.Repeat("x", 1000)))
			mustSend(t, p, dropOldest(1, strings.Repeat("x", 1000)))
		}
		still(t, done)
		c.Resume()
		same(t, "error", <-done, nil)
	})
	inBubble(t, "all of them", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		mustSend(t, p.Peer, latest("a", "x"))
		done := flushing(t, p.Peer)
		mustSend(t, p.Peer, latest("a", "y"))
		still(t, done)
		same(t, "poll", p.Get(), "200 4y")
		same(t, "error", <-done, nil)
	})
	inBubble(t, "WaitForRoom", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		mustSend(t, p.Peer, dropOldest(1, strings.Repeat("x", 1000)))
		done := make(chan error, 1)
		go func() { done <- p.Session.WaitForRoom(t.Context(), 1000) }() // ends with the session
		still(t, done)
		mustSend(t, p.Peer, dropOldest(1, "x"))
		same(t, "error", <-done, nil)
		same(t, "poll", p.Get(), "200 4x")
	})
}
