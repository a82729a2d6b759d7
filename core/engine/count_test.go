package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// A session that has ended is nobody's client, whatever is left of it.
func TestClientsThatAreGoneDoNotCount(t *testing.T) {
	const beat = time.Second
	opts := engine.Options{PingInterval: beat, PingTimeout: beat, AllowEIO3: true}
	dead := func(t *testing.T, k *enginetest.Kit, query string) {
		t.Helper()
		for range 10 {
			k.DialPaused(enginetest.Request{Query: query, Header: enginetest.Handshake()})
		}
		synctest.Wait()
		same(t, "clients", k.ClientsCount(), 10)
		time.Sleep(2*beat + beat/10)
		synctest.Wait()
		same(t, "clients after the ping timeout", k.ClientsCount(), 0)
	}
	inBubble(t, "a dead network, WebSocket", opts, func(t *testing.T, k *enginetest.Kit) { dead(t, k, websocket) })
	inBubble(t, "a dead network, revision 3", opts, func(t *testing.T, k *enginetest.Kit) { dead(t, k, websocket3) })
	inBubble(t, "a dead network, polling", opts, func(t *testing.T, k *enginetest.Kit) {
		for range 10 {
			k.OpenPolling().Poll()
		}
		synctest.Wait()
		same(t, "clients", k.ClientsCount(), 10)
		time.Sleep(2*beat + beat/10)
		synctest.Wait()
		same(t, "clients after the ping timeout", k.ClientsCount(), 0)
	})
	inBubble(t, "closed by the server, nobody polls", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("last words")
		p.Session.Close(nil)
		same(t, "clients", k.ClientsCount(), 0)
		same(t, "the news can be fetched", p.Get(), "200 4last words")
		same(t, "the news can be fetched", p.Get(), "200 6\x1e1")
	})
	inBubble(t, "closed by the server, the peer does not answer", opts, func(t *testing.T, k *enginetest.Kit) {
		_, p := dialSlow(k)
		p.Session.Close(nil)
		p.Session.Close(nil)
		same(t, "clients", k.ClientsCount(), 0)
		same(t, "remembered", k.Remembered(), 1)
	})
	inBubble(t, "closed by the client", opts, func(t *testing.T, k *enginetest.Kit) {
		c, _ := openWebSocket(t, k)
		p := k.OpenPolling()
		same(t, "clients", k.ClientsCount(), 2)
		same(t, "post", p.Post("1"), "200 ok")
		c.Text("1")
		synctest.Wait()
		same(t, "clients", k.ClientsCount(), 0)
	})
	inBubble(t, "upgraded", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := p.Upgrade()
		c.Text("5")
		synctest.Wait()
		same(t, "clients", k.ClientsCount(), 1)
		p.Session.Close(nil)
		same(t, "clients", k.ClientsCount(), 0)
	})
	inBubble(t, "told before it is told that the session ends", opts, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Post("2") // in revision 4 the server pings
		p.End()
		same(t, "clients", k.ClientsCount(), 0)
	})
}
