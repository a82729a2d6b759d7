package engine

import (
	"cmp"
	"log/slog"
	"net"
	"strings"
)

// Browsers let every page open a WebSocket to every server, with the user's
// cookies, and leave it to the server to look at Origin (RFC 6455 section
// 10.2). The reference does not look (EIO-CO-4); we do. Polling needs no guard:
// there, browsers do not let a page see an answer that is not meant for it, so
// it never learns its session id.

// guardOrigin refuses WebSockets, and scripts for JSONP, to pages of other
// origins, unless CORS allows them. What is no browser sends no Origin.
func (e *Server) guardOrigin(v *visit) *refusal {
	req := v.Request()
	foreign := ""
	switch {
	case v.allowed:
	case v.upgrade && v.origin != "" && !sameOrigin(v.origin, req):
		foreign = v.origin
	case foreignScript(req):
		foreign = cmp.Or(req.Header.Get("Referer"), "unknown")
	}
	if foreign == "" {
		return nil
	}
	e.reportOrigin(foreign, req.Host)
	return foreignOrigin(foreign)
}

// foreignScript reports whether a page of another site has loaded the answer as
// a script, which it could read then. The browsers that JSONP is for do not
// tell, but they are no longer in use; those that are do.
func foreignScript(req *Request) bool {
	if !req.Query.Has("j") {
		return false
	}
	site := req.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// reportOrigin tells the operator which setting a browser was refused by, as
// nothing else will: browsers do not say why a WebSocket failed. That is the
// one thing that a peer can have us log above Debug, and it can only once.
func (e *Server) reportOrigin(origin, host string) {
	const most = 200 // a client chooses these, within what a header may have
	e.once(&e.warned, e.log.Warn)("a page of another origin was refused: to let it in, add its origin to Options.CORS "+
		"(further refusals are logged at Debug)",
		slog.String("origin", origin[:min(len(origin), most)]), slog.String("host", host[:min(len(host), most)]))
}

// sameOrigin reports whether a page of the origin and the request are of the
// same server.
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
		return false // whoever can change plain HTTP on its way must not get at what is encrypted
	case port == "":
		// Without TLS here there may be some in front of us, so the port that
		// the client left out is the one of the page's scheme.
		return page.port == defaultPorts(page.scheme)
	default:
		return page.port == port
	}
}

// An address is an origin, taken apart.
type address struct{ scheme, host, port string }

// parseOrigin takes apart an origin of the web. Others, such as "null", are
// never the same as a server's.
func parseOrigin(s string) (a address, ok bool) {
	scheme, authority, _ := strings.Cut(s, "://")
	a.scheme = strings.ToLower(scheme)
	a.port = defaultPorts(a.scheme)
	if a.port == "" || strings.ContainsAny(authority, "/?#@, ") {
		return a, false
	}
	var port string
	if a.host, port = splitPort(authority); port != "" {
		a.port = port
	}
	return a, a.host != ""
}

// splitPort splits an authority, whose port may be missing.
func splitPort(authority string) (host, port string) {
	if h, p, err := net.SplitHostPort(authority); err == nil {
		return h, p
	}
	return strings.Trim(authority, "[]"), ""
}

func defaultPorts(scheme string) string {
	switch scheme {
	case "https":
		return "443"
	case "http":
		return "80"
	}
	return ""
}
