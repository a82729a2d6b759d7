package engine

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"

	"github.com/sioplug/sioplug/internal/rescue"
)

// verify checks a request in the order of EIO section 3 and finds the session
// that it belongs to. A nil session means that the request may open a new one,
// whose id is x.sid, unless another server has the session: see x.route.
func (e *Server) verify(x *httpExchange) (*Session, *refusal) {
	if x.forwarded {
		return e.verifyForwarded(x)
	}
	if ref := e.applyCORS(x); ref != nil {
		return nil, ref
	}
	req := x.Request()
	if e.refusing.Load() && last(req.Query, "sid") == "" { // before middleware counts it against the client
		return nil, shuttingDown()
	}
	if ref := e.runMiddleware(x); ref != nil {
		return nil, ref
	}
	transport := last(req.Query, "transport")
	if (transport != Polling && transport != WebSocket) || !e.opts.allows(transport) {
		return nil, unknownTransport(transport)
	}
	if !headerLegal(x.origin) {
		return nil, badRequest("INVALID_ORIGIN", "origin", x.origin)
	}
	if ref := e.checkOrigin(x); ref != nil {
		return nil, ref
	}
	if sid := last(req.Query, "sid"); sid != "" {
		return e.verifySession(x, sid, transport)
	}
	return nil, e.verifyHandshake(x, transport)
}

// verifyHandshake checks a request that opens a session, and sets x.sid.
func (e *Server) verifyHandshake(x *httpExchange, transport string) *refusal {
	req := x.Request()
	if size := handshakeSize(req); size > e.opts.MaxHandshakeBytes {
		return handshakeTooLarge(size, e.opts.MaxHandshakeBytes)
	}
	if dialectOf(req.Query).has(jsonp) {
		if ref := e.checkJSONPOrigin(x); ref != nil {
			return ref
		}
	}
	if req.Method != http.MethodGet {
		return badMethod(req.Method)
	}
	if x.upgrade != (transport == WebSocket) { // EIO-VF-7, EIO-WS-20
		return badRequest("TRANSPORT_HANDSHAKE_ERROR")
	}
	if ref := e.callAllowRequest(x); ref != nil {
		return ref
	}
	if p := protocolOf(req.Query); p != 4 && !e.opts.AllowEIO3 {
		return unsupportedVersion(p)
	}
	return e.assignID(x)
}

// verifySession checks a request that belongs to a session.
func (e *Server) verifySession(x *httpExchange, sid, transport string) (*Session, *refusal) {
	s := e.lookup(sid)
	if s == nil {
		if x.route = e.routeOf(x, sid); x.route != nil {
			return nil, nil
		}
	}
	if s == nil || !s.exists() {
		return nil, unknownSession(sid)
	}
	req := x.Request()
	if x.upgrade && req.Method != http.MethodGet {
		return s, nil // the WebSocket handshake has its own answer: EIO-WS-2
	}
	current := s.Transport()
	if (x.upgrade && transport != WebSocket) || (!x.upgrade && transport != current) {
		return nil, transportMismatch(transport, current)
	}
	if p := protocolOf(req.Query); p != s.Protocol() {
		return nil, badRequest("PROTOCOL_MISMATCH", "protocol", p, "previousProtocol", s.Protocol())
	}
	if s.dialect.has(jsonp) && !x.upgrade {
		return s, e.checkJSONPOrigin(x)
	}
	return s, nil
}

// last returns the last value of a repeated key, as the reference does
// (EIO-RT-6).
func last(q url.Values, key string) string {
	if v := q[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// headerLegal reports whether v has only characters that a header may have
// (EIO-VF-2).
func headerLegal(v string) bool {
	for i := range len(v) {
		if c := v[i]; c != '\t' && (c < 0x20 || c == 0x7F) {
			return false
		}
	}
	return true
}

// runMiddleware calls the functions of Options.UseRequest.
func (e *Server) runMiddleware(x *httpExchange) *refusal {
	for _, f := range e.opts.UseRequest {
		err := rescue.Apart(func() error { return f(x.responseHeader(), x.Request()) })
		if err == nil {
			continue
		}
		e.logRefusal("UseRequest", err)
		h := httpError(err)
		if h == nil {
			return middlewareFailed(err)
		}
		ref := customResponse(h.response(x.upgrade))
		ref.name, ref.err = "MIDDLEWARE", err
		return ref
	}
	return nil
}

// middlewareFailed is EIO-VF-12. The client is not told the error.
func middlewareFailed(err error) *refusal {
	r := badRequest("MIDDLEWARE_FAILURE")
	r.err = err
	return r
}

// response is the error as a middleware's own answer (EIO-MW-2).
func (e *HTTPError) response(upgrade bool) Response {
	h := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	if upgrade {
		h.Set("Connection", "close")
	}
	return Response{Status: cmp.Or(e.Status, http.StatusForbidden), Header: h, Body: []byte(e.text())}
}

// callAllowRequest calls Options.AllowRequest (EIO-VF-8).
func (e *Server) callAllowRequest(x *httpExchange) *refusal {
	if e.opts.AllowRequest == nil {
		return nil
	}
	err := rescue.Apart(func() error { return e.opts.AllowRequest(x.Request()) })
	if err == nil {
		return nil
	}
	e.logRefusal("AllowRequest", err)
	return forbidden(err)
}

// assignID sets x.sid to the id of the new session (EIO-VF-10).
func (e *Server) assignID(x *httpExchange) *refusal {
	name := "GenerateID"
	if e.opts.SessionRouter != nil {
		name = "SessionRouter"
	} else if e.opts.GenerateID == nil {
		x.sid = NewID()
		return nil
	}
	var id string
	err := rescue.Apart(func() (err error) {
		if e.opts.SessionRouter != nil {
			id = e.opts.SessionRouter.NewID()
			return nil
		}
		id, err = e.opts.GenerateID(x.Request())
		return err
	})
	if err == nil {
		err = e.checkID(id)
	}
	if err != nil {
		e.logFailure(name, err)
		return badRequest("ID_GENERATION_ERROR", "error", err)
	}
	x.sid = id
	return nil
}

// checkID returns why a session cannot have this id. The characters are those
// that JSON does not escape.
func (e *Server) checkID(id string) error {
	switch {
	case id == "":
		return errors.New("the session id is empty")
	case !validIDChars(id):
		return errors.New("the session id has characters other than visible ones of ASCII, or a quote or backslash")
	case e.lookup(id) != nil:
		return errors.New("there is a session with this id")
	}
	return nil
}

func validIDChars(id string) bool {
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7F || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
