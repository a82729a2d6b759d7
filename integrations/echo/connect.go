package sioecho

import (
	"slices"

	"github.com/labstack/echo/v4"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/integrations/internal/connect"
)

// connectedKey has the context as Connect's middleware has left it.
var connectedKey = sio.NewKey[*savedContext]("echo's context at connect time") //nolint:gochecknoglobals // immutable

// Connect makes middleware for [sio.Namespace.UseConnect] of Echo's. It sees the
// request that opened the connection, its route and its values, once for each
// client of the namespace. What it sets is there in the namespace's handlers, by
// [Context] and [ContextGet].
//
// Middleware that answers instead of calling next, or returns an error, refuses
// the client, which gets the status and the body that Echo's error handler makes
// of it, as the data of its "connect_error": {"status": 401, "body": ...}. An
// answer of 500 or above is an internal error, which is logged.
//
// It is for middleware that looks at requests: authentication, sessions that
// are read, key checks, rate limits. There is no answer whose headers, cookies
// or body it could change, and next returns before the client is connected, so
// CORS, compression, timeouts, logs of what was answered, and sessions that are
// saved have no place here.
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
