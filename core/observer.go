package sio

import (
	"context"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// An Observer has functions that are called at certain moments, for metrics and traces: see
// [Options.Observers]. Functions that are nil are not called, and then cost nothing.
//
// They are called on different goroutines, concurrently, and may overlap. Each one keeps a
// client, a request or the next event waiting, so they must not block. They may call methods
// of what they are given. A panic is logged, and changes nothing else. Functions
// of EventHandled, EmissionStarted and GuardRefused must not call [runtime.Goexit]: it would end the handler.
//
// For numbers that change with each packet see [Server.Stats].
type Observer struct {
	// ServerStarted is called by [New], before it returns. srv is what New returns.
	ServerStarted func(srv *Server)

	// ShutdownStarted is called once, when [Server.Shutdown] begins. Shutdown waits for it.
	// It is for goroutines that an observer has started.
	ShutdownStarted func(srv *Server)

	// SessionOpened is called for each new connection, before the client gets the
	// handshake. SessionClosed is called once for each of them, after it has ended.
	SessionOpened func(SessionInfo)
	SessionClosed func(SessionClosedInfo)

	// SessionUpgraded is called when a connection has moved from polling to WebSocket.
	// UpgradeFailed is called when a WebSocket did not take over. The client goes on
	// polling then, or has gone.
	SessionUpgraded func(SessionInfo)
	UpgradeFailed   func(UpgradeFailedInfo)

	// RequestRefused is called for each request that is refused: those of
	// [Options.OnConnectionError], and those that UseRequest refuses, that are no
	// WebSocket handshake, that have another method than GET and POST, or that come
	// during [Server.Shutdown].
	RequestRefused func(RequestRefusedInfo)

	// SlowClient is called before SessionClosed if a client was disconnected because it
	// reads more slowly than it is sent to: see [Options.MaxSendBuffer].
	SlowClient func(SlowClientInfo)

	// SocketConnected is called when a client was accepted in a namespace, before the
	// handlers of OnConnect. SocketDisconnected is called once for each of these, before
	// the functions of OnDisconnect. SocketRefused is called when a client was not
	// accepted.
	SocketConnected    func(SocketConnectedInfo)
	SocketDisconnected func(SocketDisconnectedInfo)
	SocketRefused      func(SocketRefusedInfo)

	// SocketDataSet is called when a value of a data key was set on a socket: see
	// [NewDataKey]. [Key.Set] waits for it. The socket may not be connected yet.
	SocketDataSet func(SocketDataSetInfo)

	// EventHandled is called for each event of a client, when its middleware and its
	// handler have returned.
	EventHandled func(EventHandledInfo)

	// EmissionStarted is called before a broadcast, and before a wait for
	// acknowledgements. The function that it returns, if any, is called at the end: with
	// the error of the call, or with the first error of an [Ack]. Both run in the call
	// that emits, so they must not emit. ctx is that of the call, or of
	// [Broadcast.WithContext].
	EmissionStarted func(ctx context.Context, e EmissionInfo) (end func(err error))

	// AckDone is called once for each client and event that the client is to
	// acknowledge: when it has, or when nobody waits for it any longer.
	AckDone func(AckDoneInfo)

	// RecoveryDone is called when a client has continued its session, or could not. See
	// [Options.ConnectionStateRecovery].
	RecoveryDone func(RecoveryDoneInfo)

	// GuardRefused is called when a guard has refused something. The guards of packages
	// middleware/auth and middleware/ratelimit tell of it; yours can do so by
	// [Ctx.ReportRefusal].
	GuardRefused func(GuardRefusedInfo)

	// ClusterError is called as [Options.OnClusterError] is: err is nil when the cluster
	// is healthy, for the first time or again.
	ClusterError func(err error)
}

type (
	// A SessionInfo tells an [Observer] of a session that was opened or upgraded. For the
	// fields of this type and of those below, see package engine.
	SessionInfo = engine.SessionInfo

	// A SessionClosedInfo is about a session that has ended.
	SessionClosedInfo = engine.SessionClosedInfo

	// An UpgradeFailedInfo is about a WebSocket that did not take over.
	UpgradeFailedInfo = engine.UpgradeFailedInfo

	// A RequestRefusedInfo is about a request that was refused.
	RequestRefusedInfo = engine.RequestRefusedInfo

	// A SlowClientInfo is about a client that reads more slowly than it is sent to.
	SlowClientInfo = engine.SlowClientInfo
)

// A SocketConnectedInfo is about a client that was accepted in a namespace.
type SocketConnectedInfo struct {
	Socket  *Socket
	Session *engine.Session // the client's connection, which it shares with the client's other sockets
}

// A SocketDisconnectedInfo is about a client that has left a namespace.
type SocketDisconnectedInfo struct {
	Socket  *Socket
	Session *engine.Session // as that of SocketConnectedInfo
	Reason  Reason
	Err     error // more about the reason, or nil
}

// A SocketDataSetInfo is about a value that was set on a socket.
type SocketDataSetInfo struct {
	Socket *Socket
	Key    string // the name of the data key
}

// A SocketRefusedInfo is about a client that was not accepted in a namespace.
type SocketRefusedInfo struct {
	Socket    *Socket // nil if none was made: with RefusedNamespaceLimit and RefusedAuthLimit, and some of RefusedNoNamespace
	Namespace string  // the name that the client asked for, which it chooses
	Reason    SocketRefusal
	Err       error // of the connect chain, or nil
}

// A SocketRefusal says why a client was not accepted.
type SocketRefusal string

// Why clients are not accepted.
const (
	RefusedNamespaceLimit SocketRefusal = "too_many_namespaces" // Options.MaxNamespaces
	RefusedAuthLimit      SocketRefusal = "too_much_auth"       // Options.MaxPendingBytes
	RefusedNoNamespace    SocketRefusal = "invalid_namespace"   // there is none of that name
	RefusedByGuard        SocketRefusal = "guard"               // a guard of the connect chain: see GuardRefused
	RefusedByMiddleware   SocketRefusal = "middleware"          // the connect chain returned an *Error
	RefusedInternalError  SocketRefusal = "internal_error"      // the connect chain failed, or panicked
)

// An EventHandledInfo is about an event of a client.
type EventHandledInfo struct {
	Ctx      *Ctx          // its Context may have ended
	Known    bool          // it has a handler of Namespace.On; otherwise the client can choose any name
	Duration time.Duration // of the middleware and the handler, waiting included
	Outcome  HandlerOutcome
	Err      error // that the handler returned, or nil; for a panic one that describes it
}

// An HandlerOutcome is the kind of result of a handler.
type HandlerOutcome string

// How handlers end.
const (
	HandlerOK            HandlerOutcome = "ok"
	HandlerRefused       HandlerOutcome = "refused"        // by a guard: see GuardRefused
	HandlerError         HandlerOutcome = "error"          // an *Error, which is meant for the client
	HandlerAborted       HandlerOutcome = "aborted"        // an error that clients can cause, such as ErrDisconnected
	HandlerInternalError HandlerOutcome = "internal_error" // any other error
	HandlerPanic         HandlerOutcome = "panic"          // or runtime.Goexit
)

// An AckDoneInfo is about an event that a client was to acknowledge.
type AckDoneInfo struct {
	Socket   *Socket
	Event    string
	Duration time.Duration // since the event was sent
	Outcome  AckOutcome
	Err      error // why there is no acknowledgement; nil if there is one
}

// An AckOutcome says what became of an acknowledgement.
type AckOutcome string

// What becomes of acknowledgements.
const (
	AckReceived     AckOutcome = "ok"
	AckTimedOut     AckOutcome = "timeout"      // the deadline of the context has passed
	AckCanceled     AckOutcome = "canceled"     // nobody waits for it any longer
	AckDisconnected AckOutcome = "disconnected" // the client has left, see ErrDisconnected
	AckBlocked      AckOutcome = "blocked"      // see ErrAckBlocked
	AckNotReady     AckOutcome = "not_ready"    // see ErrNotReady
)

// A RecoveryDoneInfo is about a client that wanted to continue its session.
type RecoveryDoneInfo struct {
	Socket  *Socket
	Outcome RecoveryOutcome
	Err     error // why it could not; nil if it could
}

// A RecoveryOutcome says whether a client could continue its session.
type RecoveryOutcome string

// What becomes of recoveries. But for RecoveryOK, RecoveryRefused and RecoveryClientGone,
// the client gets a fresh socket.
const (
	RecoveryOK             RecoveryOutcome = "ok"
	RecoveryUnknownSession RecoveryOutcome = "unknown_session" // it is too old, or of another server
	RecoveryEventsLost     RecoveryOutcome = "events_lost"     // the log does not have all that the client missed
	RecoveryDisconnected   RecoveryOutcome = "disconnected"    // the server has disconnected the client while it was away
	RecoveryRepeated       RecoveryOutcome = "repeated"        // the client took nothing the last time
	RecoveryNotAllowed     RecoveryOutcome = "not_allowed"     // ErrNotRecovered of a check of OnRecover
	RecoveryRefused        RecoveryOutcome = "refused"         // another error of such a check: the client is refused
	RecoveryClientGone     RecoveryOutcome = "client_gone"     // it has disconnected meanwhile
	RecoveryFailed         RecoveryOutcome = "failed"          // the log has failed
)

// A GuardRefusedInfo is about something that a guard has refused.
type GuardRefusedInfo struct {
	Guard, Rule, Code string // see GuardError
	Err               error  // likewise

	Socket  *Socket  // nil for a request
	Request *Request // nil for an event or a connect
	Event   string   // "connect" while the client connects; "" for a request, and for a socket that is disconnected
}

// A GuardError says which guard has refused something, and why. As the error behind an
// [*HTTPError] of [Options.UseRequest] or [Options.AllowRequest], it makes the refusal of
// the request one of a guard.
type GuardError struct {
	Guard string // the package: "auth", "ratelimit" or yours
	Rule  string // which rule of the guard: the name of a limit, for example; "" if there is only one
	Code  string // why: "token_expired", for example
	Err   error  // more about it, or nil
}

// Error implements error.
func (r *GuardError) Error() string {
	text := "sio: refused by " + r.Guard + ": " + r.Code
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

// Unwrap returns the error behind it.
func (r *GuardError) Unwrap() error { return r.Err }

func (r *GuardError) info(info GuardRefusedInfo) GuardRefusedInfo {
	info.Guard, info.Rule, info.Code, info.Err = r.Guard, r.Rule, r.Code, r.Err
	return info
}

// ReportRefusal tells observers that a guard refuses the packet. Call it in middleware,
// before the middleware returns without calling next.
func (c *Ctx) ReportRefusal(r GuardError) {
	c.task.set(flagRefused)
	observeHere(c.ns.server, "GuardRefused", c.ns.server.observers.Load().guardRefused, r.info(GuardRefusedInfo{Socket: c.Socket, Event: c.Event()}))
}

// ReportRefusal tells observers that a guard has disconnected a client, or takes something
// from it.
func (s *Socket) ReportRefusal(r GuardError) {
	observeApart(s.ns.server, "GuardRefused", s.ns.server.observers.Load().guardRefused, r.info(GuardRefusedInfo{Socket: s}))
}
