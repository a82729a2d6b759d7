// Package engine implements Engine.IO, the transport layer below Socket.IO:
// sessions over HTTP long-polling and WebSocket, the upgrade between the two,
// heartbeat and close.
//
// Only those who connect another HTTP server to sioplug need this package: they
// implement [Exchange]. Everybody else uses package sio and an integration.
package engine

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A Request is one HTTP request, copied out of whatever server received it.
// Functions of the application are told of it and may keep it, though not its
// Body; so nothing else in it may be memory that the server uses again. The
// engine itself keeps a copy of the request that opens a session.
type Request struct {
	Method   string
	Path     string // of the URL, decoded
	URI      string // path and query as the client sent them
	Host     string
	ClientIP string // as the framework's own trusted-proxy rules see it
	TLS      bool
	Query    url.Values // that of URI, see ParseQuery
	Header   http.Header

	Body          io.Reader // not used after Serve returned
	ContentLength int64     // -1 if unknown
}

// A Response is a complete HTTP response.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Upgraded is a connection that its HTTP server has let go.
type Upgraded struct {
	Conn  net.Conn
	Ahead []byte // what the client already sent behind its request
	Head  []byte // what has to be sent before anything else: the 101 answer, if it was not sent yet
	Done  func() // if not nil, is called once the engine has closed Conn and does not use it any more
}

// An Exchange is one HTTP request waiting for its answer. The engine calls
// exactly one of Respond and Upgrade, once, also if the client has gone. See
// [Aborter] for what it may be able to do beyond that.
type Exchange interface {
	Request() *Request

	// Values returns the context whose values the session keeps that this
	// request opens; its cancellation and deadline do not matter. The engine
	// calls it only when a session opens, so this is the place to copy what
	// a framework recycles.
	Values() context.Context

	// Respond sends res.
	Respond(res Response) error

	// Upgrade answers with 101 and the given headers, which complete the
	// WebSocket handshake, and takes the connection out of its server. It
	// calls open, and then arranges for the function that open returned to
	// run: on a goroutine of its own, or on whatever the server provides for
	// it. That it returns does not mean that the connection has ended, since
	// another goroutine may have taken over: see [Upgraded].Done. Servers that
	// hand over a connection only when their handler has returned call open
	// then, or never if it breaks before: until then the engine holds nothing
	// for it. If the connection cannot be taken, Upgrade returns an error and
	// has neither answered nor called open.
	Upgrade(header http.Header, open func(Upgraded) (run func())) error
}

// An Aborter is an [Exchange] that can be broken off. Without it, a request
// whose body does not come holds on until its server gives up.
type Aborter interface {
	// CancelRead has reads of the request's body fail at once, also one that is
	// under way. The engine calls it while it reads, on another goroutine; it
	// must not block.
	CancelRead()

	// HangUp takes the place of Respond: it closes the connection, or the
	// stream that takes its place, without an answer.
	HangUp()
}

// A Parker is an [Exchange] whose server limits how long a request may take.
type Parker interface {
	// Park is called before a poll waits until there is something to tell the
	// client: it lifts the limit, which holds again for the answer. The error
	// says why that could not be done.
	Park() error
}

// A Sender is an [Exchange] that can give up an answer which its client does not
// read, and knows when one has left. Without it, an answer counts as sent when
// Respond returns, and its client may take whatever time the server gives it.
type Sender interface {
	// SendWithin has the answer given up, and the connection with it, unless it has
	// left within d from now; of several calls and the server's own limit the
	// earliest time counts. It is called before Respond, and may be called until
	// the function has returned that OnSent was given, on other goroutines. It
	// must not block.
	SendWithin(d time.Duration)

	// OnSent, if it is called, comes before Respond. f is to be called once: when
	// the answer has been handed to the network, or will not be.
	OnSent(f func())
}
