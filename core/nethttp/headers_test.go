package nethttp_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

const origin = "http://a.com"

// framework is middleware that sets headers of its own around the kit.
func framework(k *enginetest.Kit) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "http://framework.com")
		h.Set("Vary", "Origin")
		h.Set("Set-Cookie", "session=1")
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Broken", "two\r\nlines")
		k.ServeHTTP(w, r)
	})
}

// TestHeadersOfMiddleware shows EIO-CO-8, EIO-MW-5 and how our headers go
// together with those of a framework's middleware.
func TestHeadersOfMiddleware(t *testing.T) {
	k := enginetest.New(t, engine.Options{
		CORS:   &engine.CORS{Origins: []string{origin}},
		Cookie: &engine.Cookie{},
	})
	web := k.ListenTo(framework(k))
	for name, upgrade := range map[string]bool{"EIO-MW-5 polling": false, "EIO-CO-8 websocket": true} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			query, cookies := "/?EIO=4&transport=polling", 2
			if upgrade {
				h, query, cookies = enginetest.Handshake(), "/?EIO=4&transport=websocket", 1
			}
			h.Set("Origin", origin)
			res := get(t, web, http.MethodGet, query, h)
			for k, want := range map[string]int{
				"Access-Control-Allow-Origin": 1, "Vary": 1, "Set-Cookie": cookies, "X-Frame-Options": 1, "X-Broken": 1,
			} {
				if got := res.Header[k]; len(got) != want {
					t.Errorf("%s: %q, want %d", k, got, want)
				}
			}
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("origin %q: ours counts", got)
			}
			if got := res.Header.Get("X-Broken"); strings.Contains(got, "\n") {
				t.Errorf("a header of two lines: %q", got)
			}
		})
	}
}

// get makes a request and returns the answer; nobody reads the body.
func get(t *testing.T, web *httptest.Server, method, target string, h http.Header) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, web.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = h
	res, err := web.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res
}

// TestPreflight shows EIO-MT-3 on the wire. A 204 has no length (RFC 9110
// section 8.6), other than the reference says.
func TestPreflight(t *testing.T) {
	k := enginetest.New(t, engine.Options{CORS: &engine.CORS{Origins: []string{origin}}})
	web := k.Listen()
	nc := k.Connect(web)
	const request = "OPTIONS /?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nOrigin: " + origin +
		"\r\nConnection: close\r\n\r\n"
	if _, err := io.WriteString(nc, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 204 No Content\r\n") || body != "" || strings.Contains(head, "Content-Length") {
		t.Errorf("answer: %q", answer)
	}
}
