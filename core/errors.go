package sio

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"

	"github.com/sioplug/sioplug/internal/rawjson"
	"github.com/sioplug/sioplug/internal/rescue"
)

// Errors that methods return.
var (
	ErrNotConnected  = errors.New("sio: socket is not connected yet: the connect chain has not accepted it")
	ErrDisconnected  = errors.New("sio: socket is disconnected")
	ErrSlowClient    = errors.New("sio: client reads more slowly than it is sent to and was disconnected: its send buffer is full")
	ErrAckSent       = errors.New("sio: the event was acknowledged already")
	ErrNoAck         = errors.New("sio: the client did not ask for an acknowledgement")
	ErrReservedEvent = errors.New("sio: reserved event name")
	ErrAckBlocked    = errors.New("sio: the client's acknowledgement cannot be read, because too many events that it sent before wait for handlers: wait for it outside of the handler, or raise Options.MaxPendingBytes")
	ErrNotReady      = errors.New("sio: the client was not ready to receive, so the volatile event was dropped")

	// ErrNotRecovered is for a check of [Ctx.OnRecover] to return: the client may not
	// continue its session, but may begin a new one.
	ErrNotRecovered = errors.New("sio: the client may not continue its session")

	// ErrAuthDropped is for an auth payload that was too large to be kept: see
	// [Handshake].
	ErrAuthDropped = errors.New("sio: the auth payload is not kept: it is larger than Options.MaxHandshakeBytes: " +
		"raise that, or keep what you need of it in UseConnect, by a Key")

	// ErrTooManyAttachments is for a packet with more binary values than
	// [Options.MaxSendAttachments].
	ErrTooManyAttachments = errors.New("sio: too many binary values")

	// ErrPlaceholder is for a packet that has binary data and, beside it, an object
	// with a member _placeholder that is true. Clients would take it for binary data.
	ErrPlaceholder = errors.New("sio: an object with _placeholder: true cannot be sent together with binary data: " +
		"send it in an event of its own, or with another member name")
)

// errNoAnswer tells that a context ended because a client did not acknowledge.
var errNoAnswer = errors.New("sio: the client did not acknowledge in time")

// An Error is an error meant for the client. If the connect chain returns it, the client
// is refused with it. If a handler returns it, it becomes the event's ack. It may be
// wrapped by fmt.Errorf: then the client gets the Error, and the log the text around it
// and Err as well.
type Error struct {
	Message string // sent
	Data    any    // sent if not nil
	Err     error  // the cause; logged, never sent
}

// Error gives the message and the cause.
func (e *Error) Error() string {
	switch {
	case e == nil:
		return "<nil>"
	case e.Err == nil:
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// A wireError is the JSON of an error for clients: in CONNECT_ERROR, and in acks.
type wireError struct {
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// An ackError is the ack of an event whose handler failed.
type ackError struct {
	Error wireError `json:"error"`
}

// value returns a value that encodes as the error. Without data, no codec of the
// application is needed to encode it.
func (w wireError) value() any {
	if w.Data != nil {
		return w
	}
	return json.RawMessage(w.appendJSON(nil))
}

func (w wireError) appendJSON(dst []byte) []byte {
	return append(rawjson.AppendString(append(dst, `{"message":`...), w.Message), '}')
}

func (f ackError) value() any {
	if f.Error.Data != nil {
		return f
	}
	return json.RawMessage(append(f.Error.appendJSON([]byte(`{"error":`)), '}'))
}

// toWire returns what a client may know of err. meant is false if err is not for
// clients.
func toWire(err error) (w wireError, meant bool) {
	e, is := err.(*Error) //nolint:errorlint // most are, and have no methods of the application's
	if !is {
		e = rescue.As[*Error](err)
	}
	if e == nil {
		return internalError(), false
	}
	return wireError{e.Message, e.Data}, true
}

func internalError() wireError { return wireError{Message: "internal error"} }

func (s *Server) log() *slog.Logger { return s.logger }

// debug logs an event of a client. It first asks whether Debug is enabled, because a
// call of the logger needs much stack.
func (s *Server) debug(msg string, attrs ...slog.Attr) {
	if ctx := context.Background(); s.logger.Enabled(ctx, slog.LevelDebug) {
		s.logger.LogAttrs(ctx, slog.LevelDebug, msg, slices.Clone(attrs)...) //nolint:sloglint // its callers have constants
	}
}
