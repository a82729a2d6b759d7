package engine

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
)

func handshakeFrom(agent, ip string) *Request {
	return &Request{
		Method: http.MethodGet, Path: "/socket.io/", URI: "/socket.io/?EIO=4&transport=websocket", Host: "a.test", ClientIP: ip, TLS: true,
		Query: url.Values{"EIO": {"4"}, "transport": {"websocket"}},
		Header: http.Header{
			"User-Agent": {agent}, "Accept": {"*/*", "x"}, "Origin": {""}, "Upgrade": {"websocket"},
			"Cookie": {"a=1"}, "X-Forwarded-For": {"1.2.3.4", ip},
		},
	}
}

// A request comes out of its packed form as it went in, whether it shares a part or not.
func TestHandshakesShareWhatIsTheSame(t *testing.T) {
	t.Parallel()
	var parts commonParts
	for name, agent := range map[string]string{"shared": "browser", "too large to share": strings.Repeat("x", maxCommonPartSize)} {
		one, two := newHandshakeRequest(handshakeFrom(agent, "10.0.0.1"), &parts), newHandshakeRequest(handshakeFrom(agent, "10.0.0.2"), &parts)
		if diff := cmp.Diff(handshakeFrom(agent, "10.0.0.1"), one.request()); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
		if diff := cmp.Diff(handshakeFrom(agent, "10.0.0.2"), two.request()); diff != "" || two.clientIP() != "10.0.0.2" {
			t.Errorf("%s: %s -want +got\n%s", name, two.clientIP(), diff)
		}
		if same := unsafe.StringData(one.common) == unsafe.StringData(two.common); same != (name == "shared") {
			t.Errorf("%s: the same memory: %v", name, same)
		}
	}
}

// Clients that all send something else cannot fill the memory.
func TestCommonPartsAreBounded(t *testing.T) {
	t.Parallel()
	var parts commonParts
	for i := range 3 * maxCommonParts {
		parts.of(handshakeFrom(strconv.Itoa(i), "10.0.0.1"))
		if n := len(parts.known); n > maxCommonParts || cap(parts.packed) > 2*maxCommonPartSize {
			t.Fatalf("%d parts, %d bytes after %d requests", n, cap(parts.packed), i+1)
		}
	}
}

func BenchmarkHandshakeRequest(b *testing.B) {
	var parts commonParts
	r := handshakeFrom("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "10.0.0.1")
	b.ReportAllocs()
	for b.Loop() {
		h := newHandshakeRequest(r, &parts)
		_ = h.own
	}
}
