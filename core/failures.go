package sio

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/sioplug/sioplug/internal/rescue"
)

// reportIfMeant handles an *Error of a handler at once. It returns all other errors,
// which [Namespace.handlerFailed] handles with more care. Any client may cause an
// *Error, so this has to be cheap.
func (n *Namespace) reportIfMeant(c *Ctx, err error) error {
	if _, meant := err.(*Error); !meant || n.server.opts.OnError != nil { //nolint:errorlint // others have methods of the application's
		return err
	}
	n.reportError(c, err)
	return nil
}

// handlerFailed is called with the error of an event's handler, also if it has panicked
// or ended its goroutine.
func (n *Namespace) handlerFailed(c *Ctx, err error) {
	if onError := n.server.opts.OnError; onError != nil {
		err = rescue.Apart(func() error {
			onError(c, err)
			return nil
		})
		if err != nil {
			c.logFailure("OnError failed", c.Event(), err)
		}
		return
	}
	failed := rescue.Apart(func() error {
		n.reportError(c, err)
		return nil
	})
	if failed != nil && c.WantsAck() { // a method of Error.Data has ended the goroutine
		_ = rescue.Apart(func() error { return c.Ack(ackError{internalError()}.value()) })
	}
}

// reportError logs the error of a handler, and acknowledges the event with it.
func (n *Namespace) reportError(c *Ctx, err error) {
	c.logFailure("handler failed", c.Event(), err)
	if !c.WantsAck() {
		return
	}
	w, _ := toWire(err)
	// If the client still waits afterwards, Error.Data could not be encoded.
	// Other errors mean that the client has gone.
	if err := c.Ack(ackError{w}.value()); err != nil && c.WantsAck() {
		c.logFailure("encoding Error.Data failed", c.Event(), err)
		_ = c.Ack(ackError{internalError()}.value())
	}
}

// logFailure logs an error of the application's code: at Debug if a client can cause it
// at will, otherwise at Error.
func (s *Socket) logFailure(msg, event string, err error) {
	level := slog.LevelError
	if s.causedByClient(err) {
		level = slog.LevelDebug
	}
	log := s.ns.server.log()
	if level == slog.LevelDebug && !log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{slog.String("ns", s.ns.name), slog.String("sid", s.id), slog.String("event", event)}
	attrs = append(attrs, errAttrs(err)...)
	log.LogAttrs(context.Background(), level, msg, attrs...) //nolint:sloglint // its callers pass constants
}

// causedByClient reports whether a client can cause err at will: an error that is meant
// for the client, or one of a client that has gone, or is too slow. It also can if it
// did not ask for an ack, or sent wrong values.
func (s *Socket) causedByClient(err error) bool {
	if _, meant := toWire(err); meant {
		return true
	}
	if rescue.StackOf(err) != nil {
		return false
	}
	gone := s.state.Load() == stateDisconnected
	caused := false
	_ = rescue.Apart(func() error { // if its methods fail, it is the application's
		caused = isAny(err, ErrDisconnected, ErrSlowClient, ErrNoAck, ErrAckBlocked, ErrNotReady, errNoAnswer, errNotRead, errValues, ErrAuthDropped,
			ErrTooManyAttachments, ErrPlaceholder) || gone && isAny(err, context.Canceled)
		return nil
	})
	return caused
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
}

// logFailure logs an error of the application's code that does not belong to one socket.
func (n *Namespace) logFailure(msg string, err error) {
	attrs := []any{slog.String("ns", n.name)}
	for _, a := range errAttrs(err) {
		attrs = append(attrs, a)
	}
	n.server.log().Error(msg, attrs...) //nolint:sloglint // its callers pass constants
}

func errAttr(err error) slog.Attr { return slog.Any("err", err) }

// errAttrs returns the attributes of an error, with the stack if it was a panic.
func errAttrs(err error) []slog.Attr {
	attrs := []slog.Attr{errAttr(err)}
	if stack := rescue.StackOf(err); stack != nil {
		attrs = append(attrs, slog.String("stack", string(stack)))
	}
	return attrs
}
