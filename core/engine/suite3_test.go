package engine_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// The assertions of the protocol's own test suite for revision 3, in its order
// (EIO section 18.6), against a server that echoes and with its timers. What it
// skips or does not wait for is asserted here.

// suite3 runs one test of the suite.
func suite3(t *testing.T, name string, f func(t *testing.T, k *enginetest.Kit)) {
	t.Helper()
	opts := engine.Options{
		AllowEIO3: true, PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond,
	}
	inBubble(t, name, opts, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		f(t, k)
	})
}

func TestProtocolSuite3Handshake(t *testing.T) {
	suite3(t, "18.6-1 polling", func(t *testing.T, k *enginetest.Kit) {
		a := k.Do(enginetest.Request{Query: polling3})
		_, packet, _ := strings.Cut(a.Body, ":")
		same(t, "answer", a.Body, "114:"+`0{"sid":"`+sidOf(t, packet)+
			`","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`)
	})
	suite3(t, "18.6-2, 18.6-3 refusals", func(t *testing.T, k *enginetest.Kit) {
		same(t, "no transport", k.Do(enginetest.Request{Query: "EIO=3"}).String(), unknownTransport)
		same(t, "bad transport", k.Do(enginetest.Request{Query: "EIO=3&transport=abc"}).String(), unknownTransport)
		same(t, "POST", k.Do(enginetest.Request{Method: http.MethodPost, Query: polling3}).String(), badMethod)
	})
	suite3(t, "18.6-4 WebSocket", func(t *testing.T, k *enginetest.Kit) {
		c := k.Dial(websocket3)
		packet := c.Next()
		same(t, "open packet", packet, `0{"sid":"`+sidOf(t, packet)+
			`","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`)
	})
	// EIO-V3-1: these are revision 3, so they are let in, and then time out.
	for _, query := range []string{"transport=websocket", "EIO=abc&transport=websocket"} {
		suite3(t, "18.6-5 "+query, func(t *testing.T, k *enginetest.Kit) {
			c := k.Dial(query)
			oldPeer(t, k, c.Next())
			wantFrames(t, c, "close")
		})
	}
	for _, query := range []string{"EIO=3", "EIO=3&transport=abc"} {
		suite3(t, "18.6-6 "+query, func(t *testing.T, k *enginetest.Kit) {
			same(t, "answer", k.Do(enginetest.Request{Query: query, Header: enginetest.Handshake()}).String(),
				"400 Transport unknown")
		})
	}
}

func TestProtocolSuite3Messages(t *testing.T) {
	for name, c := range map[string]struct{ more, post, want string }{
		"18.6-7 one text packet":              {"&b64=1", "6:4hello", "6:4hello"},
		"18.6-8 several text packets":         {"&b64=1", "6:4test16:4test26:4test3", "6:4test16:4test26:4test3"},
		"18.6-9 text and binary, base64":      {"&b64=1", "6:4hello10:b4AQIDBA==", "6:4hello10:b4AQIDBA=="},
		"18.6-10 text and binary, not base64": {"", "6:4hello10:b4AQIDBA==", "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04"},
	} {
		suite3(t, name, func(t *testing.T, k *enginetest.Kit) {
			o := openOld(t, k, c.more)
			same(t, "post", o.post(c.post), "200 ok")
			same(t, "poll", o.get(), "200 "+c.want)
		})
	}
	suite3(t, "18.6-11 invalid packet", func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "&b64=1")
		same(t, "post", o.post("abc"), "400")
		same(t, "poll", o.get(), unknownSession)
	})
	suite3(t, "18.6-12 duplicate poll", func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "&b64=1")
		parked := o.poll()
		synctest.Wait()
		same(t, "second", o.get(), "400")
		same(t, "first", parked.Wait().String(), "200 1:1")
		same(t, "next", o.get(), unknownSession)
	})
	suite3(t, "18.6-13, 18.6-14, 18.6-15 WebSocket", func(t *testing.T, k *enginetest.Kit) {
		c, _ := dialOld(t, k, "")
		c.Text("4hello")
		c.Binary("\x04\x01\x02\x03\x04")
		wantFrames(t, c, "4hello", "<0401020304>")
		c.Text("abc")
		wantFrames(t, c, "close")
	})
}

