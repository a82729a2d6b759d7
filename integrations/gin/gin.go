// Package siogin mounts a Socket.IO server into a Gin application:
//
//	r := gin.Default()
//	siogin.Mount(r, srv)
//
// Gin's middleware runs for every HTTP request of the mount: for each poll and
// POST of a client that uses polling, once for one that uses WebSocket. What it
// set on the request that opened the connection is there in every handler, by
// [Context].
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

// Handler returns the handler that [Mount] registers, for all methods. Clients
// ask for the path they were given with a slash behind it, and for the files of
// the JavaScript client below it, if [sio.Options] says that there are any.
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

// Context returns the Gin context of the request that opened the socket's
// connection, with what [Connect] found later: a copy for reading its keys,
// parameters, query, cookies and headers, which all sockets of the client share.
// It has no response writer, and what is set there may be gone the next time:
// for that there is [sio.Key]. If the socket came by another mount, Context
// returns nil. Before Gin 1.10, FullPath is empty.
//
// Keys whose values lead to Gin's own context are left out, since Gin uses that again
// for other requests; so are functions, which may do so. The log says so once for each.
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
