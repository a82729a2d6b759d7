package siotel

import (
	"bytes"
	"context"
	"encoding/json"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// A Context is a trace context in the form of the W3C. As the last argument of an event it
// tells the receiver in which trace the event was emitted:
//
//	{"traceContext": {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
//
// Add one to events for clients or servers that expect it: see [NewContext] and
// [Tracing.OnServerEvent]. To others it is one argument more.
type Context struct {
	TraceContext TraceContext `json:"traceContext"`
}

// A TraceContext has the members of a [Context]. In an auth payload, the members stand
// beside those of the application.
type TraceContext struct {
	Traceparent string `json:"traceparent"`
	Tracestate  string `json:"tracestate,omitempty"`
}

// NewContext returns the context of the span in ctx, to pass as the last argument to an
// Emit. Without a span it returns a Context without content, which receivers ignore.
func NewContext(ctx context.Context) Context {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return Context{TraceContext{carrier["traceparent"], carrier["tracestate"]}}
}

// Bounds of what strangers send. A traceparent has 55 bytes today. The W3C wants 512 bytes
// of tracestate to be passed on.
const (
	maxTraceparent = 128
	maxTracestate  = 512
	maxContext     = 1 << 10
)

// spanContext returns what t says, or an invalid one.
func (t TraceContext) spanContext() trace.SpanContext {
	if t.Traceparent == "" || len(t.Traceparent) > maxTraceparent {
		return trace.SpanContext{}
	}
	if len(t.Tracestate) > maxTracestate {
		t.Tracestate = ""
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), carrier(t))
	return trace.SpanContextFromContext(ctx)
}

// A carrier implements [propagation.TextMapCarrier], for reading.
type carrier TraceContext

func (c carrier) Get(key string) string {
	switch key {
	case "traceparent":
		return c.Traceparent
	case "tracestate":
		return c.Tracestate
	}
	return ""
}

func (carrier) Set(string, string) {}

func (carrier) Keys() []string { return []string{"traceparent", "tracestate"} }

// ofAuth returns the trace context in the auth payload of a client.
func ofAuth(c *sio.Ctx) trace.SpanContext {
	var auth TraceContext
	if err := c.Bind(&auth); err != nil { // it is no object, or has other members of these names
		return trace.SpanContext{}
	}
	return auth.spanContext()
}

// ofArgs returns the trace context in the last of the arguments. found tells whether that is
// a [Context], also if what it says is not valid.
func ofArgs(args sio.Args) (sc trace.SpanContext, found bool) {
	last := args.At(args.Len() - 1)
	if last.Len() == 0 || last.Size() > maxContext {
		return sc, false
	}
	var raw json.RawMessage
	if err := last.Bind(&raw); err != nil {
		return sc, false
	}
	c, found := decodeContext(raw)
	if !found {
		return sc, false
	}
	return c.spanContext(), true
}

// decodeContext decodes a [Context]. It is quick for other values.
func decodeContext(raw []byte) (t TraceContext, found bool) {
	if !bytes.HasPrefix(raw, []byte(`{"traceContext"`)) || !rawjson.Scan(raw, 2) {
		return t, false
	}
	c := rawjson.Cursor{P: raw}
	c.More()
	c.Name()
	if c.Peek() != '{' {
		return t, false
	}
	for c.More() {
		to := &t.Traceparent
		switch string(c.Name()) {
		case "traceparent":
		case "tracestate":
			to = &t.Tracestate
		default:
			return t, false // it is the application's
		}
		if c.Peek() != '"' {
			return t, false
		}
		*to = rawjson.DecodeString(c.Str())
	}
	return t, !c.More()
}
