package engine

import (
	"cmp"
	"log/slog"
	"net"
	"net/url"
	"strings"
)

// Browsers let every page open a WebSocket to every server, with the user's
// cookies, and leave it to the server to look at Origin (RFC 6455 section
// 10.2). The reference does not look (EIO-CO-4); we do. Polling needs no guard:
// there, browsers do not let a page see an answer that is not meant for it, so
// it never learns its session id. JSONP is the exception: see guardScript.

// guardOrigin refuses WebSockets to pages of other origins, unless CORS allows
// them. What is no browser sends no Origin. A page that wants to begin with polling is
// reported alone: its browser will keep the answer from it.
func (e *Server) guardOrigin(v *visit) *refusal {
	req := v.Request()
	opens := v.upgrade || last(req.Query, "sid") == "" && !dialectOf(req.Query).has(jsonp)
	if !opens || !v.foreign() {
		return nil
	}
	if !v.upgrade {
		e.reportPoll(v.origin, req.Host)
		return nil
	}
	e.reportOrigin(v.origin, req.Host)
	return foreignOrigin(v.origin)
}

// foreign reports whether the request is of a page of another origin that CORS does
// not let in.
func (v *visit) foreign() bool {
	return !v.allowed && v.origin != "" && !sameOrigin(v.origin, v.Request())
}

// guardScript refuses JSONP unless Options.AllowJSONP is set, and then to pages of
// other origins, unless CORS allows them: every page can load a script from
// everywhere, and read what it is called with. A page that is not known is another
// one: an attacker's would see to that.
func (e *Server) guardScript(v *visit) *refusal {
	if !e.opts.AllowJSONP {
		return badRequest("JSONP_NOT_ALLOWED")
	}
	req := v.Request()
	page := v.page()
	if ownScript(page, req) {
		return nil
	}
	if e.opts.CORS != nil {
		admitted, err := e.opts.CORS.admits(req, page)
		if err != nil {
			e.logFailure("CORS.AllowOrigin", err)
			return middlewareFailed()
		}
		if admitted {
			return nil
		}
	}
	page = cmp.Or(page, "unknown")
	e.reportOrigin(page, req.Host)
	return foreignOrigin(page)
}

// ownScript reports whether a script or a form is of one of the server's own
// pages. Sec-Fetch-Site is what the browser itself says, and no page can change
// it; but browsers leave it out on plain HTTP, and old ones do not know it. Then
// the page counts.
func ownScript(page string, req *Request) bool {
	switch req.Header.Get("Sec-Fetch-Site") {
	case "":
		return sameOrigin(page, req)
	case "same-origin":
		return page == "" || sameOrigin(page, req)
	default:
		return false
	}
}

// page returns the origin of the page that makes the request, "" if that is not
// known. Forms tell it in Origin, scripts only in Referer.
func (v *visit) page() string {
	if v.origin != "" {
		return v.origin
	}
	referers := v.Request().Header["Referer"]
	if len(referers) != 1 {
		return ""
	}
	u, err := url.Parse(referers[0])
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// reportOrigin tells the operator which setting a browser was refused by, as
// nothing else will: browsers do not say why a WebSocket failed. This or reportPoll
// is the one thing that a peer can have us log above Debug, and it can only once.
func (e *Server) reportOrigin(origin, host string) {
	e.once(&e.warned, e.log.Warn)("a page of another origin was refused: to let it in, add its origin to Options.CORS; "+
		"if it is this server's own page, have the proxy in front pass on the Host header with its port, "+
		"in nginx by proxy_set_header Host $http_host (further refusals are logged at Debug)", whoAsks(origin, host)...)
}

// reportPoll does the same for polling, which the browser refuses to the page. A
// framework's own middleware may let the page poll: we do not see that.
func (e *Server) reportPoll(origin, host string) {
	e.once(&e.warned, e.log.Warn)("a page of another origin polls, and its browser keeps the answers from it: "+
		"to let it in, add its origin to Options.CORS, also if middleware of yours allows polling, since WebSocket needs it; "+
		"if it is this server's own page, have the proxy in front pass on the Host header with its port, "+
		"in nginx by proxy_set_header Host $http_host (further ones are logged at Debug)", whoAsks(origin, host)...)
}

// whoAsks are attributes that a client chooses, within what a header may have.
func whoAsks(origin, host string) []any {
	const most = 200
	return []any{slog.String("origin", origin[:min(len(origin), most)]), slog.String("host", host[:min(len(host), most)])}
}

// sameOrigin reports whether a page of the origin and the request are of the
// same server. A native client may have its own URL there, whose scheme is ws or
// wss.
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
	scheme, authority, _ := strings.Cut(webOrigin(s), "://")
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

// webOrigin returns an origin as a page of the same server has it. Clients that
// are no browsers put their own URL into Origin, as the official Swift client
// does: its scheme is ws or wss, and there may be a path. No page can have such
// an origin.
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
	return scheme + "://" + strings.TrimSuffix(rest, ":"+defaultPorts(scheme))
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
