// Package siogin mounts a Socket.IO server into a Gin application:
//
//	r := gin.Default()
//	siogin.Mount(r, srv)
//
// Gin's middleware runs for every HTTP request of the mount: for each poll and POST of a
// client that uses polling, once for a client that uses WebSocket. Handlers read by
// [Context] the keys that it set on the request which opened the connection.
package siogin

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/nethttp"
	"github.com/sioplug/sioplug/integrations/internal/connect"
	"github.com/sioplug/sioplug/integrations/internal/reused"
)

// path is where clients look for a server unless told otherwise.
const path = "/socket.io"

// wildcard is the route parameter behind path. It is hidden from [Context].
const wildcard = "sioplug"

// Mount serves srv at /socket.io on an engine or a group, whose prefix,
// parameters and middleware apply. For another path, route [Handler] yourself.
func Mount(r gin.IRoutes, srv *sio.Server) {
	h := Handler(srv)
	r.Any(path, h) // for clients with addTrailingSlash: false
	r.Any(path+"/*"+wildcard, h)
}

// Handler returns the handler that [Mount] registers. Route it for all methods, at the
// path of the client's option path, with a slash at the end. If [sio.Options].ClientFS is
// set, route it for all paths below, too: clients find the files of the JavaScript client
// there.
func Handler(srv *sio.Server) gin.HandlerFunc {
	var timeout timeoutCheck
	filter := reused.New("siogin", reused.Gin, (*gin.Context)(nil)).Filter(srv.Options().Logger)
	return func(c *gin.Context) {
		if timeout.refuses(c, srv) {
			return
		}
		x := &exchange{nethttp.New(c.Writer, c.Request), c, filter}
		x.Request().ClientIP = c.ClientIP()
		srv.Serve(c.Request.Context(), x)
	}
}

// An exchange is one request as Gin sees it.
type exchange struct {
	*nethttp.Exchange

	c      *gin.Context
	filter reused.Filter
}

// Upgrade implements [engine.Exchange]. Gin then knows what the answer was.
func (x *exchange) Upgrade(header http.Header, open func(engine.Upgraded) func()) error {
	x.c.Status(http.StatusSwitchingProtocols)
	return x.Exchange.Upgrade(header, open)
}

type contextKey struct{}

// Values implements [engine.Exchange].
func (x *exchange) Values() context.Context {
	ctx := x.filter.Context(x.Exchange.Values())
	return context.WithValue(ctx, contextKey{}, saveContext(ctx, x.c, x.filter))
}

// A savedContext has what a socket needs of a context after its request.
type savedContext struct {
	filter  reused.Filter
	base    *gin.Context // without a request
	request connect.SavedRequest
	cached  connect.Shared[gin.Context]
}

// saveContext copies what a socket needs of c and of the context of its request. Gin uses
// c again for other requests, so objects that lead back to c are left out.
func saveContext(ctx context.Context, c *gin.Context, filter reused.Filter) *savedContext {
	base := c.Copy()
	base.Request = nil
	base.Params = withoutWildcard(base.Params)
	for key, value := range base.Keys { // any, before Gin 1.11 string
		if !filter(value, key) {
			delete(base.Keys, key)
		}
	}
	return &savedContext{filter: filter, base: base, request: connect.SaveRequest(ctx, c.Request)}
}

// context returns a context with what was saved.
func (k *savedContext) context(s *sio.Socket) *gin.Context {
	return k.cached.Get(func() *gin.Context {
		c := k.base.Copy()
		c.Request = k.request.Request(s.Handshake())
		c.Query("") // parses the query, which must not be left to handlers that run at the same time
		return c
	})
}

func withoutWildcard(ps gin.Params) gin.Params {
	others := make(gin.Params, 0, len(ps))
	for _, p := range ps {
		if p.Key != wildcard {
			others = append(others, p)
		}
	}
	return others
}

// Context returns a copy of the Gin context of the request that opened the socket's
// connection, with the keys that [Connect] added. Use it to read keys, parameters, query,
// cookies and headers. All sockets of a client share the copy, and it is safe for
// concurrent reading. It has no response writer. To store a value for a socket, use
// [sio.Key]: keys that are set on the copy may be lost.
//
// If the socket came by another mount, Context returns nil. Before Gin 1.10, FullPath is
// empty.
//
// Some keys are left out: keys with values that lead to Gin's own context, because Gin
// uses that again for other requests, and keys with functions, which may have the context
// in them. The server logs each once.
func Context(s *sio.Socket) *gin.Context {
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
