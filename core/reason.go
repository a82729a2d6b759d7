package sio

import "fmt"

// A Reason says why a socket was disconnected, in the words of the JavaScript
// server (SIO section 3.3).
type Reason string

// Why sockets are disconnected.
const (
	ReasonTransportError            Reason = "transport error"             // the connection failed, or its client broke the rules
	ReasonTransportClose            Reason = "transport close"             // the client closed the connection, or the network did
	ReasonForcedClose               Reason = "forced close"                // the server closed it, mostly for a broken packet
	ReasonPingTimeout               Reason = "ping timeout"                // the client did not answer a ping
	ReasonParseError                Reason = "parse error"                 // the client sent something that is not Engine.IO
	ReasonServerNamespaceDisconnect Reason = "server namespace disconnect" // Socket.Disconnect or Socket.Close
	ReasonClientNamespaceDisconnect Reason = "client namespace disconnect" // the client left the namespace
	ReasonServerShuttingDown        Reason = "server shutting down"        // Server.Shutdown
)

// A DisconnectError says why a socket was disconnected. It is the cause of
// [Socket.Context] and [Ctx.Context] when they have ended.
type DisconnectError struct {
	Reason Reason
	Err    error // more about it, or nil
}

// Error gives the reason and the error behind it.
func (e *DisconnectError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("sio: disconnected: %s", e.Reason)
	}
	return fmt.Sprintf("sio: disconnected: %s: %v", e.Reason, e.Err)
}

// Unwrap returns the error behind the reason.
func (e *DisconnectError) Unwrap() error { return e.Err }

// Is makes every disconnect match [ErrDisconnected].
func (e *DisconnectError) Is(target error) bool { return target == ErrDisconnected }
