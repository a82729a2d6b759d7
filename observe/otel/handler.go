package siotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.26.0"
	"go.opentelemetry.io/otel/trace"

	sio "github.com/sioplug/sioplug/core"
)

// Middleware makes a span for each packet that goes through it. Register it with UseEvents
// for events, and with UseConnect for clients that connect, before other middleware. The
// context of the handler has the span. It ends when the handler returns. An error or a panic
// of the handler is recorded.
func (t *Tracing) Middleware(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		c, span := t.begin(c)
		return follow(span, func() error { return next(c) })
	}
}

// begin starts the span of a packet.
func (t *Tracing) begin(c *sio.Ctx) (*sio.Ctx, trace.Span) {
	name, event := opProcess, c.Route()
	connecting := event == opConnect
	if connecting {
		name, event = opConnect, ""
	}
	size := c.Size()
	var remote trace.SpanContext
	var links []trace.Link
	if t.read {
		c, remote, links = t.remote(c, connecting)
	}
	op := t.operation(name, namespaceOf(c.Namespace()), event)
	ctx, span := t.start(c.Context(), op, handshakeOf(c.Socket), remote, t.trust, links...)
	if span.IsRecording() {
		span.SetAttributes(semconv.MessagingClientID(c.ID()), semconv.MessagingMessageBodySize(size))
	}
	return c.WithContext(ctx), span
}

// remote returns the trace context of the packet, and a link to the one that the client sent
// when it connected. The packet is without it then.
func (t *Tracing) remote(c *sio.Ctx, connecting bool) (*sio.Ctx, trace.SpanContext, []trace.Link) {
	if connecting {
		sc := ofAuth(c)
		if sc.IsValid() {
			t.connected.Set(c.Socket, sc)
		}
		return c, sc, nil
	}
	var links []trace.Link
	if sc, ok := t.connected.Get(c.Socket); ok {
		links = appendLink(links, sc, "connect")
	}
	sc, found := ofArgs(c.Args())
	if found {
		c = c.WithoutArg(c.Len() - 1)
	}
	return c, sc, links
}

// OnServerEvent is [sio.Namespace.OnServerEvent] with a span for each event. If the last
// argument is a [Context], the span has a link to it, and h gets the arguments before it:
//
//	err := srv.ServerSideEmit("refresh", id, siotel.NewContext(ctx))
//
// All other servers of the cluster have to expect it: to a handler of Node.js, for example,
// it is one argument more.
func (t *Tracing) OnServerEvent(n *sio.Namespace, event string, h sio.ServerHandler) {
	if h == nil {
		n.OnServerEvent(event, nil) // which panics
	}
	n.OnServerEvent(event, func(ctx context.Context, args sio.Args) (answer any, err error) {
		sc, found := ofArgs(args) //nolint:contextcheck // it decodes
		if found {
			args = args.Without(args.Len() - 1)
		}
		op := t.operation(opProcess, namespaceOf(n), event)
		ctx, span := t.start(ctx, op, trace.SpanContext{}, sc, false)
		err = follow(span, func() error {
			answer, err = h(ctx, args)
			return err
		})
		return answer, err
	})
}

// emission makes the span of a broadcast, or of a wait for acknowledgements.
func (t *Tracing) emission(ctx context.Context, e sio.EmissionInfo) (end func(error)) {
	name := opEmit
	switch e.Kind {
	case sio.EmissionBroadcast:
	case sio.EmissionAck:
		name = opEmitWithAck
	case sio.EmissionBroadcastAck:
		name = opBroadcastAck
	}
	op := t.operation(name, namespaceOf(e.Namespace), e.Event)
	_, span := t.start(ctx, op, handshakeOf(e.Socket), trace.SpanContext{}, false) //nolint:contextcheck // the handshake has its own
	if !span.IsRecording() {
		span.End()
		return nil
	}
	var attrs []attribute.KeyValue
	if e.Kind != sio.EmissionAck {
		attrs = append(attrs, roomsKey.Int(e.Rooms))
	} else {
		attrs = append(attrs, semconv.MessagingClientID(e.Socket.ID()))
	}
	span.SetAttributes(attrs...)
	return func(err error) { finishEmission(span, err) }
}
