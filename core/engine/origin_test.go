package engine_test

import (
	"net/http"
	"regexp"
	"strings"
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

		{name: "a native client", origin: "ws://a.com", host: "a.com", ok: true},
		{name: "a native client, other letters", origin: "WSS://A.com", host: "a.com", tls: true, ok: true},
		{name: "a native client, TLS in front of us", origin: "wss://a.com", host: "a.com", ok: true},
		{name: "a native client, port", origin: "ws://a.com:3000", host: "a.com:3000", ok: true},
		{name: "a native client, default port", origin: "wss://a.com:443", host: "a.com", ok: true},
		{name: "a native client, its whole URL", origin: "wss://a.com/socket.io/?EIO=4&transport=websocket", host: "a.com", ok: true},
		{name: "a native client of another host", origin: "wss://b.com", host: "a.com"},
		{name: "a native client of another port", origin: "ws://a.com:3000", host: "a.com:3001"},
		{name: "a native client, plain to TLS", origin: "ws://a.com", host: "a.com", tls: true},
		{name: "a path of a page", origin: "http://a.com/", host: "a.com"},
		{name: "behind a proxy that loses the port", origin: "http://a.com:8080", host: "a.com"},
		{name: "behind a proxy that loses the host", origin: "http://a.com:8080", host: "127.0.0.1:3000"},
		{
			name: "CORS: behind such a proxy", origin: "http://a.com:8080", host: "127.0.0.1:3000",
			cors: allowed(engine.CORS{Origins: []string{"http://a.com:8080"}}), ok: true,
		},
		{
			name: "CORS: a native client behind such a proxy", origin: "wss://a.com", host: "127.0.0.1:3000",
			cors: allowed(engine.CORS{Origins: []string{"https://a.com"}}), ok: true,
		},
		{
			name: "CORS: a native client, list", origin: "wss://a.com:443/", host: "127.0.0.1:3000",
			cors: allowed(engine.CORS{Origins: []string{"https://a.com", "https://b.com"}}), ok: true,
		},

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
		inBubble(t, "EIO-CO-4 better: "+c.name, engine.Options{CORS: c.cors}, func(t *testing.T, k *enginetest.Kit) {
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
			loud(t, k, "Options.CORS; if it is this server's own page") // once
		})
	}
}

