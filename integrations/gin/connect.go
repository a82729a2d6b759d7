package siogin

import (
	"context"
	"net"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/integrations/internal/connect"
	"github.com/sioplug/sioplug/integrations/internal/reused"
)

// connectedKey has the context as Connect's middleware has left it.
var connectedKey = sio.NewKey[*savedContext]("gin's context at connect time") //nolint:gochecknoglobals // immutable

// Connect makes middleware for [sio.Namespace.UseConnect] of Gin's middleware. It runs
// once for each client that connects to the namespace. It sees the request that opened
// the connection, with its parameters and keys. FullPath is empty. Handlers of the
// namespace read by [Context] the keys that it sets.
//
// If the middleware aborts, the client is refused. The data of its "connect_error" has
// the status and the body: {"status": 401, "body": ...}. An answer with status 500 or
// above is an internal error of the server: the client gets "internal error", and the
// server logs it.
//
// Use it for middleware that looks at requests: authentication, sessions that are only
// read, key checks, rate limits. Middleware that changes answers has no effect here, such
// as CORS, compression and sessions that are saved: there is no answer. Middleware that
// waits for the end of a request, such as timeouts and access logs, sees the end before
// the client is connected.
func Connect(mw ...gin.HandlerFunc) sio.Middleware {
	e := gin.New()
	_ = e.SetTrustedProxies(nil) // the client's address is known; nil is always accepted
	e.NoRoute(append(append([]gin.HandlerFunc{begin}, mw...), pass)...)
	return sio.Guard(func(c *sio.Ctx) error {
		from := Context(c.Socket)
		if from == nil {
			return connect.OtherMountError("siogin")
		}
		v := &connectRun{from: from, filter: savedContextOf(c.Socket).filter}
		r := connect.CloneRequest(from.Request, c.Socket)
		r.RemoteAddr = net.JoinHostPort(c.Handshake().Address, "0")
		rec := new(connect.Recorder)
		e.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), connectRunKey{}, v)))
		if v.passed == nil {
			return rec.Refusal(v.reason())
		}
		connectedKey.Set(c.Socket, v.passed)
		return nil
	})
}

// A connectRun is one run of Connect's middleware.
type connectRun struct {
	from   *gin.Context
	filter reused.Filter
	passed *savedContext
	errs   *gin.Error
}

type connectRunKey struct{}

func connectRunOf(c *gin.Context) *connectRun {
	v, _ := c.Request.Context().Value(connectRunKey{}).(*connectRun)
	return v // it is there: a request's context is replaced by its children only
}

// reason returns why Gin's middleware has aborted, as far as it said so.
func (v *connectRun) reason() error {
	if v.errs == nil {
		return nil
	}
	return v.errs
}

// begin is the handler before the others: it makes the context like the one
// that was there when the connection was opened.
func begin(c *gin.Context) {
	v := connectRunOf(c)
	for key, value := range v.from.Keys {
		c.Set(key, value)
	}
	c.Params = v.from.Params
	c.Status(200) // until somebody says otherwise
	c.Next()
	v.errs = c.Errors.Last()
}

// pass is the handler behind the others: it notes what they have left.
func pass(c *gin.Context) {
	if c.IsAborted() {
		return
	}
	v := connectRunOf(c)
	v.from = nil // what is kept must not hold on to it
	v.passed = saveContext(v.filter.Context(c.Request.Context()), c, v.filter)
}
