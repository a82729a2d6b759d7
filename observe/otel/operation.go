package siotel

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.26.0"
	"go.opentelemetry.io/otel/trace"

	sio "github.com/sioplug/sioplug/core"
)

const (
	schemaURL = semconv.SchemaURL

	// system is the value of messaging.system.
	system = "socket.io"

	// maxOperations is how many operations have spans of their own name. Applications have
	// fewer, unless they make up names of events.
	maxOperations = 1000

	// maxEvent is how long the name of an event is in a span. Applications may emit events
	// with names that clients have chosen.
	maxEvent = 256
)

// Attributes that the conventions do not have. Instrumentations of socket.io for Node.js
// use the first name, too.
const (
	eventKey = attribute.Key("messaging.socket.io.event_name")
	roomsKey = attribute.Key("messaging.socket.io.room_count")
	linkKey  = attribute.Key("messaging.socket.io.link")
)

// The names of operations.
const (
	opConnect      = "connect"
	opProcess      = "process"
	opEmit         = "emit"
	opEmitWithAck  = "emit_with_ack"
	opBroadcastAck = "broadcast_with_ack"
)

// An operationKey identifies an operation by what its name and attributes are made of.
type operationKey struct{ name, namespace, event string }

func (k operationKey) clone() operationKey {
	return operationKey{k.name, strings.Clone(k.namespace), strings.Clone(k.event)}
}

// An operation has what the spans of one kind have in common.
type operation struct {
	name string
	opts []trace.SpanStartOption // cut to its length, so that append copies
}

// operation returns the operation of that name. If there are too many, or the name of the event
// is too long, it returns one without the event.
func (t *Tracing) operation(name, namespace, event string) *operation {
	if len(event) > maxEvent {
		event = ""
	}
	return t.operations.GetCopy(operationKey{name, namespace, event}, operationKey{name: name}, operationKey.clone, newOperation)
}

func newOperation(k operationKey) *operation {
	attrs := []attribute.KeyValue{semconv.MessagingSystemKey.String(system), semconv.MessagingOperationName(k.name)}
	kind := trace.SpanKindProducer
	switch k.name {
	case opConnect:
		kind = trace.SpanKindServer
	case opProcess:
		kind = trace.SpanKindConsumer
		attrs = append(attrs, semconv.MessagingOperationTypeDeliver)
	case opEmitWithAck, opBroadcastAck:
		kind = trace.SpanKindClient
		attrs = append(attrs, semconv.MessagingOperationTypePublish)
	default:
		attrs = append(attrs, semconv.MessagingOperationTypePublish)
	}
	name := k.name
	if k.namespace != "" {
		ns := valid(k.namespace)
		name += " " + ns
		attrs = append(attrs, semconv.MessagingDestinationName(ns))
	}
	if k.event != "" {
		event := valid(k.event)
		name += " " + event
		attrs = append(attrs, eventKey.String(event))
	}
	opts := []trace.SpanStartOption{trace.WithSpanKind(kind), trace.WithAttributes(attrs...)}
	return &operation{name, slices.Clip(opts)}
}

// namespaceOf returns a name that clients have not chosen.
func namespaceOf(n *sio.Namespace) string {
	if p := n.Parent(); p != nil {
		return p.Name()
	}
	return n.Name()
}

// valid replaces what is not UTF-8: exporters refuse it, together with other spans.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