func TestProtocolSuite3Heartbeat(t *testing.T) {
	suite3(t, "18.6-16 polling", func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "&b64=1")
		for range 3 {
			same(t, "post", o.post("1:2"), "200 ok")
			same(t, "poll", o.get(), "200 1:3")
		}
	})
	suite3(t, "18.6-17 polling without pings", func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "&b64=1")
		time.Sleep(500 * time.Millisecond)
		same(t, "post", o.post("1:2"), unknownSession)
	})
	suite3(t, "18.6-18, 18.6-19 WebSocket", func(t *testing.T, k *enginetest.Kit) {
		c, _ := dialOld(t, k, "")
		for range 3 {
			c.Text("2")
			wantFrames(t, c, "3")
		}
		start := time.Now()
		wantFrames(t, c, "close")
		same(t, "after", time.Since(start), 500*time.Millisecond)
	})
}

func TestProtocolSuite3Close(t *testing.T) {
	suite3(t, "18.6-20 polling", func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "&b64=1")
		parked := o.poll()
		synctest.Wait()
		same(t, "post", o.post("1:1"), "200 ok")
		same(t, "parked poll", parked.Wait().String(), "200 1:6")
		same(t, "next poll", o.get(), unknownSession)
	})
	suite3(t, "18.6-20 polling, overtaken by the POST", func(t *testing.T, k *enginetest.Kit) {
		o := openOld(t, k, "&b64=1")
		overtaken := make(chan string)
		k.Go(func() { // some time later, but before the POST is answered
			time.Sleep(time.Millisecond)
			overtaken <- o.get()
		})
		k.Go(func() { same(t, "post", o.post("1:1"), "200 ok") })
		same(t, "poll", <-overtaken, "200 1:6")
		synctest.Wait()
		time.Sleep(time.Second)
		same(t, "next poll", o.get(), unknownSession)
	})
	suite3(t, "18.6-21 WebSocket, EIO-WS-15 better: at once", func(t *testing.T, k *enginetest.Kit) {
		c, p := dialOld(t, k, "")
		start := time.Now()
		c.Text("1")
		wantFrames(t, c, "close")
		same(t, "after", time.Since(start), 0)
		same(t, "reason", p.End().Reason, engine.TransportClose)
	})
}

func TestProtocolSuite3Upgrade(t *testing.T) {
	// probed returns a session with a connection that has probed.
	probed := func(t *testing.T, k *enginetest.Kit) (*oldPolling, *enginetest.Conn) {
		t.Helper()
		o := openOld(t, k, "&b64=1")
		c := k.Dial(websocket3 + "&sid=" + o.sid())
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		return o, c
	}
	suite3(t, "18.6-22 probe, noop, upgrade, echo", func(t *testing.T, k *enginetest.Kit) {
		o, c := probed(t, k)
		same(t, "poll", o.get(), "200 1:6")
		c.Text("5")
		c.Text("4hello")
		wantFrames(t, c, "4hello")
	})
	suite3(t, "18.6-23 a poll afterwards", func(t *testing.T, k *enginetest.Kit) {
		o, c := probed(t, k)
		c.Text("5")
		synctest.Wait()
		same(t, "poll", o.get(), badRequest)
		c.Text("4hello")
		wantFrames(t, c, "4hello")
	})
	suite3(t, "18.6-24 another WebSocket afterwards", func(t *testing.T, k *enginetest.Kit) {
		o, c := probed(t, k)
		c.Text("5")
		synctest.Wait()
		wantFrames(t, k.Dial(websocket3+"&sid="+o.sid()), "close")
		c.Text("4hello")
		wantFrames(t, c, "4hello")
	})
}
