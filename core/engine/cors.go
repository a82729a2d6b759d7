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

// CORS says which pages of other origins may use the server, and how: for
// polling by the headers of cross-origin resource sharing, for WebSocket by
// refusing the handshake, because there browsers ask nobody. Pages of the
// server's own origin need no leave. The names are those of the JavaScript
// server's cors option.
//
// The zero CORS lets no other origin in. The server's own origin is what the
// requests' Host says: behind a proxy that does not pass it on, the origin that
// users see has to be allowed here.
//
// If middleware of the framework takes care of CORS already, set the same
// origins here for the sake of WebSocket: headers that both set are sent once,
// as set here.
type CORS struct {
	// Origins are the origins that are allowed, such as
	// "https://app.example.com". If there is only one, and neither
	// OriginPatterns nor AllowOrigin, it is named in every answer; otherwise,
	// an answer names the origin of its request if that is allowed.
	Origins []string

	// OriginPatterns allow the origins that they match. Mind that a pattern
	// matches parts, too: `^https://[a-z]+\.example\.com$` is safe,
	// `example.com` is not.
	OriginPatterns []*regexp.Regexp

	// AllowOrigin, if set, is asked about an origin that neither of the
	// above allows. If it says no, the answer has no CORS headers at all; if it
	// fails, the request is refused.
	AllowOrigin func(r *Request, origin string) (bool, error)

	// InsecureAllowAllOrigins lets every page of the world in: with
	// Credentials, and over WebSocket in any case, in the name of the users who
	// look at it, if they are recognized by cookies or by being in the right
	// network. The other rules for origins do not count then.
	InsecureAllowAllOrigins bool

	// Credentials lets polling requests of other origins have cookies.
	Credentials bool

	// Methods are GET, HEAD, PUT, PATCH, POST and DELETE by default.
	Methods []string

	// AllowedHeaders are the request headers that pages may set: by default,
	// all that the browser asks for.
	AllowedHeaders []string

	// ExposedHeaders are the response headers that pages may read, beyond the
	// simple ones.
	ExposedHeaders []string

	// MaxAge is for how long browsers may keep the answer to a preflight, in
	// whole seconds. 0 leaves it to the browser, less than 0 is not at all.
	MaxAge time.Duration

	// OptionsSuccessStatus is the status of that answer, 204 by default.
	OptionsSuccessStatus int

	// PreflightContinue gives preflights the headers, but not the answer, which
	// will be 400 then.
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

// cors sets the headers of CORS for whatever the answer will be, and answers
// preflights (EIO section 8.3).
func (e *Server) cors(v *visit) *refusal {
	c := e.opts.CORS
	if c == nil {
		return nil
	}
	req := v.Request()
	active, err := c.judge(v, req)
	switch {
	case err != nil:
		e.logFailure("CORS.AllowOrigin", err)
		return middlewareFailed()
	case !active:
		return nil
	}
	h := v.add()
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
	if v.foreign() { // there will be no request behind it
		e.reportPoll(v.origin, req.Host)
	}
	return answered(Response{Status: cmp.Or(c.OptionsSuccessStatus, http.StatusNoContent)})
}

// Respond sends an answer that is not the engine's own to a request, with what
// CORS has to say about it; that may be the answer, too.
func (e *Server) Respond(x Exchange, res Response) error {
	v := e.visit(x)
	if ref := e.cors(v); ref != nil {
		e.refuse(v, ref)
		return nil
	}
	res.Header = v.complete(res.Header)
	return v.deliver(res)
}

// judge decides about the origin of a request. active is false if CORS has
// nothing to say.
func (c *CORS) judge(v *visit, req *Request) (active bool, err error) {
	if v.allowed, err = c.admits(req, v.origin); err != nil {
		return false, err
	}
	switch {
	case c.InsecureAllowAllOrigins && !c.Credentials:
		v.add().Set(allowOrigin, "*")
		return true, nil
	case c.InsecureAllowAllOrigins: // with credentials, browsers do not take "*"
	case c.fixed():
		v.add().Set(allowOrigin, c.Origins[0])
		v.add().Set("Vary", "Origin")
		return true, nil
	case !v.allowed && c.AllowOrigin != nil && isOrigin(v.origin):
		return false, nil
	}
	v.add().Set("Vary", "Origin")
	if v.allowed && isOrigin(v.origin) {
		v.add().Set(allowOrigin, v.origin)
	}
	return true, nil
}

// admits reports whether pages of the origin may use the server.
func (c *CORS) admits(req *Request, origin string) (ok bool, err error) {
	switch {
	case c.InsecureAllowAllOrigins:
		return true, nil
	case !isOrigin(origin): // verification will say what it thinks of one that is illegal
		return false, nil
	case c.lists(origin) || c.lists(webOrigin(origin)):
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

// fixed reports whether there is one origin to name in all answers.
func (c *CORS) fixed() bool {
	return len(c.Origins) == 1 && len(c.OriginPatterns) == 0 && c.AllowOrigin == nil
}

func (c *CORS) lists(origin string) bool {
	return slices.ContainsFunc(c.Origins, func(o string) bool { return strings.EqualFold(o, origin) }) ||
		slices.ContainsFunc(c.OriginPatterns, func(p *regexp.Regexp) bool { return p.MatchString(origin) })
}

// preflight sets what only the answers to preflights have (EIO-CO-5, EIO-CO-6).
func (c *CORS) preflight(h http.Header, req *Request) {
	h.Set("Access-Control-Allow-Methods", cmp.Or(strings.Join(c.Methods, ","), corsMethods))
	asked := strings.Join(req.Header[askedHeaders], ", ")
	switch {
	case len(c.AllowedHeaders) > 0:
		h.Set(allowHeaders, strings.Join(c.AllowedHeaders, ","))
	default:
		vary(h, askedHeaders)
		if asked != "" && headerLegal(asked) {
			h.Set(allowHeaders, asked)
		}
	}
	if c.MaxAge != 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(max(c.MaxAge, 0)/time.Second)))
	}
}

// vary adds to what the answer depends on, in one line as the reference does.
func vary(h http.Header, name string) {
	if had := h.Get("Vary"); had != "" {
		name = had + ", " + name
	}
	h.Set("Vary", name)
}

// clone returns a copy that its user cannot change.
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

// validate returns what can only be a mistake.
func (c *CORS) validate() error {
	if c == nil {
		return nil
	}
	for _, o := range c.Origins {
		if err := checkOrigin(o); err != nil {
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

// checkOrigin returns why no browser will ever send this origin.
func checkOrigin(o string) error {
	_, host, found := strings.Cut(o, "://")
	switch {
	case o == "*":
		return errors.New("to let every page in, set InsecureAllowAllOrigins")
	case o == "null":
		return nil // whoever wants it: all sandboxed pages and files have this origin
	case !found || host == "":
		return errors.New("an origin has a scheme and a host, such as https://example.com")
	case strings.ContainsAny(host, "/?#@* ") || !visible(o):
		return errors.New("an origin has a scheme, a host and perhaps a port, nothing else; " +
			"for more than one use OriginPatterns")
	}
	if at, ok := parseOrigin(o); ok && strings.HasSuffix(host, ":"+at.port) && at.port == defaultPorts(at.scheme) {
		return fmt.Errorf("browsers leave the port %s out", at.port)
	}
	return nil
}

// visible reports whether s has only characters of ASCII that are seen.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7F })
}
