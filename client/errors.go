package sioclient

import (
	"errors"
	"fmt"
)

// Errors that methods return.
var (
	ErrDisconnected = errors.New("sioclient: socket is disconnected")
	ErrNotReady     = errors.New("sioclient: the connection was not ready to send, so the volatile event was dropped")
	ErrBufferFull   = errors.New("sioclient: the send buffer is full: raise Options.MaxSendBuffer, wait by Flush, or set DropOldest")
	ErrDropped      = errors.New("sioclient: the event was dropped from the send buffer, because newer ones needed the space")
	ErrAckTimeout   = errors.New("sioclient: the server did not acknowledge in time")
	ErrAckBlocked   = errors.New("sioclient: the acknowledgement cannot be read, because too many events that the server sent before wait for handlers: wait for it outside of the handler, or raise Options.MaxPendingBytes")
	ErrAckSent      = errors.New("sioclient: the event was acknowledged already")
	ErrNoAck        = errors.New("sioclient: the server did not ask for an acknowledgement")

	// ErrUnacknowledged is what [Manager.Shutdown] returns, with their number, if events
	// with Options.Retries are left.
	ErrUnacknowledged = errors.New("sioclient: the server has not acknowledged all events of a client with Options.Retries")

	ErrReservedEvent      = errors.New("sioclient: reserved event name")
	ErrTooManyAttachments = errors.New("sioclient: too many binary values")
)

// A Reason says why a socket was disconnected, in the words of the JavaScript client.
type Reason string

// Why sockets are disconnected. After the first two, the client does not connect again by
// itself, nor after [Manager.Disconnect].
const (
	ReasonServerDisconnect Reason = "io server disconnect" // the server had the socket leave the namespace
	ReasonClientDisconnect Reason = "io client disconnect" // Socket.Disconnect
	ReasonPingTimeout      Reason = "ping timeout"         // the server has sent no ping for too long
	ReasonTransportClose   Reason = "transport close"      // the server closed the connection, or the network did
	ReasonTransportError   Reason = "transport error"      // the connection failed, or the server broke the rules
	ReasonParseError       Reason = "parse error"          // the server sent something that is no Socket.IO packet
	ReasonForcedClose      Reason = "forced close"         // Manager.Disconnect, or no socket was left
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
		return fmt.Sprintf("sioclient: disconnected: %s", e.Reason)
	}
	return fmt.Sprintf("sioclient: disconnected: %s: %v", e.Reason, e.Err)
}

// Unwrap returns the error behind the reason.
func (e *DisconnectError) Unwrap() error { return e.Err }

// Is makes every disconnect match [ErrDisconnected].
func (e *DisconnectError) Is(target error) bool { return target == ErrDisconnected }
