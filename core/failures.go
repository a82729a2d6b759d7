package sio

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/sioplug/sioplug/internal/rescue"
)

// reportIfMeant returns what is left of the error of an event's handler. One that is meant
// for the client needs no care, and has to be cheap: any client may cause it.
func (n *Namespace) reportIfMeant(c *Ctx, err error) error {
	if _, meant := err.(*Error); !meant || n.server.opts.OnError != nil { //nolint:errorlint // others have methods of the application's
		return err
	}
	n.reportError(c, err)
	return nil
}

// handlerFailed is called with the error of an event's handler, or that it did not return.
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

// reportError tells the client, if it waits for an answer, and the log.
func (n *Namespace) reportError(c *Ctx, err error) {
	c.logFailure("handler failed", c.Event(), err)
	if !c.WantsAck() {
		return
	}
	w, _ := toWire(err)
	// If the client still waits afterwards, Error.Data could not be encoded.
	// Other errors mean that there is nobody to answer to.
	if err := c.Ack(ackError{w}.value()); err != nil && c.WantsAck() {
		c.logFailure("encoding Error.Data failed", c.Event(), err)
		_ = c.Ack(ackError{internalError()}.value())
	}
}

// logFailure logs the error of a user's function: at Debug if any client can
// bring it about at will.
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

// causedByClient reports whether a client may be behind err: it is meant for the
// client, or the client has gone, does not read, does not answer or not with what was
// expected, did not ask for the ack that a handler gave, or sent values that cannot be
// sent on.
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

// logFailure logs the error of a function of the application that runs for no
// socket.
func (n *Namespace) logFailure(msg string, err error) {
	attrs := []any{slog.String("ns", n.name)}
	for _, a := range errAttrs(err) {
		attrs = append(attrs, a)
	}
	n.server.log().Error(msg, attrs...) //nolint:sloglint // its callers pass constants
}

func errAttr(err error) slog.Attr { return slog.Any("err", err) }

// errAttrs are those of an error, and of the panic that it was.
func errAttrs(err error) []slog.Attr {
	attrs := []slog.Attr{errAttr(err)}
	if stack := rescue.StackOf(err); stack != nil {
		attrs = append(attrs, slog.String("stack", string(stack)))
	}
	return attrs
}
