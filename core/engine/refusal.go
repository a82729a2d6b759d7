package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/sioplug/sioplug/internal/rescue"
)

// A refusal is the answer to a request that is not served: one of the error codes of
// Engine.IO (EIO section 3.1), or an answer of CORS or middleware.
type refusal struct {
	code    int
	message string // of the protocol
	status  int    // of a plain request
	name    string // the kind of error, for code 3, and if there is no code
	details []any  // more about it: keys and values in turn

	clientMessage string // if set, sent instead of message
	upgradeStatus int    // if set, the status of a request for an upgrade, instead of 400

	// custom, if set, is sent as it is: the request was dealt with by CORS or
	// middleware and is no error of the protocol.
	custom *Response

	err error // of the function that refused the request; may be nil
}

// The codes of the protocol.
const (
	codeUnknownTransport = iota
	codeUnknownSession
	codeBadMethod
	codeBadRequest
	codeForbidden
	codeUnsupportedVersion
)

func unknownTransport(transport string) *refusal {
	r := &refusal{code: codeUnknownTransport, message: "Transport unknown", status: http.StatusBadRequest}
	if transport != "" {
		r.details = []any{"transport", transport}
	}
	return r
}

func unknownSession(sid string) *refusal {
	return &refusal{
		code: codeUnknownSession, message: "Session ID unknown", status: http.StatusBadRequest,
		details: []any{"sid", sid},
	}
}

func badMethod(method string) *refusal {
	return &refusal{
		code: codeBadMethod, message: "Bad handshake method", status: http.StatusBadRequest,
		details: []any{"method", method},
	}
}

// badRequest is for errors without a code of their own. name says which error it is, as
// in the reference. details are keys and values in turn.
func badRequest(name string, details ...any) *refusal {
	return &refusal{
		code: codeBadRequest, message: "Bad request", status: http.StatusBadRequest,
		name: name, details: details,
	}
}

// transportMismatch refuses a request by another transport than the session's.
func transportMismatch(transport, current string) *refusal {
	return badRequest("TRANSPORT_MISMATCH", "transport", transport, "previousTransport", current)
}

// forbidden refuses with err, whose message the client sees if it is an
// [HTTPError].
func forbidden(err error) *refusal {
	r := &refusal{code: codeForbidden, message: "Forbidden", status: http.StatusForbidden, err: err}
	r.clientMessage = r.message
	if h := httpError(err); h != nil {
		r.clientMessage = h.text()
		if h.Status != 0 {
			r.status, r.upgradeStatus = h.Status, h.Status
		}
	}
	r.details = []any{"message", r.clientMessage}
	return r
}

// handshakeTooLarge refuses a handshake that is larger than MaxHandshakeBytes.
func handshakeTooLarge(size, limit int) *refusal {
	return &refusal{
		code: codeBadRequest, message: "Bad request", name: "HANDSHAKE_TOO_LARGE", details: []any{"size", size, "limit", limit},
		status: http.StatusRequestHeaderFieldsTooLarge, upgradeStatus: http.StatusRequestHeaderFieldsTooLarge,
		clientMessage: http.StatusText(http.StatusRequestHeaderFieldsTooLarge),
	}
}

// originNotAllowed refuses a page of another origin. The reference leaves it to
// allowRequest to check origins (EIO-CO-4).
func originNotAllowed(origin string) *refusal {
	return &refusal{
		code: codeForbidden, message: "Forbidden", status: http.StatusForbidden, upgradeStatus: http.StatusForbidden,
		name: "ORIGIN_NOT_ALLOWED", details: []any{"origin", origin},
	}
}

func unsupportedVersion(protocol int) *refusal {
	return &refusal{
		code: codeUnsupportedVersion, message: "Unsupported protocol version", status: http.StatusBadRequest,
		details: []any{"protocol", protocol},
	}
}

// customResponse ends a request with an answer that is no error of the protocol.
func customResponse(res Response) *refusal { return &refusal{custom: &res} }

// shuttingDown refuses a handshake when the server drains or shuts down. The client is
// asked to come back by another connection: a load balancer may have another server for
// that. The reference goes on accepting polling sessions (EIO-CL-8).
func shuttingDown() *refusal {
	ref := comeBack()
	ref.name = "SHUTTING_DOWN"
	return ref
}

// comeBack is also the answer to the last poll of a session that was drained, which
// refuses nothing.
func comeBack() *refusal {
	return customResponse(Response{
		Status: http.StatusServiceUnavailable,
		Header: http.Header{"Retry-After": {"1"}, "Cache-Control": {"no-store"}, "Connection": {"close"}},
	})
}

// answerStatus is the status of the answer.
func (r *refusal) answerStatus(upgrade bool) int {
	if upgrade {
		return cmp.Or(r.upgradeStatus, http.StatusBadRequest)
	}
	return r.status
}

// response is the refusal as JSON (EIO-ER-1), or as plain text for a request
// that wanted to be upgraded and whose client looks only at the status
// (EIO-ER-4).
func (r *refusal) response(upgrade bool) Response {
	message := cmp.Or(r.clientMessage, r.message)
	h := http.Header{"X-Content-Type-Options": {"nosniff"}}
	if upgrade {
		h.Set("Connection", "close")
		h.Set("Content-Type", "text/html")
		return Response{Status: r.answerStatus(upgrade), Header: h, Body: []byte(message)}
	}
	h.Set("Content-Type", "application/json")
	body := append([]byte(`{"code":`), strconv.Itoa(r.code)...)
	body = append(body, `,"message":`...)
	text, _ := json.Marshal(message) //nolint:errchkjson // a string always encodes
	body = append(append(body, text...), '}')
	return Response{Status: r.status, Header: h, Body: body}
}

