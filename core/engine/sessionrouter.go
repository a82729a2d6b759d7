package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/websocket"
)

// A SessionRouter knows which server of a cluster has a session. With one, every server
// answers every request, and a load balancer needs no sticky sessions. Each server needs a
// SessionRouter of its own. It is safe for concurrent use.
type SessionRouter interface {
	// Start is called once, before the other methods, when the server is made. From then
	// on, the router passes the requests to serve that other servers forward to this one:
	// it is [Server.ServeForwarded]. opts are the server's, defaults included.
	Start(opts Options, serve func(ctx context.Context, x Exchange))

	// NewID returns the id of a new session. It names this server, has the form that
	// Options.GenerateID asks for, and is as hard to guess as that of [NewID].
	NewID() string

	// Route returns how to reach the server that has the session, nil if there is none.
	// It is not asked for sessions of this server. It does not wait for the network.
	Route(sid string) Route

	// Close ends what the router forwards, and waits for the requests of other servers
	// that are being served. When ctx ends, it returns without them. It may be called more
	// than once.
	Close(ctx context.Context) error
}

// A Route leads to the server that has a session.
type Route interface {
	// Forward has the other server answer the request of x, and answers x with that.
	// upgrade says that the client asks for a WebSocket. x is also an [Aborter] and a
	// [Parker]. If Forward returns an error, it has not answered. [ErrNoSession] means
	// that the server does not have the session, or is gone. An [HTTPError] has the
	// status for the client, which is 502 for other errors. Forward returns soon after
	// ctx has ended.
	Forward(ctx context.Context, x Exchange, upgrade bool) error
}

// ErrNoSession is the error of [Route].Forward for a session that cannot be reached. The
// client is told that the session is unknown, and connects again.
var ErrNoSession = errors.New("engine: no server has the session")

// ServeForwarded is [Server.Serve] for a request that another server has forwarded. It was
// let in there: CORS, UseRequest and the check of the origin are not repeated. It is not
// forwarded again, and opens no session.
func (e *Server) ServeForwarded(ctx context.Context, x Exchange) {
	e.serveExchange(ctx, &httpExchange{Exchange: x, server: e, forwarded: true})
}

// verifyForwarded checks a request that another server has forwarded.
func (e *Server) verifyForwarded(x *httpExchange) (*Session, *refusal) {
	query := x.Request().Query
	return e.verifySession(x, last(query, "sid"), last(query, "transport"))
}

// routeOf returns the way to the server that has a session, nil if it is unknown.
func (e *Server) routeOf(x *httpExchange, sid string) (route Route) {
	if e.opts.SessionRouter == nil || x.forwarded {
		return nil
	}
	err := rescue.Call(func() error {
		route = e.opts.SessionRouter.Route(sid)
		return nil
	})
	if err != nil {
		e.logFailure("SessionRouter", err)
		return nil
	}
	return route
}

// forward has another server answer a request.
func (e *Server) forward(ctx context.Context, x *httpExchange) {
	req := x.Request()
	if x.upgrade {
		if _, bad := websocket.Check(req.Method, req.Header); bad != nil {
			e.serveUpgrade(x, nil) // which refuses it
			return
		}
	} else if req.Method != http.MethodGet && req.Method != http.MethodPost {
		e.refuseMethod(x)
		return
	}
	r := &relayed{x: x}
	err := x.route.Forward(ctx, r, x.upgrade)
	switch {
	case err == nil:
	case r.upgradeFailed != nil:
		e.refuseUpgrade(x, r.upgradeFailed)
	case errors.Is(err, ErrNoSession):
		e.refuse(x, unknownSession(last(req.Query, "sid")))
	case ctx.Err() != nil:
		respond(x, Response{Status: statusClientClosedRequest})
	default: // the client connects again
		e.log.DebugContext(ctx, "a request could not be forwarded", slog.Any("err", err))
		status := http.StatusBadGateway
		if h := httpError(err); h != nil {
			status = cmp.Or(h.Status, status)
		}
		e.observeRefused(x, RequestRefusedInfo{Code: CodeNone, Name: "NOT_FORWARDED", Status: status, Err: err})
		respond(x, Response{Status: status})
	}
}

// relayed is a request that another server answers. The hooks and the compression of that
// server have been applied to the answer.
type relayed struct {
	x             *httpExchange
	upgradeFailed error
}

// Request implements [Exchange].
func (r *relayed) Request() *Request { return r.x.Request() }

// Values implements [Exchange].
func (r *relayed) Values() context.Context { return r.x.Values() }

// Respond implements [Exchange].
func (r *relayed) Respond(res Response) error {
	res.Header = r.x.mergeHeader(res.Header)
	return r.x.deliver(res)
}

// Upgrade implements [Exchange].
func (r *relayed) Upgrade(header http.Header, open func(Upgraded) (run func())) error {
	r.upgradeFailed = r.x.Exchange.Upgrade(r.x.mergeHeader(header), open)
	return r.upgradeFailed
}

// CancelRead implements [Aborter].
func (r *relayed) CancelRead() { r.x.cancelRead() }

// HangUp implements [Aborter].
func (r *relayed) HangUp() { r.x.hangUp() }

// Park implements [Parker]. A failure is logged.
func (r *relayed) Park() error {
	r.x.park()
	return nil
}

// closeRouter closes the SessionRouter of the options. Then it closes the channel.
func (e *Server) closeRouter(ctx context.Context) <-chan struct{} {
	closed := make(chan struct{})
	router := e.opts.SessionRouter
	if router == nil {
		close(closed)
		return closed
	}
	go func() { // ends soon after ctx, unless the router hangs
		defer close(closed)
		err := rescue.Apart(func() error { return router.Close(ctx) })
		if err != nil && ctx.Err() == nil {
			e.logError("closing the SessionRouter failed", err)
		}
	}()
	return closed
}