// Every page can load a script from everywhere and read it: the one case in which
// CORS does not keep an answer from other pages (EIO-JP-1).
func TestForeignPagesReadNothingByScripts(t *testing.T) {
	cors := func(c engine.CORS) engine.Options { return engine.Options{AllowJSONP: true, CORS: &c} }
	const own, evil = "http://server.test/chat", "http://evil.example/"
	for name, c := range map[string]struct {
		opts   engine.Options
		header http.Header
		ok     bool
	}{
		"own page":                  {header: http.Header{"Referer": {own}}, ok: true},
		"own page, only its origin": {header: http.Header{"Referer": {"http://server.test/"}}, ok: true},
		"own page, browser says so": {header: http.Header{"Sec-Fetch-Site": {"same-origin"}}, ok: true},
		"own page, both":            {header: http.Header{"Sec-Fetch-Site": {"same-origin"}, "Referer": {own}}, ok: true},

		"plain HTTP, another page":  {header: http.Header{"Referer": {evil}}},
		"no referrer":               {header: http.Header{}},
		"nothing in it":             {header: http.Header{"Referer": {""}}},
		"no address":                {header: http.Header{"Referer": {"about:blank"}}},
		"two":                       {header: http.Header{"Referer": {own, evil}}},
		"another port":              {header: http.Header{"Referer": {"http://server.test:81/"}}},
		"our name in its path":      {header: http.Header{"Referer": {evil + own}}},
		"our name as its user":      {header: http.Header{"Referer": {"http://server.test@evil.example/"}}},
		"our name before its own":   {header: http.Header{"Referer": {"http://server.test.evil.example/"}}},
		"another site":              {header: http.Header{"Sec-Fetch-Site": {"cross-site"}}},
		"a site beside":             {header: http.Header{"Sec-Fetch-Site": {"same-site"}, "Referer": {own}}},
		"a sandbox of our own page": {header: http.Header{"Sec-Fetch-Site": {"cross-site"}, "Referer": {own}}},
		"a form of another page":    {header: http.Header{"Origin": {"http://evil.example"}, "Referer": {own}}},
		"a form of a sandbox":       {header: http.Header{"Origin": {"null"}, "Referer": {own}}},
		"contradiction":             {header: http.Header{"Sec-Fetch-Site": {"same-origin"}, "Referer": {evil}}},

		"CORS: one":              {opts: cors(engine.CORS{Origins: []string{"http://evil.example"}}), header: http.Header{"Referer": {evil}}, ok: true},
		"CORS: another":          {opts: cors(engine.CORS{Origins: []string{"http://good.example"}}), header: http.Header{"Referer": {evil}}},
		"CORS: unknown":          {opts: cors(engine.CORS{Origins: []string{"http://good.example"}}), header: http.Header{}},
		"CORS: function":         {opts: cors(engine.CORS{AllowOrigin: asks(nil, true)}), header: http.Header{"Referer": {evil}}, ok: true},
		"CORS: function says no": {opts: cors(engine.CORS{AllowOrigin: asks(nil, false)}), header: http.Header{"Referer": {evil}}},
		"CORS: all":              {opts: cors(engine.CORS{InsecureAllowAllOrigins: true}), header: http.Header{}, ok: true},
	} {
		c.opts.AllowJSONP = true
		inBubble(t, name, c.opts, func(t *testing.T, k *enginetest.Kit) {
			s := scriptQuery(t, k)
			requests := map[string]enginetest.Request{
				"handshake": {Query: polling + "&j=0"},
				"poll":      {Query: s},
				"without j": {Query: strings.Replace(s, "&j=0", "", 1)},
				"post":      {Query: s, Method: http.MethodPost, Body: strings.NewReader("d=4x")},
			}
			for what, r := range requests {
				r.Header = c.header
				a := k.Do(r)
				if c.ok {
					same(t, what, a.Status, http.StatusOK)
					k.Peer(sidIn(s)).Send("for the next poll")
					continue
				}
				same(t, what, a.String(), `403 {"code":4,"message":"Forbidden"}`)
			}
			if !c.ok {
				loud(t, k, "Options.CORS")
				same(t, "messages", len(k.Peer(sidIn(s)).Messages()), 0)
			}
			same(t, "polling", k.Do(enginetest.Request{Query: polling, Header: c.header}).Status, http.StatusOK)
		})
	}
}

// scriptQuery opens a session by JSONP from wherever that is allowed, with a
// message to be polled for, and returns its query.
func scriptQuery(t *testing.T, k *enginetest.Kit) string {
	t.Helper()
	h := ownPage()
	h.Set("Sec-Fetch-Site", "same-origin")
	a := k.Do(enginetest.Request{Query: polling + "&j=0", Header: h})
	same(t, "handshake", a.Status, http.StatusOK)
	p := k.LastPeer()
	p.Send("secret")
	return polling + "&j=0&sid=" + p.Session.ID()
}

func sidIn(query string) string { return query[strings.LastIndex(query, "=")+1:] }

func TestJSONPIsOffUnlessAskedFor(t *testing.T) {
	inBubble(t, "JSONP", engine.Options{CORS: &engine.CORS{InsecureAllowAllOrigins: true}}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "JSONP", k.Do(enginetest.Request{Query: polling + "&j=0", Header: ownPage()}).String(), badRequest)
		same(t, "sessions", k.Remembered(), 0)
		k.Dial(websocket + "&j=0") // where it means nothing
		p := k.OpenPolling()
		p.Send("x")
		same(t, "session without it", k.Do(enginetest.Request{Query: p.Query() + "&j=0"}).String(), "200 4x")
	})
}