// context is the refusal's in a [ConnectionError].
func (r *refusal) context() map[string]any {
	c := make(map[string]any, 1+len(r.details)/2)
	if r.name != "" {
		c["name"] = r.name
	}
	for i := 0; i+1 < len(r.details); i += 2 {
		if key, ok := r.details[i].(string); ok {
			c[key] = r.details[i+1]
		}
	}
	return c
}

// refuse answers a request that is not served, and reports it.
func (e *Server) refuse(x *httpExchange, ref *refusal) {
	if ref.custom != nil {
		res := *ref.custom
		res.Header = x.mergeHeader(res.Header)
		if ref.name != "" { // otherwise it is the answer to a preflight
			e.observeRefused(x, RequestRefusedInfo{Code: CodeNone, Name: ref.name, Status: res.Status, Err: ref.err})
		}
		_ = x.deliver(res) // not Respond: it is no answer of polling
		return
	}
	e.reportRefusal(x, ref)
	respond(x, ref.response(x.upgrade))
}

func (e *Server) reportRefusal(x *httpExchange, ref *refusal) {
	e.log.Debug("request refused",
		slog.Int("code", ref.code), slog.String("err", ref.message), slog.String("cause", ref.name))
	e.observeRefused(x, RequestRefusedInfo{Code: ref.code, Name: ref.name, Status: ref.answerStatus(x.upgrade), Err: ref.err})
	if e.opts.OnConnectionError == nil {
		return
	}
	e.callHook("OnConnectionError", func() {
		e.opts.OnConnectionError(ConnectionError{x.Request(), ref.code, ref.message, ref.context()})
	})
}

// A ConnectionError tells why a request was refused, as the event
// connection_error of the JavaScript server does.
type ConnectionError struct {
	// Request is the one that was refused; its Body must not be read.
	Request *Request

	// Code and Message are the protocol's: 0 "Transport unknown", 1 "Session
	// ID unknown", 2 "Bad handshake method", 3 "Bad request", 4 "Forbidden"
	// and 5 "Unsupported protocol version". The client may have been sent
	// another message.
	Code    int
	Message string

	// Context has details, under the names of the JavaScript server. For code 3 it has
	// "name", such as "TRANSPORT_MISMATCH". Depending on the error it has "transport",
	// "previousTransport", "sid", "method", "message", "protocol", "previousProtocol",
	// "origin", "size", "limit" or "error".
	Context map[string]any
}

// Error implements error.
func (e ConnectionError) Error() string {
	if name, ok := e.Context["name"]; ok {
		return fmt.Sprintf("engine: %s: %v", e.Message, name)
	}
	return "engine: " + e.Message
}

// An HTTPError is an error whose message is meant for the client, and that may
// choose the status. A function of [Options] that returns one, wrapped or not,
// refuses the request with it; any other error is answered with a text of the
// protocol. Refusals are logged at Debug.
type HTTPError struct {
	Status  int    // 0 means 403
	Message string // sent; empty means the name of the status
	Err     error  // the cause, never sent
}

// Error gives the message and the cause.
func (e *HTTPError) Error() string {
	if e.Err == nil {
		return e.text()
	}
	return e.text() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *HTTPError) Unwrap() error { return e.Err }

func (e *HTTPError) text() string {
	return cmp.Or(e.Message, http.StatusText(cmp.Or(e.Status, http.StatusForbidden)))
}

// httpError returns the [HTTPError] that err is or wraps, nil if there is none.
func httpError(err error) *HTTPError {
	h, is := err.(*HTTPError) //nolint:errorlint // most are, and have no methods of the application's
	if !is {
		h = rescue.As[*HTTPError](err)
	}
	return h
}

// logRefusal logs the error of a function that refused a request. It is logged at Debug,
// because clients can cause refusals at will.
func (e *Server) logRefusal(function string, err error) {
	if rescue.Broken(err) {
		e.logFailure(function, err)
		return
	}
	e.log.Debug("request refused by a function of the options",
		slog.String("function", "Options."+function), slog.Any("err", err))
}

// logFailure logs an error of a function that should not fail. Panics are logged each
// time. Errors are logged once for each function, because clients may be able to cause
// them at will. An [HTTPError] is meant for the client and logged at Debug.
func (e *Server) logFailure(function string, err error) {
	name := slog.String("function", "Options."+function)
	if rescue.Broken(err) {
		e.logError("a function of the options failed", err, name)
		return
	}
	if httpError(err) == nil {
		if _, said := e.failedFunctions.LoadOrStore(function, true); !said {
			e.logError("a function of the options failed (further failures of it are logged at Debug)", err, name)
			return
		}
	}
	e.log.Debug("a function of the options failed (further failures of it are logged at Debug)", name, slog.Any("err", err))
}

// logError logs an error in code of the application, with the stack of a panic.
func (e *Server) logError(msg string, err error, attrs ...any) {
	attrs = append(attrs, slog.Any("err", err))
	if stack := rescue.StackOf(err); stack != nil {
		attrs = append(attrs, slog.String("stack", string(stack)))
	}
	e.log.Error(msg, attrs...) //nolint:sloglint // its callers pass constants
}
