package sio

import (
	"errors"

	"github.com/sioplug/sioplug/core/engine"
)

// Types of the engine that [Options] needs.
type (
	// A Request is an HTTP request, as the functions of [Options] see it. It
	// must not be changed, nor its body read. Its fields:
	//
	//	Method        string
	//	Path          string      // of the URL, decoded
	//	URI           string      // path and query as the client sent them
	//	Host          string
	//	ClientIP      string      // by the framework's trusted-proxy rules
	//	TLS           bool
	//	Query         url.Values
	//	Header        http.Header
	//	Body          io.Reader   // not for applications
	//	ContentLength int64       // -1 if unknown
	Request = engine.Request

	// CORS says which web pages of other origins may use the server, by polling and
	// by WebSocket. The zero CORS lets none in. Its fields; see [engine.CORS] for more:
	//
	//	Origins                 []string         // such as "https://app.example.com"
	//	OriginPatterns          []*regexp.Regexp // or what matches one of these
	//	AllowOrigin             func(r *Request, origin string) (bool, error) // asked about all others
	//	InsecureAllowAllOrigins bool             // lets every page in
	//	Credentials             bool             // lets polling have cookies
	//	Methods                 []string         // default: GET, HEAD, PUT, PATCH, POST, DELETE
	//	AllowedHeaders          []string         // default: all that browsers ask for
	//	ExposedHeaders          []string         // default: none
	//	MaxAge                  time.Duration    // of a preflight's answer; default: up to the browser
	//	OptionsSuccessStatus    int              // of that answer; default: 204
	//	PreflightContinue       bool             // preflights get the headers, and status 400
	CORS = engine.CORS

	// A Cookie is the form of the cookie of polling clients. The zero Cookie is
	//
	//	io=<id>; Path=/; HttpOnly; SameSite=Lax
	//
	// Its fields:
	//
	//	Name        string        // default: "io"
	//	Path        string        // default: "/"
	//	NoPath      bool          // leaves Path out
	//	Domain      string
	//	Expires     time.Time
	//	MaxAge      time.Duration // in whole seconds; negative: at once
	//	Scriptable  bool          // leaves HttpOnly out
	//	Secure      bool
	//	Partitioned bool
	//	Priority    string        // "Low", "Medium" or "High"
	//	SameSite    http.SameSite // default: http.SameSiteLaxMode
	//	Encode      func(id string) string // default: percent-encoding
	Cookie = engine.Cookie

	// An HTTPError refuses an HTTP request with a status and a message. Its fields:
	//
	//	Status  int    // default: 403
	//	Message string // sent; default: the name of the status
	//	Err     error  // the cause, never sent
	HTTPError = engine.HTTPError

	// A ConnectionError tells why a request was refused. Its fields:
	//
	//	Request *Request       // the one that was refused
	//	Code    int            // 0 to 5: see engine.ConnectionError
	//	Message string         // that of the protocol
	//	Context map[string]any // details, such as "name": "TRANSPORT_MISMATCH"
	ConnectionError = engine.ConnectionError
)

// allowRequest returns AllowRequest with errors that the engine knows.
func (o *Options) allowRequest() func(*Request) error {
	allow := o.AllowRequest
	if allow == nil {
		return nil
	}
	return func(r *Request) error {
		err := allow(r)
		if e, ok := errors.AsType[*Error](err); ok {
			return &HTTPError{Message: e.Message, Err: err}
		}
		return err
	}
}
