package sioclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A failure is the acknowledgement of an event whose handler has failed.
type failure struct {
	Error struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	} `json:"error"`
}

// failed handles the error of the event's handler.
func (c *Ctx) failed(err error) {
	if f := c.m.opts.OnError; f != nil {
		if failed := rescue.Apart(func() error { f(c, err); return nil }); failed != nil {
			c.m.logError("OnError failed", failed)
		}
		return
	}
	var e *sio.Error
	if !rescue.Broken(err) {
		e = rescue.As[*sio.Error](err)
	}
	var w failure
	w.Error.Message = "internal error"
	if e != nil {
		w.Error.Message, w.Error.Data = e.Message, e.Data
	}
	c.logFailure(fmt.Errorf("event %q: %w", c.name, err), e != nil || causedByServer(err))
	if c.WantsAck() {
		if err := c.Ack(w); err != nil && e != nil && e.Data != nil {
			w.Error.Data = nil // it does not encode
			_ = c.Ack(w)
		}
	}
}

// logFailure logs the error of a handler: at Debug if the server can cause it at will.
func (c *Ctx) logFailure(err error, caused bool) {
	if !caused {
		c.m.logError("a handler failed", err)
		return
	}
	c.m.opts.Logger.LogAttrs(context.Background(), slog.LevelDebug, "a handler failed", errAttr(err))
}

// causedByServer reports whether a server can cause err at will: one that has gone, does
// not read, or did not ask for an ack.
func causedByServer(err error) bool {
	if rescue.StackOf(err) != nil {
		return false
	}
	caused := false
	_ = rescue.Apart(func() error { // if its methods fail, it is the application's
		caused = slices.ContainsFunc([]error{
			ErrDisconnected, ErrNotReady, ErrBufferFull, ErrDropped, ErrAckTimeout, ErrAckBlocked, ErrNoAck, ErrUnacknowledged,
		}, func(target error) bool { return errors.Is(err, target) })
		return nil
	})
	return caused
}
