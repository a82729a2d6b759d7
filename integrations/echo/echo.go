// Package sioecho mounts a Socket.IO server into an Echo application, version 4:
//
//	e := echo.New()
//	sioecho.Mount(e, srv)
//
// Echo's middleware runs for every HTTP request of the mount: for each poll and POST of a
// client that uses polling, once for a client that uses WebSocket. Handlers read by
// [Context] and [ContextGet] the values that it set on the request which opened the
// connection.
package sioecho

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/nethttp"
	"github.com/sioplug/sioplug/integrations/internal/connect"
	"github.com/sioplug/sioplug/integrations/internal/reused"
)

// path is where clients look for a server unless told otherwise.
const path = "/socket.io"

// A Router is an *[echo.Echo] or an *[echo.Group].
type Router interface {
	Any(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) []*echo.Route
}

// Mount serves srv at /socket.io on an Echo or a group, whose prefix, parameters
// and middleware apply. For another path, route [Handler] yourself.
func Mount(r Router, srv *sio.Server) {
	h := Handler(srv)
	r.Any(path, h) // for clients with addTrailingSlash: false
	r.Any(path+"/", h)
	r.Any(path+"/:"+fileParam, h)
}

// fileParam is the parameter for the files of the JavaScript client. A wildcard would
// make middleware.Static in front of the mount take what it stands for, which is
// nothing, for the path of the file that is asked for: index.html.
const fileParam = "socket.io-file"

// Handler returns the handler that [Mount] registers. Route it for all methods, at the
// path of the client's option path, with a slash at the end. If [sio.Options].ClientFS is
// set, route it for all paths below, too: clients find the files of the JavaScript client
// there.
func Handler(srv *sio.Server) echo.HandlerFunc {
	checkKeys()
	filter := reused.New("sioecho", reused.Echo, echo.New().NewContext(nil, nil)).Filter(srv.Options().Logger)
	return func(c echo.Context) error {
		x := &exchange{nethttp.New(c.Response(), c.Request()), c, filter}
		x.Request().ClientIP = c.RealIP()
		srv.Serve(c.Request().Context(), x)
		return nil
	}
}

// An exchange is one request as Echo sees it.
type exchange struct {
	*nethttp.Exchange

	c      echo.Context
	filter reused.Filter
}

type contextKey struct{}

// Values implements [engine.Exchange].
func (x *exchange) Values() context.Context {
	ctx := x.filter.Context(x.Exchange.Values())
	return context.WithValue(ctx, contextKey{}, saveContext(ctx, x.c, x.filter))
}

// Upgrade implements [engine.Exchange]. Echo then knows what the answer was.
func (x *exchange) Upgrade(header http.Header, open func(engine.Upgraded) func()) error {
	err := x.Exchange.Upgrade(header, open)
	if err == nil {
		x.c.Response().Status = http.StatusSwitchingProtocols
		x.c.Response().Committed = true
	}
	return err
}

// A savedContext has what a socket needs of a context after its request.
type savedContext struct {
	filter        reused.Filter
	echo          *echo.Echo
	path          string
	names, params []string
	values        map[string]any
	request       connect.SavedRequest
	cached        connect.Shared[shared]
}

// shared is a context of a type that has a name, for [connect.Shared].
type shared struct{ echo.Context }

// saveContext copies what a socket needs of c and of the context of its request. Echo uses
// c again for other requests, so objects that lead back to c are left out.
func saveContext(ctx context.Context, c echo.Context, filter reused.Filter) *savedContext {
	k := &savedContext{filter: filter, echo: c.Echo(), path: c.Path(), request: connect.SaveRequest(ctx, c.Request())}
	for _, name := range c.ParamNames() {
		if name != "*" && name != fileParam { // those are the mount's
			k.names = append(k.names, name)
			k.params = append(k.params, c.Param(name))
		}
	}
	for _, key := range keys(c) {
		if k.values == nil {
			k.values = make(map[string]any)
		}
		if v := c.Get(key); filter(v, key) {
			k.values[key] = v
		}
	}
	return k
}

// context returns a context with what was saved.
func (k *savedContext) context(s *sio.Socket) echo.Context {
	return k.cached.Get(func() *shared { return &shared{k.make(k.request.Request(s.Handshake()), nil)} })
}

// make returns a context like the one that was saved, for another request and
// response.
func (k *savedContext) make(r *http.Request, w http.ResponseWriter) echo.Context {
	c := k.echo.NewContext(r, w)
	c.QueryParams() // parses the query, which must not be left to handlers that run at the same time
	c.SetPath(k.path)
	c.SetParamNames(k.names...)
	c.SetParamValues(k.params...)
	for key, v := range k.values {
		c.Set(key, v)
	}
	return c
}

// Context returns a copy of the Echo context of the request that opened the socket's
// connection, with the values that [Connect] added. Use it to read values, parameters,
// query, cookies and headers. All sockets of a client share the copy. It has no response.
// To store a value for a socket, use [sio.Key]: values that are set on the copy may be
// lost. If the socket came by another mount, Context returns nil.
//
// The copy is of Echo's own type. Of an application's type that embeds [echo.Context], it
// has the values that its Get returns.
//
// Some values are left out: those that lead to Echo's own context, because Echo uses that
// again for other requests, and functions, which may have the context in them. The server
// logs each once.
func Context(s *sio.Socket) echo.Context {
	if k := savedContextOf(s); k != nil {
		return k.context(s)
	}
	return nil
}

// savedContextOf returns the context of a socket, nil if it came by another mount.
func savedContextOf(s *sio.Socket) *savedContext {
	if k, ok := connectedKey.Get(s); ok {
		return k
	}
	k, _ := s.Handshake().Context.Value(contextKey{}).(*savedContext)
	return k
}

// ContextGet is echo.ContextGet for a socket. It returns a value that Echo's middleware
// set on the request which opened the socket's connection, or that [Connect] added. The
// error is [ErrNonExistentKey] or [ErrInvalidKeyType].
func ContextGet[T any](s *sio.Socket, key string) (v T, err error) {
	c := Context(s)
	if c == nil || c.Get(key) == nil {
		return v, ErrNonExistentKey
	}
	v, ok := c.Get(key).(T)
	if !ok {
		return v, ErrInvalidKeyType
	}
	return v, nil
}

// Errors of [ContextGet], named as those of Echo, which has them since 4.15.
var (
	ErrNonExistentKey = errors.New("sioecho: non existent key")
	ErrInvalidKeyType = errors.New("sioecho: invalid key type")
)
