package engine

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
)

// CORS says which pages of other origins may use the server. For polling, it sets
// the headers of cross-origin resource sharing. Browsers do not apply them to
// WebSockets, so there the handshake is refused. Pages of the server's own origin are
// always allowed. The names are those of the JavaScript server's cors option.
//
// The zero CORS allows no other origin. The server's own origin comes from the Host
// header. If a proxy does not pass that on, allow the origin that users see here.
//
// If the framework's middleware does CORS already, set the same origins here, for
// WebSocket. Headers that both set are sent once, as set here.
type CORS struct {
	// Origins are allowed, for example "https://app.example.com". If there is only
	// one, and neither OriginPatterns nor AllowOrigin, every answer names it.
	// Otherwise an answer names the origin of its request, if it is allowed.
	Origins []string

	// OriginPatterns allow the origins that they match. A pattern also matches
	// parts: `^https://[a-z]+\.example\.com$` is safe, `example.com` is not.
	OriginPatterns []*regexp.Regexp

	// AllowOrigin, if set, is called for an origin that neither of the above
	// allows. If it returns false, the answer has no CORS headers at all. If it
	// returns an error, the request is refused.
	AllowOrigin func(r *Request, origin string) (bool, error)

	// InsecureAllowAllOrigins allows every page in the world. If the server knows users
	// by cookies or by their network, such a page acts in the name of its visitor: over
	// WebSocket in any case, over polling with Credentials. The other rules for origins
	// do not count then.
	InsecureAllowAllOrigins bool

	// Credentials allows cookies in polling requests of other origins.
	Credentials bool

	// Methods are GET, HEAD, PUT, PATCH, POST and DELETE by default.
	Methods []string

	// AllowedHeaders are the request headers that pages may set: by default,
	// all that the browser asks for.
	AllowedHeaders []string

	// ExposedHeaders are the response headers that pages may read, beyond the
	// simple ones.
	ExposedHeaders []string

	// MaxAge is how long browsers may keep the answer to a preflight, in whole seconds.
	// 0 leaves it to the browser. A negative value forbids it.
	MaxAge time.Duration

	// OptionsSuccessStatus is the status of that answer, 204 by default.
	OptionsSuccessStatus int

	// PreflightContinue sets the headers of a preflight but does not answer it.
	// The answer is 400 then.
	PreflightContinue bool
}

// The headers of CORS that are used more than once.
const (
	allowOrigin  = "Access-Control-Allow-Origin"
	allowHeaders = "Access-Control-Allow-Headers"
	askedHeaders = "Access-Control-Request-Headers"
)

// corsMethods are the methods that are allowed by default (EIO-CO-5).
const corsMethods = "GET,HEAD,PUT,PATCH,POST,DELETE"

// applyCORS sets the headers of CORS, for any answer, and answers preflights (EIO
// section 8.3).
func (e *Server) applyCORS(x *httpExchange) *refusal {
	c := e.opts.CORS
	if c == nil {
		return nil
	}
	req := x.Request()
	active, err := c.setOriginHeaders(x, req)
	switch {
	case err != nil:
		e.logFailure("CORS.AllowOrigin", err)
		return middlewareFailed(err)
	case !active:
		return nil
	}
	h := x.responseHeader()
	if c.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(c.ExposedHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(c.ExposedHeaders, ","))
	}
	if req.Method != http.MethodOptions {
		return nil
	}
	c.preflight(h, req)
	if c.PreflightContinue { // EIO-CO-7
		return nil
	}
	if x.foreignOrigin() { // no request will follow
		e.warnBlockedPoll(x.origin, req.Host)
	}
	return customResponse(Response{Status: cmp.Or(c.OptionsSuccessStatus, http.StatusNoContent)})
}

// setOriginHeaders decides whether the request's origin is allowed, and sets the
// headers that say so. active is false if the answer gets no headers of CORS.
func (c *CORS) setOriginHeaders(x *httpExchange, req *Request) (active bool, err error) {
	if x.originAllowed, err = c.allows(req, x.origin); err != nil {
		return false, err
	}
	switch {
	case c.InsecureAllowAllOrigins && !c.Credentials:
		x.responseHeader().Set(allowOrigin, "*")
		return true, nil
	case c.InsecureAllowAllOrigins: // with credentials, browsers do not take "*"
	case c.singleOrigin():
		x.responseHeader().Set(allowOrigin, c.Origins[0])
		x.responseHeader().Set("Vary", "Origin")
		return true, nil
	case !x.originAllowed && c.AllowOrigin != nil && isOrigin(x.origin):
		return false, nil
	}
	x.responseHeader().Set("Vary", "Origin")
	if x.originAllowed && isOrigin(x.origin) {
		x.responseHeader().Set(allowOrigin, x.origin)
	}
	return true, nil
}

