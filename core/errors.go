package sio

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/sioplug/sioplug/core/internal/rescue"
)

// Errors that methods return.
var (
	ErrNotConnected  = errors.New("sio: socket is not connected yet: the connect chain has not accepted it")
	ErrDisconnected  = errors.New("sio: socket is disconnected")
	ErrSlowClient    = errors.New("sio: client reads too slowly and was disconnected: its send buffer is full")
	ErrAckSent       = errors.New("sio: the event was acknowledged already")
	ErrNoAck         = errors.New("sio: the client did not ask for an acknowledgement")
	ErrReservedEvent = errors.New("sio: reserved event name")
	ErrAckBlocked    = errors.New("sio: the client's acknowledgement cannot be read, because too many events that it sent before wait for handlers: wait for it outside of the handler, or raise Options.MaxPendingBytes")
	ErrNotReady      = errors.New("sio: the client was not ready to receive, so the volatile event was dropped")
)

// errNoAnswer says whose fault it is that a context ended.
var errNoAnswer = errors.New("sio: the client did not acknowledge in time")

// An Error is an error meant for the client: a connect chain that returns one
// refuses the client with it, a handler that returns one answers the event's
// ack with it. Wrapping it by fmt.Errorf keeps that; what is wrapped around
// it, and Err, only go to the log.
type Error struct {
	Message string // sent
	Data    any    // sent if not nil
	Err     error  // the cause; logged, never sent
}

// Error gives the message and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// A wireError is an error as clients see it: the object of CONNECT_ERROR, and
// of the acks of failed events.
type wireError struct {
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// A failure is the ack of an event whose handler failed.
type failure struct {
	Error wireError `json:"error"`
}

// toWire decides what a client may know of err. meant is false for errors that
// are none of its business.
func toWire(err error) (w wireError, meant bool) {
	if e, ok := errors.AsType[*Error](err); ok {
		return wireError{e.Message, e.Data}, true
	}
	return internalError(), false
}

func internalError() wireError { return wireError{Message: "internal error"} }

func errAttr(err error) slog.Attr { return slog.Any("err", err) }

// logFailure logs the error of a user's function: at Debug if any client can
// bring it about at will.
func (s *Socket) logFailure(msg, event string, err error) {
	level := slog.LevelError
	if s.causedByClient(err) {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("ns", s.ns.name), slog.String("sid", s.id), slog.String("event", event), errAttr(err),
	}
	if p, ok := errors.AsType[*rescue.PanicError](err); ok {
		attrs = append(attrs, slog.String("stack", string(p.Stack)))
	}
	//nolint:sloglint // its callers pass constants
	s.ns.server.log().LogAttrs(context.Background(), level, msg, attrs...)
}

// causedByClient reports whether a client is behind err: it is meant for the
// client, or the client has gone, does not read, does not answer, or did not
// ask for the ack that a handler gave.
func (s *Socket) causedByClient(err error) bool {
	if _, meant := toWire(err); meant {
		return true
	}
	for _, e := range []error{ErrDisconnected, ErrSlowClient, ErrNoAck, ErrAckBlocked, ErrNotReady, errNoAnswer} {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.Is(err, context.Canceled) && s.state.Load() == stateDisconnected
}

func (s *Server) log() *slog.Logger { return s.opts.Logger }

// debug logs what happens to every client. It asks first, because a call of the
// logger needs much stack, whether there is anything to log or not.
func (s *Server) debug(msg string, attrs ...slog.Attr) {
	if ctx := context.Background(); s.opts.Logger.Enabled(ctx, slog.LevelDebug) {
		s.opts.Logger.LogAttrs(ctx, slog.LevelDebug, msg, slices.Clone(attrs)...) //nolint:sloglint // its callers have constants
	}
}

// misuse ends the program at startup, when a registration can only be wrong.
func misuse(msg string) {
	panic("sio: " + msg) //nolint:forbidigo // wrong registration must not go unnoticed
}
