package sioecho

import (
	"slices"

	"github.com/labstack/echo/v4"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/integrations/internal/connect"
)

// connectedKey has the context as Connect's middleware has left it.
var connectedKey = sio.NewKey[*savedContext]("echo's context at connect time") //nolint:gochecknoglobals // immutable

// Connect makes middleware for [sio.Namespace.UseConnect] of Echo's middleware. It runs
// once for each client that connects to the namespace. It sees the request that opened
// the connection, with its route and values. Handlers of the namespace read by [Context]
// and [ContextGet] the values that it sets.
//
// If the middleware answers instead of calling next, or returns an error, the client is
// refused. The data of its "connect_error" has the status and the body, as Echo's error
// handler makes them of an error: {"status": 401, "body": ...}. An answer with status 500
// or above is an internal error of the server: the client gets "internal error", and the
// server logs it.
//
// Use it for middleware that looks at requests: authentication, sessions that are only
// read, key checks, rate limits. Middleware that changes answers has no effect here, such
// as CORS, compression and sessions that are saved: there is no answer. Middleware that
// waits for the end of a request, such as timeouts and access logs, sees the end before
// the client is connected.
func Connect(mw ...echo.MiddlewareFunc) sio.Middleware {
	return sio.Guard(func(s *sio.Ctx) error {
		from := savedContextOf(s.Socket)
		if from == nil {
			return connect.OtherMountError("sioecho")
		}
		rec := new(connect.Recorder)
		c := from.make(connect.CloneRequest(from.request.Request(s.Handshake()), s.Socket), rec)
		var passed *savedContext
		h := func(c echo.Context) error { //nolint:unparam // as Echo wants it
			passed = saveContext(from.filter.Context(c.Request().Context()), c, from.filter)
			return nil
		}
		for _, m := range slices.Backward(mw) {
			h = m(h)
		}
		err := h(c)
		if err != nil && !c.Response().Committed {
			c.Echo().HTTPErrorHandler(err, c)
		}
		if err != nil || passed == nil {
			return rec.Refusal(err)
		}
		connectedKey.Set(s.Socket, passed)
		return nil
	})
}
