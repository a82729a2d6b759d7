package engine

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"strings"
)

// JSONP is polling for browsers that cannot make requests to other origins: they load
// scripts and send forms instead (EIO section 9). See Options.AllowJSONP.

// checkJSONPOrigin refuses JSONP unless Options.AllowJSONP is set. Then it refuses
// pages of other origins, unless CORS allows them: every page can load a script from
// everywhere, and read what it is called with. A page whose origin is not known
// counts as foreign, because an attacker can hide the origin.
func (e *Server) checkJSONPOrigin(x *httpExchange) *refusal {
	if !e.opts.AllowJSONP {
		return badRequest("JSONP_NOT_ALLOWED")
	}
	req := x.Request()
	page := x.pageOrigin()
	if isSameOriginScript(page, req) {
		return nil
	}
	if e.opts.CORS != nil {
		allowed, err := e.opts.CORS.allows(req, page)
		if err != nil {
			e.logFailure("CORS.AllowOrigin", err)
			return middlewareFailed(err)
		}
		if allowed {
			return nil
		}
	}
	page = cmp.Or(page, "unknown")
	e.warnOrigin(page, req.Host)
	return originNotAllowed(page)
}

// pageOrigin returns the origin of the page that makes the request, "" if that is not
// known. Forms have it in Origin, scripts only in Referer.
func (x *httpExchange) pageOrigin() string {
	if x.origin != "" {
		return x.origin
	}
	referers := x.Request().Header["Referer"]
	if len(referers) != 1 {
		return ""
	}
	u, err := url.Parse(referers[0])
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// isSameOriginScript reports whether a script or a form belongs to a page of this
// server. The browser itself sets Sec-Fetch-Site, and no page can change it. Browsers
// leave it out on plain HTTP, and old ones do not know it. Then the page's origin
// decides.
func isSameOriginScript(page string, req *Request) bool {
	switch req.Header.Get("Sec-Fetch-Site") {
	case "":
		return sameOrigin(page, req)
	case "same-origin":
		return page == "" || sameOrigin(page, req)
	default:
		return false
	}
}

// jsonpScript returns a script that calls the client's function of that number with
// the payload (EIO-JP-1).
func jsonpScript(index string, body []byte) []byte {
	index = strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, index)
	// A JSON string of package json is a JavaScript string as well, because Marshal
	// escapes U+2028 and U+2029 (EIO-JP-2). It also escapes "<", so a browser that
	// takes the answer for a page finds no end of a script in it.
	literal, _ := json.Marshal(string(body)) //nolint:errchkjson // a string always encodes
	out := append([]byte("___eio["+index+"]("), literal...)
	return append(out, ");"...)
}

// jsonpPayload returns the payload in a form (EIO-JP-3). found is false if the form
// has none.
func jsonpPayload(body []byte) (p []byte, found bool) {
	form := parseForm(string(body))
	if !form.Has("d") {
		return nil, false
	}
	return unescapeNewlines([]byte(last(form, "d"))), true
}

// unescapeNewlines turns \n into a newline and \\n into \n (EIO-JP-3). Browsers
// change newlines in forms, so clients escape them. Other backslashes stand for
// themselves.
func unescapeNewlines(p []byte) []byte {
	out := p[:0]
	for {
		i := bytes.Index(p, []byte(`\n`))
		switch {
		case i < 0:
			return append(out, p...)
		case i > 0 && p[i-1] == '\\':
			out = append(append(out, p[:i]...), 'n')
		default:
			out = append(append(out, p[:i]...), '\n')
		}
		p = p[i+2:]
	}
}
