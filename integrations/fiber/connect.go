package siofiber

import (
	"slices"
	"sync"

	"github.com/gofiber/fiber/v2"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/integrations/internal/connect"
	"github.com/sioplug/sioplug/integrations/internal/fasthttpx"
	"github.com/sioplug/sioplug/integrations/internal/reused"
)

// connectedKey has the request as Connect's middleware has left it.
var connectedKey = sio.NewKey[*fasthttpx.SavedRequest]("fiber's locals at connect time") //nolint:gochecknoglobals // immutable

// Connect makes middleware for [sio.Namespace.UseConnect] of Fiber's handlers that check
// something and call Next. They run once for each client that connects to the namespace.
// They see the request that opened the connection, with its route and Locals. Handlers of
// the namespace read by [Locals] the values that they store in Locals.
//
// If a handler answers instead of calling Next, or returns an error, the client is
// refused. The data of its "connect_error" has the status and the body: {"status": 401,
// "body": ...}. An answer with status 500 or above is an internal error of the server:
// the client gets "internal error", and the server logs it.
//
// Use it for middleware that looks at requests: authentication, sessions that are only
// read, key checks, rate limits. Middleware that changes answers has no effect here, such
// as CORS, compression and sessions that are saved: there is no answer. Middleware that
// waits for the end of a request, such as timeouts and access logs, sees the end before
// the client is connected.
func Connect(handlers ...fiber.Handler) sio.Middleware {
	a := &apps{handlers: append(slices.Clone(handlers), pass), made: make(map[place]*fiber.App)}
	return sio.Guard(func(c *sio.Ctx) error {
		h, ok := handshakeOf(c.Socket)
		if !ok {
			return connect.OtherMountError("siofiber")
		}
		ctx := savedRequest(c.Socket).NewRequestCtx(c.Handshake())
		ctx.SetUserValue(filterKey{}, h.filter)
		a.at(place{h.app, h.Route}).Handler()(ctx)
		passed, ok := ctx.UserValue(passedKey{}).(*fasthttpx.SavedRequest)
		if !ok {
			res := &ctx.Response
			return connect.Refuse(res.StatusCode(), string(res.Header.ContentType()), res.Body(), nil)
		}
		connectedKey.Set(c.Socket, passed)
		return nil
	})
}

type (
	filterKey struct{}
	passedKey struct{}
)

// pass is the handler behind the others: it notes what they have left.
func pass(c *fiber.Ctx) error {
	ctx := c.Context()
	filter, _ := ctx.UserValue(filterKey{}).(reused.Filter)
	ctx.RemoveUserValue(filterKey{})
	ctx.SetUserValue(passedKey{}, saveRequest(c, filter))
	return nil
}

// A place is where an application has mounted the server.
type place struct {
	app   *fiber.App
	route string
}

// apps runs handlers as Fiber runs them: in an application that is set up like
// the one they come from, and has nothing but them at the same route.
type apps struct {
	handlers []fiber.Handler

	mu   sync.Mutex
	made map[place]*fiber.App // one for each mount, so there are few
}

func (a *apps) at(p place) *fiber.App {
	a.mu.Lock()
	defer a.mu.Unlock()
	app, ok := a.made[p]
	if !ok {
		app = fiber.New(p.app.Config())
		app.All(p.route, a.handlers...)
		a.made[p] = app
	}
	return app
}
