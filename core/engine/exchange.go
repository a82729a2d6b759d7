// Package engine implements Engine.IO, the transport layer below Socket.IO:
// sessions over HTTP long-polling and WebSocket, the upgrade between the two,
// heartbeat and close.
//
// You need this package only to connect another HTTP server to sioplug: implement
// [Exchange]. Otherwise use package sio and an integration.
package engine

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A Request is one HTTP request, copied from the server that received it. Functions of
// the application get it and may keep it, but not its Body. So apart from Body, it must
// not refer to memory that the server uses again. The engine itself keeps a copy of the
// request that opens a session.
type Request struct {
	Method   string
	Path     string // path of the URL, decoded
	URI      string // path and query as the client sent them
	Host     string
	ClientIP string // by the framework's own rules for trusted proxies
	TLS      bool
	Query    url.Values // query of URI, see ParseQuery
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

// Upgraded is a connection that its HTTP server does not use any more.
type Upgraded struct {
	Conn  net.Conn
	Ahead []byte // bytes that the client has sent behind its request
	Head  []byte // bytes to send first: the 101 answer, if it has not been sent yet
	Done  func() // if not nil, is called when the engine has closed Conn and does not use it any more
}

// An Exchange is one HTTP request that waits for its answer. The engine calls exactly
// one of Respond and Upgrade, once, also if the client has gone. [Aborter], [Parker] and
// [Sender] are optional methods.
type Exchange interface {
	Request() *Request

	// Values returns a context. The session that this request opens keeps the
	// context's values; its cancellation and deadline do not matter. The engine
	// calls Values only when a session opens, so this is the place to copy objects
	// that a framework recycles.
	Values() context.Context

	// Respond sends res.
	Respond(res Response) error

	// Upgrade takes the connection out of its server and answers with 101 and the
	// given headers, which complete the WebSocket handshake. It calls open, and
	// then runs the function that open returned, on a goroutine of its own. When
	// that function returns, the connection may still be in use by another
	// goroutine: see [Upgraded].Done.
	//
	// Some servers hand over a connection only when their handler has returned.
	// They call open then, or never if the connection breaks before. Until open is
	// called, the engine keeps nothing for the connection. If the connection cannot
	// be taken, Upgrade returns an error, does not answer, and does not call open.
	Upgrade(header http.Header, open func(Upgraded) (run func())) error
}

// An Aborter is an [Exchange] that can be canceled. Without it, a request whose body
// does not come stays open until its server gives up.
type Aborter interface {
	// CancelRead makes reads of the request's body fail at once, also one that is
	// under way. The engine calls it on another goroutine than the one that reads.
	// It must not block.
	CancelRead()

	// HangUp is called instead of Respond. It closes the connection, or the HTTP/2
	// stream, without an answer.
	HangUp()
}

// A Parker is an [Exchange] whose server limits how long a request may take.
type Parker interface {
	// Park is called before a poll waits for a packet. It lifts the limit until the
	// answer is sent. An error says why that is not possible.
	Park() error
}

// A Sender is an [Exchange] that can limit the time for sending an answer, and knows
// when the answer has left. Without it, an answer counts as sent when Respond returns,
// and only the server limits how long the client may take to read it.
type Sender interface {
	// SendWithin closes the connection if the answer has not left after d. Of
	// several calls and the server's own limit, the earliest time counts. It is
	// called before Respond. Until the function given to OnSent has returned, it may
	// also be called from other goroutines. It must not block.
	SendWithin(d time.Duration)

	// OnSent is called before Respond, for every answer. The Sender calls f once: with nil
	// when the answer has been handed to the network, with an error when it will never
	// be.
	OnSent(f func(err error))
}
