// Package sioechov5 mounts a Socket.IO server into an Echo application, version 5:
//
//	e := echo.New()
//	sioechov5.Mount(e, srv)
//
// Echo's middleware runs for every HTTP request of the mount: for each poll and
// POST of a client that uses polling, once for one that uses WebSocket. What it
// set on the request that opened the connection is there in every handler, by
// [Context] and [ContextGet].
package sioechov5

import (
	"context"
	"net/http"
	"slices"

	"github.com/labstack/echo/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/nethttp"
	"github.com/sioplug/sioplug/integrations/internal/connect"
)

// path is where clients look for a server unless told otherwise.
const path = "/socket.io"

// A Router is an *[echo.Echo] or an *[echo.Group].
type Router interface {
	Any(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) echo.RouteInfo
}

// Mount serves srv at /socket.io on an Echo or a group, whose prefix, parameters
// and middleware apply. For another path, route [Handler] yourself.
func Mount(r Router, srv *sio.Server) {
	h := Handler(srv)
	r.Any(path, h) // for clients with addTrailingSlash: false
	r.Any(path+"/*", h)
}

// Handler returns the handler that [Mount] registers, for all methods. Clients
// ask for the path they were given with a slash behind it, and for the files of
// the JavaScript client below it, if [sio.Options] says that there are any.
func Handler(srv *sio.Server) echo.HandlerFunc {
	checkKeys()
	return func(c *echo.Context) error {
		x := &exchange{nethttp.New(c.Response(), c.Request()), c}
		x.Request().ClientIP = c.RealIP()
		srv.Serve(c.Request().Context(), x)
		return nil
	}
}

// An exchange is one request as Echo sees it.
type exchange struct {
	*nethttp.Exchange

	c *echo.Context
}

type contextKey struct{}

// Values implements [engine.Exchange].
func (x *exchange) Values() context.Context {
	r := connect.Kept(x.c.Request())
	return context.WithValue(r.Context(), contextKey{}, copyOf(x.c, r, nil))
}

// Upgrade implements [engine.Exchange]. Echo then knows what the answer was.
func (x *exchange) Upgrade(header http.Header, open func(engine.Upgraded) func()) error {
	err := x.Exchange.Upgrade(header, open)
	if r, bad := echo.UnwrapResponse(x.c.Response()); err == nil && bad == nil {
		r.Status = http.StatusSwitchingProtocols
		r.Committed = true
	}
	return err
}

// copyOf returns a context like c, which Echo uses again, for another request
// and answer.
func copyOf(c *echo.Context, r *http.Request, w http.ResponseWriter) *echo.Context {
	to := c.Echo().NewContext(r, w)
	to.QueryParams() // parses the query, which must not be left to handlers that run at the same time
	route := c.RouteInfo()
	values := slices.DeleteFunc(slices.Clone(c.PathValues()), func(v echo.PathValue) bool {
		return v.Name == "*" // that is the mount's
	})
	to.InitializeRoute(&route, &values)
	for _, k := range keys(c) {
		to.Set(k, c.Get(k))
	}
	return to
}

// Context returns the Echo context of the request that opened the socket's
// connection: a copy for reading its values, parameters, cookies and headers. It
// has no response. If the socket came by another mount, Context returns nil.
func Context(s *sio.Socket) *echo.Context {
	if c, ok := connectedKey.Get(s); ok {
		return c
	}
	c, _ := s.Handshake().Context.Value(contextKey{}).(*echo.Context)
	return c
}

// ContextGet is Echo's function of that name for a socket: it returns the value
// that Echo's middleware had set when the socket's connection was opened, or that
// [Connect] found later. The error is [echo.ErrNonExistentKey] or
// [echo.ErrInvalidKeyType].
func ContextGet[T any](s *sio.Socket, key string) (T, error) {
	if c := Context(s); c != nil {
		return echo.ContextGet[T](c, key)
	}
	var zero T
	return zero, echo.ErrNonExistentKey
}
