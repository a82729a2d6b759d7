package engine

import (
	"log/slog"
	"net"
	"strings"
)

// Browsers let every page open a WebSocket to every server, with the user's cookies.
// The server has to check Origin (RFC 6455 section 10.2). The reference does not
// (EIO-CO-4). Polling needs no check: browsers do not let a page read an answer that
// CORS does not allow, so the page never learns its session id. JSONP is the
// exception: see checkJSONPOrigin.

// checkOrigin refuses WebSockets to pages of other origins, unless CORS allows
// them. Clients that are no browsers send no Origin. A page that begins with polling
// is only logged: its browser keeps the answer from it.
func (e *Server) checkOrigin(x *httpExchange) *refusal {
	req := x.Request()
	opens := x.upgrade || last(req.Query, "sid") == "" && !dialectOf(req.Query).has(jsonp)
	if !opens || !x.foreignOrigin() {
		return nil
	}
	if !x.upgrade {
		e.warnBlockedPoll(x.origin, req.Host)
		return nil
	}
	e.warnOrigin(x.origin, req.Host)
	return originNotAllowed(x.origin)
}

// foreignOrigin reports whether the request comes from a page of another origin that
// CORS does not allow.
func (x *httpExchange) foreignOrigin() bool {
	return !x.originAllowed && x.origin != "" && !sameOrigin(x.origin, x.Request())
}

// warnOrigin logs which setting refused a page, once above Debug. Browsers do not say
// why a WebSocket failed, so nothing else tells the operator.
func (e *Server) warnOrigin(origin, host string) {
	e.logOnce(&e.originWarned, e.log.Warn)("a page of another origin was refused: to let it in, add its origin to Options.CORS; "+
		"if it is this server's own page, have the proxy in front pass on the Host header with its port, "+
		"in nginx by proxy_set_header Host $http_host (further refusals are logged at Debug)", originAttrs(origin, host)...)
}

// warnBlockedPoll does the same for polling, where the browser refuses the page. If
// middleware of the framework answers CORS, the browser may not: we cannot see that.
func (e *Server) warnBlockedPoll(origin, host string) {
	e.logOnce(&e.originWarned, e.log.Warn)("a page of another origin polls, and its browser keeps the answers from it: "+
		"to let it in, add its origin to Options.CORS, also if middleware of yours allows polling, since WebSocket needs it; "+
		"if it is this server's own page, have the proxy in front pass on the Host header with its port, "+
		"in nginx by proxy_set_header Host $http_host (further ones are logged at Debug)", originAttrs(origin, host)...)
}

// originAttrs shortens both strings, which the client chooses.
func originAttrs(origin, host string) []any {
	const maxBytes = 200
	return []any{slog.String("origin", origin[:min(len(origin), maxBytes)]), slog.String("host", host[:min(len(host), maxBytes)])}
}

// sameOrigin reports whether the origin is the server that the request was sent to. A
// native client may send its own URL as Origin, with the scheme ws or wss.
func sameOrigin(origin string, req *Request) bool {
	page, ok := parseOrigin(origin)
	if !ok {
		return false
	}
	host, port := splitPort(req.Host)
	if !strings.EqualFold(host, page.host) || host == "" {
		return false
	}
	switch {
	case req.TLS && page.scheme != "https":
		return false // an attacker can change plain HTTP pages, and must not reach the encrypted server
	case port == "":
		// A proxy in front may do TLS, so the port that the client left out is the
		// one of the page's scheme.
		return page.port == defaultPort(page.scheme)
	default:
		return page.port == port
	}
}

// originParts are the parts of an origin.
type originParts struct{ scheme, host, port string }

// parseOrigin parses an origin of the web. ok is false for others, such as "null".
func parseOrigin(s string) (a originParts, ok bool) {
	scheme, authority, _ := strings.Cut(webOrigin(s), "://")
	a.scheme = strings.ToLower(scheme)
	a.port = defaultPort(a.scheme)
	if a.port == "" || strings.ContainsAny(authority, "/?#@, ") {
		return a, false
	}
	var port string
	if a.host, port = splitPort(authority); port != "" {
		a.port = port
	}
	return a, a.host != ""
}

// webOrigin returns the origin of a page on the same server. The official Swift client
// and others send their own URL as Origin: its scheme is ws or wss, and it may have a
// path. No page can have such an origin.
func webOrigin(origin string) string {
	scheme, rest, _ := strings.Cut(origin, "://")
	switch strings.ToLower(scheme) {
	case "ws":
		scheme = "http"
	case "wss":
		scheme = "https"
	default:
		return origin
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return scheme + "://" + strings.TrimSuffix(rest, ":"+defaultPort(scheme))
}

// splitPort splits an authority, whose port may be missing.
func splitPort(authority string) (host, port string) {
	if h, p, err := net.SplitHostPort(authority); err == nil {
		return h, p
	}
	return strings.Trim(authority, "[]"), ""
}

func defaultPort(scheme string) string {
	switch scheme {
	case "https":
		return "443"
	case "http":
		return "80"
	}
	return ""
}