// allows reports whether pages of the origin may use the server.
func (c *CORS) allows(req *Request, origin string) (ok bool, err error) {
	switch {
	case c.InsecureAllowAllOrigins:
		return true, nil
	case !isOrigin(origin): // verify refuses an origin that is not legal in a header
		return false, nil
	case c.listsOrigin(origin) || c.listsOrigin(webOrigin(origin)):
		return true, nil
	case c.AllowOrigin == nil:
		return false, nil
	}
	err = rescue.Apart(func() (err error) {
		ok, err = c.AllowOrigin(req, origin)
		return err
	})
	return ok && err == nil, err
}

// isOrigin reports whether a request has an origin, and a header can name it.
func isOrigin(s string) bool { return s != "" && headerLegal(s) }

// singleOrigin reports whether all answers name the same origin.
func (c *CORS) singleOrigin() bool {
	return len(c.Origins) == 1 && len(c.OriginPatterns) == 0 && c.AllowOrigin == nil
}

func (c *CORS) listsOrigin(origin string) bool {
	return slices.ContainsFunc(c.Origins, func(o string) bool { return strings.EqualFold(o, origin) }) ||
		slices.ContainsFunc(c.OriginPatterns, func(p *regexp.Regexp) bool { return p.MatchString(origin) })
}

// preflight sets the headers that only answers to preflights have (EIO-CO-5,
// EIO-CO-6).
func (c *CORS) preflight(h http.Header, req *Request) {
	h.Set("Access-Control-Allow-Methods", cmp.Or(strings.Join(c.Methods, ","), corsMethods))
	asked := strings.Join(req.Header[askedHeaders], ", ")
	switch {
	case len(c.AllowedHeaders) > 0:
		h.Set(allowHeaders, strings.Join(c.AllowedHeaders, ","))
	default:
		addVary(h, askedHeaders)
		if asked != "" && headerLegal(asked) {
			h.Set(allowHeaders, asked)
		}
	}
	if c.MaxAge != 0 {
		h.Set("Access-Control-Max-Age", wholeSeconds(c.MaxAge))
	}
}

// wholeSeconds returns a duration as a header has it. Less than 0 is 0.
func wholeSeconds(d time.Duration) string { return strconv.Itoa(int(max(d, 0) / time.Second)) }

// addVary adds a name to the Vary header, in one line as the reference does.
func addVary(h http.Header, name string) {
	if had := h.Get("Vary"); had != "" {
		name = had + ", " + name
	}
	h.Set("Vary", name)
}

// clone returns a deep copy, so that the application cannot change it.
func (c *CORS) clone() *CORS {
	if c == nil {
		return nil
	}
	d := *c
	d.Origins = slices.Clone(c.Origins)
	d.OriginPatterns = slices.Clone(c.OriginPatterns)
	d.Methods = slices.Clone(c.Methods)
	d.AllowedHeaders = slices.Clone(c.AllowedHeaders)
	d.ExposedHeaders = slices.Clone(c.ExposedHeaders)
	return &d
}

// validate returns an error for settings that can only be a mistake.
func (c *CORS) validate() error {
	if c == nil {
		return nil
	}
	for _, o := range c.Origins {
		if err := validateOrigin(o); err != nil {
			return fmt.Errorf("CORS.Origins has %q: %w", o, err)
		}
	}
	for name, list := range map[string][]string{
		"Methods": c.Methods, "AllowedHeaders": c.AllowedHeaders, "ExposedHeaders": c.ExposedHeaders,
	} {
		for _, token := range list {
			if token == "" || textproto.TrimString(token) != token || !visible(token) {
				return fmt.Errorf("CORS.%s has %q, which is no name", name, token)
			}
		}
	}
	if s := c.OptionsSuccessStatus; s != 0 && (s < http.StatusOK || s >= http.StatusMultipleChoices) {
		return fmt.Errorf("CORS.OptionsSuccessStatus is %d: browsers want one from 200 to 299", s)
	}
	return nil
}

// validateOrigin returns why no browser will ever send this origin.
func validateOrigin(o string) error {
	_, host, found := strings.Cut(o, "://")
	switch {
	case o == "*":
		return errors.New("to let every page in, set InsecureAllowAllOrigins")
	case o == "null":
		return nil // allowed, although all sandboxed pages and files have this origin
	case !found || host == "":
		return errors.New("an origin has a scheme and a host, such as https://example.com")
	case strings.ContainsAny(host, "/?#@* ") || !visible(o):
		return errors.New("an origin has a scheme, a host and perhaps a port, nothing else; " +
			"for more than one use OriginPatterns")
	}
	if at, ok := parseOrigin(o); ok && strings.HasSuffix(host, ":"+at.port) && at.port == defaultPort(at.scheme) {
		return fmt.Errorf("browsers leave the port %s out", at.port)
	}
	return nil
}

// visible reports whether s has only visible characters of ASCII.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7F })
}
