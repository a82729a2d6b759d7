package engine

import "errors"

// A Reason says why a session ended, in the words of the JavaScript server.
type Reason string

// Why sessions end.
const (
	TransportError Reason = "transport error"
	TransportClose Reason = "transport close"
	ForcedClose    Reason = "forced close"
	PingTimeout    Reason = "ping timeout"
	ParseError     Reason = "parse error"
)

// Errors that tell more about a reason.
var (
	ErrClosed = errors.New("engine: session is closed")

	// ErrSlowClient ends a session whose client reads too slowly: a message was sent
	// to it while Options.MaxSendBuffer bytes were waiting already.
	ErrSlowClient = errors.New("engine: client reads more slowly than it is sent to, send buffer is full")

	errPollOverlap = errors.New("overlap from client")
	errPollAborted = errors.New("poll connection closed prematurely")
	errPostOverlap = errors.New("data request overlap from client")
	errPostAborted = errors.New("data request connection closed prematurely")
	errContentType = errors.New("invalid content")
	errHeartbeat   = errors.New("invalid heartbeat direction")
)
