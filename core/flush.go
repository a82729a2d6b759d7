package sio

import (
	"context"
	"errors"
	"fmt"

	"github.com/sioplug/sioplug/core/engine"
)

// errNotRead tells that a context ended because a client did not read.
var errNotRead = errors.New("sio: the client did not read in time")

// Flush waits until earlier events have been written to the client's connection, or
// fetched by a poll: the events of all namespaces of the client. It does not wait for
// events that are emitted meanwhile. It does not say that the client has handled the
// events; for that, use an acknowledgement.
//
// Emit never waits, and disconnects the client at [Options.MaxSendBuffer]. So a handler
// that emits more than that calls Flush in between, as the example does. One event may
// be larger than MaxSendBuffer: it is sent if less than MaxSendBuffer waits when it is
// emitted.
//
// The error matches [ErrDisconnected] if the connection ends before, and the context's
// error if ctx does. A client that reads nothing and does not answer pings is
// disconnected after [Options.PingInterval] + [Options.PingTimeout]. But a client may
// send pongs without reading, and keep Flush waiting as long as it likes. So give ctx a
// deadline.
//
// A handler may wait for its own client, as with [Socket.EmitWithAck]: derive ctx from
// [Ctx.Context]. Acknowledgements and heartbeats are read meanwhile.
func (s *Socket) Flush(ctx context.Context) error { return s.flush(ctx, nil) }

// Flush is [Socket.Flush], whatever ctx is derived from.
func (c *Ctx) Flush(ctx context.Context) error { return c.flush(ctx, c.task) }

// flush is Flush for a task, which may be nil. Then ctx may belong to one.
func (s *Socket) flush(ctx context.Context, t *task) error {
	if err := s.checkConnected(); err != nil {
		return err
	}
	session := s.client.session
	if session.TryFlush() {
		return nil
	}
	if t == nil {
		t = taskOf(ctx)
	}
	t.yield()
	err := session.Flush(ctx)
	if err == nil {
		return nil
	}
	if why := s.disconnectError(); why != nil { // ctx may come from the socket's
		return why
	}
	if err == engine.ErrClosed { //nolint:errorlint // it is not wrapped
		return ErrDisconnected // the socket will be told in a moment
	}
	return fmt.Errorf("%w: %w", errNotRead, err)
}
