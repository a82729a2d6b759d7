package engine_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func fromPage(origin string) http.Header {
	h := enginetest.Handshake()
	if origin != "" {
		h.Set("Origin", origin)
	}
	return h
}

// Where the reference lets every page open a WebSocket (EIO-CO-4), we ask CORS.
func TestWebSocketOrigin(t *testing.T) {
	allowed := func(c engine.CORS) *engine.CORS { return &c }
	for _, c := range []struct {
		name   string
		origin string
		host   string
		tls    bool
		cors   *engine.CORS
		ok     bool
	}{
		{name: "no browser", host: "a.com", ok: true},
		{name: "same", origin: "http://a.com", host: "a.com", ok: true},
		{name: "same, in other letters", origin: "http://A.com", host: "a.COM", ok: true},
		{name: "same port", origin: "http://a.com:3000", host: "a.com:3000", ok: true},
		{name: "default port given by the client", origin: "http://a.com", host: "a.com:80", ok: true},
		{name: "default port of TLS given by the client", origin: "https://a.com", host: "a.com:443", tls: true, ok: true},
		{name: "TLS", origin: "https://a.com", host: "a.com", tls: true, ok: true},
		{name: "TLS in front of us", origin: "https://a.com", host: "a.com", ok: true},
		{name: "TLS in front of us on another port", origin: "https://a.com:8443", host: "a.com:8443", ok: true},
		{name: "IPv6", origin: "http://[::1]:3000", host: "[::1]:3000", ok: true},
		{name: "IPv6, default port", origin: "http://[::1]", host: "[::1]", ok: true},

		{name: "another host", origin: "http://b.com", host: "a.com"},
		{name: "a host that begins like it", origin: "http://a.com.evil.org", host: "a.com"},
		{name: "a subdomain", origin: "http://x.a.com", host: "a.com"},
		{name: "another port", origin: "http://a.com:3000", host: "a.com:3001"},
		{name: "a port instead of the default", origin: "http://a.com:3000", host: "a.com"},
		{name: "the default instead of a port", origin: "http://a.com", host: "a.com:3000"},
		{name: "plain HTTP to TLS", origin: "http://a.com", host: "a.com", tls: true},
		{name: "plain HTTP to TLS, with ports", origin: "http://a.com", host: "a.com:443", tls: true},
		{name: "null", origin: "null", host: "a.com"},
		{name: "null of a host null", origin: "null", host: "null"},
		{name: "a file", origin: "file://", host: ""},
		{name: "an app", origin: "capacitor://a.com", host: "a.com"},
		{name: "no host", origin: "http://", host: ""},
		{name: "with a user", origin: "http://b.com@a.com", host: "a.com"},
		{name: "no origin at all", origin: "a.com", host: "a.com"},

		{name: "CORS: fixed", origin: "https://b.com", cors: allowed(engine.CORS{Origins: []string{"https://b.com"}}), ok: true},
		{name: "CORS: other fixed", origin: "https://c.com", cors: allowed(engine.CORS{Origins: []string{"https://b.com"}})},
		{
			name: "CORS: list", origin: "capacitor://localhost",
			cors: allowed(engine.CORS{Origins: []string{"https://b.com", "capacitor://localhost"}}), ok: true,
		},
		{
			name: "CORS: pattern", origin: "https://x.b.com",
			cors: allowed(engine.CORS{OriginPatterns: []*regexp.Regexp{regexp.MustCompile(`^https://x\.`)}}), ok: true,
		},
		{name: "CORS: function", origin: "https://b.com", cors: allowed(engine.CORS{AllowOrigin: asks(nil, true)}), ok: true},
		{name: "CORS: function says no", origin: "https://b.com", cors: allowed(engine.CORS{AllowOrigin: asks(nil, false)})},
		{name: "CORS: nobody", origin: "https://b.com", cors: &engine.CORS{}},
		{name: "CORS: same origin needs no leave", origin: "http://a.com", host: "a.com", cors: &engine.CORS{}, ok: true},
		{name: "CORS: all", origin: "https://b.com", cors: allowed(engine.CORS{InsecureAllowAllOrigins: true}), ok: true},
		{name: "CORS: all, and null", origin: "null", cors: allowed(engine.CORS{InsecureAllowAllOrigins: true}), ok: true},
		{
			name: "CORS: all, with credentials", origin: "https://b.com",
			cors: allowed(engine.CORS{InsecureAllowAllOrigins: true, Credentials: true}), ok: true,
		},
	} {
		story(t, "EIO-CO-4 better: "+c.name, engine.Options{CORS: c.cors}, func(t *testing.T, k *enginetest.Kit) {
			p := k.OpenPolling()
			req := enginetest.Request{Query: websocket, Header: fromPage(c.origin), Host: c.host, TLS: c.tls}
			upgrade := req
			upgrade.Query = p.Query() + "&transport=websocket"
			if c.ok {
				k.DialRequest(req)
				k.DialRequest(upgrade)
				return
			}
			for _, r := range []enginetest.Request{req, upgrade} {
				a := k.Do(r)
				same(t, "EIO-ER-4 answer", a.String(), "403 Forbidden")
				same(t, "EIO-ER-4 content type", a.Header.Get("Content-Type"), "text/html")
			}
			// EIO-CO-4: browsers see to polling themselves.
			r := enginetest.Request{Query: polling, Header: http.Header{"Origin": {c.origin}}, Host: c.host, TLS: c.tls}
			same(t, "polling", k.Do(r).Status, 200)
			loud(t, k, "Options.CORS") // once
		})
	}
}

// What says that a page of another site loads a script (EIO-JP-1): the one case
// in which it can read an answer that CORS does not give it.
func TestScriptOrigin(t *testing.T) {
	for site, status := range map[string]int{
		"": 200, "none": 200, "same-origin": 200, "same-site": 403, "cross-site": 403,
	} {
		story(t, "JSONP from "+site, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			h := http.Header{}
			if site != "" {
				h.Set("Sec-Fetch-Site", site)
			}
			same(t, "JSONP", k.Do(enginetest.Request{Query: polling + "&j=0", Header: h}).Status, status)
			same(t, "polling", k.Do(enginetest.Request{Query: polling, Header: h}).Status, 200)
			if status != 200 {
				loud(t, k, "Options.CORS")
			}
		})
	}
}
