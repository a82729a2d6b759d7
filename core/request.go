package sio

import (
	"errors"

	"github.com/sioplug/sioplug/core/engine"
)

// What [Options] needs of the engine, so that nobody else has to know it.
type (
	// A Request is an HTTP request, as the functions of [Options] see it. It
	// must not be changed, nor its body read.
	Request = engine.Request

	// CORS says which web pages of other origins may use the server. The zero
	// CORS lets none in.
	CORS = engine.CORS

	// A Cookie is the form of the cookie of polling clients. The zero Cookie is
	//
	//	io=<id>; Path=/; HttpOnly; SameSite=Lax
	Cookie = engine.Cookie

	// An HTTPError refuses an HTTP request with a status and a message.
	HTTPError = engine.HTTPError

	// A ConnectionError tells why a request was refused.
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
