package engine_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// startPost posts a message. onRespond is called before the answer leaves.
func startPost(k *enginetest.Kit, p *enginetest.Polling, onRespond func()) *enginetest.Call {
	return k.Start(enginetest.Request{
		Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader("4message"), OnRespond: onRespond,
	})
}

// A client that has no answer to its POST does not send what it emits next. If its poll was
// answered first, and then the answer to its probe came, it sent nothing before the upgrade,
// and the upgrade waited for a poll that nothing ended.
func TestEIO_UP_2_AnUpgradeDoesNotWaitForAPOSTThatWasAnsweredLate(t *testing.T) {
	inBubble(t, "the POST is answered before the poll", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.Work = func(p *enginetest.Peer) { p.Send("answer") }
		p := k.OpenPolling()
		parked := p.Poll()
		synctest.Wait()
		start := time.Now()
		post := startPost(k, p, func() {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			same(t, "poll before the POST", parked.Answered(), false)
		}).Wait()
		same(t, "POST", post.String(), "200 ok")
		a := parked.Wait()
		same(t, "poll", a.String(), "200 4answer")
		same(t, "after", a.At.Sub(start), time.Millisecond)
	})
	inBubble(t, "the POST is answered before a poll that comes meanwhile", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.Work = func(p *enginetest.Peer) { p.Send("answer") }
		p := k.OpenPolling()
		var poll *enginetest.Call
		startPost(k, p, func() {
			synctest.Wait()
			poll = p.Poll()
			synctest.Wait()
			same(t, "poll before the POST", poll.Answered(), false)
		}).Wait()
		same(t, "poll", poll.Wait().String(), "200 4answer")
	})
	inBubble(t, "a POST whose answer does not leave holds polls for 20 ms", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.Work = func(p *enginetest.Peer) { p.Send("answer") }
		p := k.OpenPolling()
		parked := p.Poll()
		synctest.Wait()
		start := time.Now()
		post := startPost(k, p, func() { time.Sleep(time.Minute) })
		a := parked.Wait()
		same(t, "poll", a.String(), "200 4answer")
		same(t, "after", a.At.Sub(start), 20*time.Millisecond)
		p.Send("more")
		same(t, "next poll", p.Get(), "200 4more")
		p.Send("and more")
		same(t, "one more", p.Get(), "200 4and more")
		same(t, "POST", post.Wait().String(), "200 ok")
	})
	inBubble(t, "handlers that take long are not waited for", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.Work = func(p *enginetest.Peer) {
			p.Send("first")
			time.Sleep(time.Second)
			p.Send("second")
		}
		p := k.OpenPolling()
		parked := p.Poll()
		synctest.Wait()
		start := time.Now()
		same(t, "POST", p.Post("4message"), "200 ok")
		same(t, "poll", parked.Wait().String(), "200 4first")
		same(t, "after", parked.Wait().At.Sub(start), 0)
		a := p.Poll().Wait()
		same(t, "next poll", a.String(), "200 4second")
		same(t, "after", a.At.Sub(start), time.Second)
	})
	inBubble(t, "a POST that is answered after the upgrade holds nothing", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		var once sync.Once // the end of the connection calls Work, too
		k.Work = func(p *enginetest.Peer) { once.Do(func() { p.Send("answer") }) }
		p := k.OpenPolling()
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		post := startPost(k, p, func() {
			c.Text("5")
			wantFrames(t, c, "4answer")
			synctest.Wait() // the turn of the read loop is over
			start := time.Now()
			p.Send("more")
			wantFrames(t, c, "4more")
			same(t, "after", time.Since(start), 0)
		}).Wait()
		same(t, "POST", post.String(), "200 ok")
	})
}
