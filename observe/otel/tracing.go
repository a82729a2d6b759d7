package siotel

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/labels"
)

// scope is the name of the instrumentation.
const scope = "github.com/sioplug/sioplug/observe/otel"

// TracingOptions are settings of [NewTracing]. A zero value means the default.
type TracingOptions struct {
	// TracerProvider makes the spans. The default is the global one, [otel.GetTracerProvider].
	TracerProvider trace.TracerProvider

	// ClientContext reads the trace contexts that clients send: the members "traceparent"
	// and "tracestate" of the auth payload, and a last argument of an event that is made
	// like a [Context]. That argument is taken away before the handler sees it. Spans get
	// links to these contexts. Anybody can send any context, so they are not more than
	// links.
	ClientContext bool

	// TrustClients makes the contexts of clients the parents of spans, instead of links.
	// Clients then decide which events are sampled, if the sampler follows parents. So
	// set it only if you know who the clients are. It includes ClientContext.
	TrustClients bool
}

// Tracing makes spans. Its methods may be called concurrently. It may serve several servers.
type Tracing struct {
	tracer      trace.Tracer
	read, trust bool

	operations labels.Set[operationKey, *operation]
	connected  *sio.Key[trace.SpanContext] // what a client sent in its auth payload
}

// NewTracing returns a Tracing; opts may be nil. It makes no spans by itself: pass
// [Tracing.Observer] to the server, and register [Tracing.Middleware].
func NewTracing(opts *TracingOptions) *Tracing {
	var o TracingOptions
	if opts != nil {
		o = *opts
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	return &Tracing{
		tracer:     o.TracerProvider.Tracer(scope, trace.WithSchemaURL(schemaURL)),
		read:       o.ClientContext || o.TrustClients,
		trust:      o.TrustClients,
		operations: labels.Set[operationKey, *operation]{Max: maxOperations},
		connected:  sio.NewKey[trace.SpanContext]("trace context"),
	}
}

// Observer returns the observer for [sio.Options].Observers. It makes the spans of
// broadcasts and of waits for acknowledgements.
func (t *Tracing) Observer() *sio.Observer { return &sio.Observer{EmissionStarted: t.emission} }
