package websocket_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/sioplug/sioplug/internal/websocket"
)

// request returns the example of RFC 6455 section 1.2 with some headers changed;
// a value of "-" removes one.
func request(changes map[string]string) http.Header {
	all := map[string]string{
		"Host": "server.example.com", "Upgrade": "websocket", "Connection": "Upgrade",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
	}
	maps.Copy(all, changes)
	h := http.Header{}
	for k, v := range all {
		if v != "-" {
			h.Set(k, v)
		}
	}
	return h
}

func TestCheck(t *testing.T) { // EIO-WS-2 and EIO-WS-3
	const (
		badKey      = "Missing or invalid Sec-WebSocket-Key header"
		badUpgrade  = "Invalid Upgrade header"
		badVersion  = "Missing or invalid Sec-WebSocket-Version header"
		badProtocol = "Invalid Sec-WebSocket-Protocol header"
	)
	for _, c := range []struct{ header, value, message, protocol string }{
		{"Upgrade", "WebSocket", "", ""},
		{"Upgrade", "-", badUpgrade, ""},
		{"Upgrade", "h2c", badUpgrade, ""},
		{"Upgrade", "websocket, h2c", badUpgrade, ""},
		{"Connection", "keep-alive, Upgrade", "", ""},
		{"Connection", "upgrade", "", ""},
		{"Connection", "keep-alive", "Invalid Connection header", ""},
		{"Sec-WebSocket-Key", "-", badKey, ""},
		{"Sec-WebSocket-Key", "", badKey, ""},
		{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ", badKey, ""},
		{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZSE=", badKey, ""},
		{"Sec-WebSocket-Key", "P5l8xJ2rAFXGLKYbmdGTOg==", "", ""},
		{"Sec-WebSocket-Version", "8", "", ""},
		{"Sec-WebSocket-Version", "-", badVersion, ""},
		{"Sec-WebSocket-Version", "12", badVersion, ""},
		{"Sec-WebSocket-Version", "13, 8", badVersion, ""},
		{"Sec-WebSocket-Protocol", "chat", "", "chat"},
		{"Sec-WebSocket-Protocol", "chat , v2.x,\tother", "", "chat"},
		{"Sec-WebSocket-Protocol", "", badProtocol, ""},
		{"Sec-WebSocket-Protocol", "a,", badProtocol, ""},
		{"Sec-WebSocket-Protocol", "a,,b", badProtocol, ""},
		{"Sec-WebSocket-Protocol", "a,b,a", badProtocol, ""},
		{"Sec-WebSocket-Protocol", "a b", badProtocol, ""},
		{"Sec-WebSocket-Protocol", "a\"", badProtocol, ""},
		{"Sec-WebSocket-Protocol", "ä", badProtocol, ""},
	} {
		t.Run(c.header+" "+c.value, func(t *testing.T) {
			h := request(map[string]string{c.header: c.value})
			hs, bad := websocket.Check(http.MethodGet, h)
			switch {
			case bad == nil && c.message != "":
				t.Errorf("accepted, want %q", c.message)
			case bad != nil && (bad.Message != c.message || bad.Status != http.StatusBadRequest):
				t.Errorf("refused: %d %v", bad.Status, bad)
			case bad == nil && (hs.Protocol != c.protocol || hs.Key != h.Get("Sec-WebSocket-Key")):
				t.Errorf("%+v", hs)
			}
		})
	}
}

func TestCheckRefusals(t *testing.T) {
	_, bad := websocket.Check(http.MethodPost, request(nil))
	if bad == nil || bad.Status != http.StatusMethodNotAllowed || bad.Message != "Invalid HTTP method" {
		t.Errorf("POST: %+v", bad)
	}
	_, bad = websocket.Check(http.MethodGet, request(map[string]string{"Sec-WebSocket-Version": "7"}))
	if bad == nil || bad.Header.Get("Sec-WebSocket-Version") != "13, 8" {
		t.Errorf("version 7: %+v", bad)
	}
	twice := request(nil)
	twice.Add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	if _, bad = websocket.Check(http.MethodGet, twice); bad == nil || bad.Error() == "" {
		t.Errorf("two keys: %+v", bad)
	}
	lines := request(map[string]string{"Sec-WebSocket-Protocol": "a"})
	lines.Add("Sec-WebSocket-Protocol", "a")
	if _, bad = websocket.Check(http.MethodGet, lines); bad == nil {
		t.Error("the same subprotocol in two headers is accepted")
	}
}

func TestSetHeader(t *testing.T) { // RFC 6455 section 1.3
	h := http.Header{}
	websocket.Handshake{Key: "dGhlIHNhbXBsZSBub25jZQ==", Protocol: "chat"}.SetHeader(h)
	for k, want := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade",
		"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Protocol": "chat",
	} {
		if got := h.Get(k); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
	h = http.Header{}
	websocket.Handshake{Key: "x"}.SetHeader(h)
	if _, ok := h["Sec-Websocket-Protocol"]; ok {
		t.Error("a subprotocol that nobody offered")
	}
}

func TestIsUpgrade(t *testing.T) {
	for _, c := range []struct {
		connection []string
		upgrade    string
		want       bool
	}{
		{[]string{"Upgrade"}, "websocket", true},
		{[]string{"keep-alive", "a, UPGRADE"}, "h2c", true},
		{[]string{"keep-alive,upgrade"}, "websocket", true},
		{[]string{"upgraded"}, "websocket", false},
		{[]string{"Upgrade"}, "", false},
		{nil, "websocket", false},
	} {
		h := http.Header{"Connection": c.connection}
		if c.upgrade != "" {
			h.Set("Upgrade", c.upgrade)
		}
		if got := websocket.IsUpgrade(h); got != c.want {
			t.Errorf("%q %q: %v", c.connection, c.upgrade, got)
		}
	}
}
