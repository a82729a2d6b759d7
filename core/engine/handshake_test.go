package engine_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func TestHandshake(t *testing.T) {
	const tail = `"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
	inBubble(t, "EIO-HS-1, EIO-HS-2, EIO-HS-6, EIO-HS-10 polling", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		a := k.Do(enginetest.Request{Query: polling})
		sid := a.Body[len(`0{"sid":"`):][:20]
		same(t, "body", a.Body, `0{"sid":"`+sid+`","upgrades":["websocket"],`+tail)
		same(t, "status", a.Status, 200)
		same(t, "content type", a.Header.Get("Content-Type"), "text/plain; charset=UTF-8")
		same(t, "cache control", a.Header.Get("Cache-Control"), "no-store")
		same(t, "transport", k.Peer(sid).Session.Transport(), "polling")
		same(t, "sessions", k.Remembered(), 1)
	})
	inBubble(t, "EIO-HS-1, EIO-HS-2, EIO-HS-9, EIO-WS-24 websocket", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c := k.Dial(websocket)
		open := c.Next()
		sid := open[len(`0{"sid":"`):][:20]
		same(t, "first frame", open, `0{"sid":"`+sid+`","upgrades":[],`+tail)
		same(t, "its length", len(open), 107)
		same(t, "accept", c.Head.Header.Get("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
		same(t, "EIO-HD-1 cache control", c.Head.Header.Get("Cache-Control"), "")
		same(t, "transport", k.Peer(sid).Session.Transport(), "websocket")
		same(t, "sessions", k.Remembered(), 1)
	})
	inBubble(t, "EIO-HS-1 options", engine.Options{
		PingInterval: 300 * time.Millisecond, PingTimeout: 123 * time.Millisecond, MaxHTTPBufferSize: 5,
	}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		a := k.Do(enginetest.Request{Query: polling})
		same(t, "body", a.Body[len(`0{"sid":"`)+len(p.SID):],
			`","upgrades":["websocket"],"pingInterval":300,"pingTimeout":123,"maxPayload":5}`)
	})
	for _, c := range []struct {
		name string
		opts engine.Options
		want string
	}{
		{"EIO-HS-2 no upgrade allowed", engine.Options{DisableUpgrades: true}, `[]`},
		{"EIO-HS-2 nothing to upgrade to", engine.Options{Transports: []string{"polling"}}, `[]`},
		{"EIO-HS-2 defaults", engine.Options{}, `["websocket"]`},
	} {
		inBubble(t, c.name, c.opts, func(t *testing.T, k *enginetest.Kit) {
			body := k.Do(enginetest.Request{Query: polling}).Body
			same(t, "body", body[len(`0{"sid":"`)+20:], `","upgrades":`+c.want+`,`+tail)
		})
	}
}

func TestHandshakeOrder(t *testing.T) {
	inBubble(t, "EIO-HS-8 what is sent at once comes with the next poll", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling() // its body was the open packet alone
		p.Send("a")
		p.SendBinary("\x01\x02\x03\x04")
		same(t, "poll", p.Get(), "200 4a\x1ebAQIDBA==")
	})
	inBubble(t, "EIO-HS-9 behind the open packet", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c := k.DialRequest(enginetest.Request{
			Query: websocket, Header: enginetest.Handshake(), Ahead: enginetest.MaskedText("4early"),
		})
		same(t, "first", c.Next()[:1], "0")
		same(t, "second", c.Next(), "4early")
	})
}

func TestSessionID(t *testing.T) {
	t.Run("EIO-HS-4", func(t *testing.T) {
		seen := make(map[string]bool)
		for range 1000 {
			id := engine.NewID()
			if raw, err := base64.RawURLEncoding.DecodeString(id); len(id) != 20 || len(raw) != 15 || err != nil {
				t.Fatalf("id %q: %v", id, err)
			}
			if seen[id] {
				t.Fatalf("id %q came twice", id)
			}
			seen[id] = true
		}
	})
}

func TestRequestIsKept(t *testing.T) {
	inBubble(t, "the session knows its handshake, but holds no body", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		req := p.Session.Request()
		same(t, "client", req.ClientIP, "192.0.2.1")
		if req.Body != nil {
			t.Error("the request's body is kept")
		}
		if err := p.Session.Values().Err(); err != nil {
			t.Errorf("the values ended with the request: %v", err)
		}
		same(t, "id", p.Session.ID(), p.SID)
		same(t, "printed", fmt.Sprint(p.Session.Transport()), engine.Polling)
	})
}

// What a session keeps of its request has another form than the request.
func TestRequestIsTheSameWheneverSomebodyAsks(t *testing.T) {
	header := http.Header{
		"Cookie": {"a=b", "c=d"}, "X-Empty": {""}, "X-None": {}, "X-Any": {"\x00\xff: \r\n" + strings.Repeat("x", 300)},
	}
	want := &engine.Request{
		Method: http.MethodGet, Path: "/engine.io/", URI: "/engine.io/?EIO=4&transport=polling&a=1&a=2&b=%26&%zz",
		Host: "host.test:80", ClientIP: "192.0.2.1", TLS: true,
		Query:  url.Values{"EIO": {"4"}, "transport": {"polling"}, "a": {"1", "2"}, "b": {"&"}, "%zz": {""}},
		Header: http.Header{"Cookie": {"a=b", "c=d"}, "X-Empty": {""}, "X-Any": header["X-Any"]},
	}
	var s *engine.Session
	e := engine.NewServer(engine.Options{}, func(opened *engine.Session) engine.Handler {
		s = opened
		return echo{s}
	})
	defer e.Shutdown(t.Context()) //nolint:errcheck // there is nothing to wait for
	came := *want
	came.Header = header
	e.Serve(t.Context(), &quickExchange{req: came})
	first := s.Request()
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	if s.Request() != first {
		t.Error("it is parsed again while it is in use")
	}
	runtime.KeepAlive(first)
	runtime.GC()
	if diff := cmp.Diff(want, s.Request()); diff != "" {
		t.Error(diff)
	}
}
