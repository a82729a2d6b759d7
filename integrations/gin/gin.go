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
	"github.com/sioplug/sioplug/core/nethttp"
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
	return func(c *gin.Context) {
		x := &exchange{nethttp.New(c.Writer, c.Request), c}
		x.Request().ClientIP = c.ClientIP()
		srv.Serve(c.Request.Context(), x)
	}
}

// An exchange is one request as Gin sees it.
type exchange struct {
	*nethttp.Exchange

	c *gin.Context
}

type contextKey struct{}

// Values implements [engine.Exchange]. Gin uses its contexts again, so the
// session gets a copy, with a request that holds on to nothing of the
// connection.
func (x *exchange) Values() context.Context {
	c := x.c.Copy()
	c.Request = x.c.Request.WithContext(context.WithoutCancel(x.c.Request.Context()))
	c.Request.Body = http.NoBody
	c.Params = withoutWildcard(c.Params)
	return context.WithValue(x.Exchange.Values(), contextKey{}, c)
}

func withoutWildcard(ps gin.Params) gin.Params {
	kept := make(gin.Params, 0, len(ps))
	for _, p := range ps {
		if p.Key != wildcard {
			kept = append(kept, p)
		}
	}
	return kept
}

// Context returns the Gin context of the request that opened the socket's
// connection: a copy for reading its keys, parameters, cookies and headers. It
// has no response writer. If the socket came by another mount, Context returns
// nil.
func Context(s *sio.Socket) *gin.Context {
	c, _ := s.Handshake().Context.Value(contextKey{}).(*gin.Context)
	return c
}
