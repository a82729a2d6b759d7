package engine_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// The assertions of the protocol's own test suite for revision 4, in its order
// (EIO section 18.5), against a server that echoes and with its timers.

// suite4 runs one test of the suite.
func suite4(t *testing.T, name string, f func(t *testing.T, k *enginetest.Kit)) {
	t.Helper()
	opts := engine.Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond}
	inBubble(t, name, opts, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		f(t, k)
	})
}

// dial4 returns a connection whose open packet has been read.
func dial4(t *testing.T, k *enginetest.Kit) *enginetest.Conn {
	t.Helper()
	c := k.Dial(websocket)
	sidOf(t, c.Next())
	return c
}

func TestProtocolSuite4Handshake(t *testing.T) {
	suite4(t, "18.5-1 polling", func(t *testing.T, k *enginetest.Kit) {
		a := k.Do(enginetest.Request{Query: polling})
		same(t, "answer", a.String(), `200 0{"sid":"`+sidOf(t, a.Body)+
			`","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`)
	})
	suite4(t, "18.5-2, 18.5-3, 18.5-4 refusals", func(t *testing.T, k *enginetest.Kit) {
		for _, c := range []struct{ method, query, want string }{
			{http.MethodGet, "transport=polling", badVersion},
			{http.MethodGet, "EIO=abc&transport=polling", badVersion},
			{http.MethodGet, "EIO=4", unknownTransport},
			{http.MethodGet, "EIO=4&transport=abc", unknownTransport},
			{http.MethodPost, polling, badMethod},
			{http.MethodPut, polling, badMethod},
		} {
			got := k.Do(enginetest.Request{Method: c.method, Query: c.query}).String()
			same(t, c.method+" "+c.query, got, c.want)
		}
	})
	suite4(t, "18.5-5 WebSocket", func(t *testing.T, k *enginetest.Kit) {
		packet := k.Dial(websocket).Next()
		same(t, "open packet", packet, `0{"sid":"`+sidOf(t, packet)+
			`","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`)
	})
	suite4(t, "18.5-6, 18.5-7 WebSocket refusals", func(t *testing.T, k *enginetest.Kit) {
		for query, want := range map[string]string{
			"transport=websocket":         "400 Unsupported protocol version",
			"EIO=abc&transport=websocket": "400 Unsupported protocol version",
			"EIO=4":                       "400 Transport unknown",
			"EIO=4&transport=abc":         "400 Transport unknown",
		} {
			got := k.Do(enginetest.Request{Query: query, Header: enginetest.Handshake()}).String()
			same(t, query, got, want)
		}
	})
}

func TestProtocolSuite4Messages(t *testing.T) {
	for name, payload := range map[string]string{
		"18.5-8 one text packet":                "4hello",
		"18.5-9 several text packets, one poll": "4test1\x1e4test2\x1e4test3",
		"18.5-10 text and binary":               "4hello\x1ebAQIDBA==",
	} {
		suite4(t, name, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			same(t, "post", p.Post(payload), "200 ok")
			same(t, "poll", p.Get(), "200 "+payload)
		})
	}
	suite4(t, "18.5-11 invalid packet", func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		same(t, "post", p.Post("abc"), "400")
		same(t, "poll", p.Get(), unknownSession)
	})
	suite4(t, "18.5-12 duplicate poll", func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		synctest.Wait()
		same(t, "second", p.Get(), "400")
		same(t, "first", parked.Wait().String(), "200 1")
		same(t, "next", p.Get(), unknownSession)
	})
	suite4(t, "18.5-13 cancelled poll", func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		synctest.Wait()
		parked.Abort()
		synctest.Wait()
		same(t, "next", p.Get(), unknownSession)
	})
	suite4(t, "18.5-14, 18.5-15, 18.5-16 WebSocket", func(t *testing.T, k *enginetest.Kit) {
		c := dial4(t, k)
		c.Text("4hello")
		c.Binary("\x01\x02\x03\x04")
		wantFrames(t, c, "4hello", "<01020304>")
		c.Text("abc")
		wantFrames(t, c, "close")
	})
}

func TestProtocolSuite4Heartbeat(t *testing.T) {
	suite4(t, "18.5-17, 18.5-18 polling", func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		for range 3 {
			same(t, "poll", p.Get(), "200 2")
			same(t, "post", p.Post("3"), "200 ok")
		}
		time.Sleep(500 * time.Millisecond)
		same(t, "poll without pong", p.Get(), unknownSession)
	})
	suite4(t, "18.5-19, 18.5-20 WebSocket", func(t *testing.T, k *enginetest.Kit) {
		c := dial4(t, k)
		for range 3 {
			wantFrames(t, c, "2")
			c.Text("3")
		}
		start := time.Now()
		wantFrames(t, c, "2", "close")
		same(t, "after", time.Since(start), 500*time.Millisecond)
	})
}

func TestProtocolSuite4Close(t *testing.T) {
	suite4(t, "18.5-21 polling", func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		parked := p.Poll()
		synctest.Wait()
		same(t, "post", p.Post("1"), "200 ok")
		same(t, "parked poll", parked.Wait().String(), "200 6")
		same(t, "next poll", p.Get(), unknownSession)
	})
	suite4(t, "18.5-22 WebSocket, EIO-WS-15 better: at once", func(t *testing.T, k *enginetest.Kit) {
		c := dial4(t, k)
		start := time.Now()
		c.Text("1")
		wantFrames(t, c, "close")
		same(t, "after", time.Since(start), 0)
	})
}

func TestProtocolSuite4Upgrade(t *testing.T) {
	// probed returns a session with a connection that has probed.
	probed := func(t *testing.T, k *enginetest.Kit) (*enginetest.Polling, *enginetest.Conn) {
		t.Helper()
		p := k.OpenPolling()
		c := k.Dial(websocket + "&sid=" + p.SID)
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		return p, c
	}
	suite4(t, "18.5-23 probe, noop, upgrade, echo", func(t *testing.T, k *enginetest.Kit) {
		p, c := probed(t, k)
		same(t, "poll", p.Get(), "200 6")
		c.Text("5")
		c.Text("4hello")
		wantFrames(t, c, "4hello")
	})
	suite4(t, "18.5-24 a poll afterwards", func(t *testing.T, k *enginetest.Kit) {
		p, c := probed(t, k)
		c.Text("5")
		synctest.Wait()
		same(t, "poll", p.Get(), badRequest)
		c.Text("4hello")
		wantFrames(t, c, "4hello")
	})
	suite4(t, "18.5-25 another WebSocket afterwards", func(t *testing.T, k *enginetest.Kit) {
		p, c := probed(t, k)
		c.Text("5")
		synctest.Wait()
		wantFrames(t, k.Dial(websocket+"&sid="+p.SID), "close")
		c.Text("4hello")
		wantFrames(t, c, "4hello")
	})
}
