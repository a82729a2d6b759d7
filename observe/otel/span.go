package siotel

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.26.0"
	"go.opentelemetry.io/otel/trace"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/rescue"
)

// maxText is how many bytes of an error's text a span keeps. Clients may have written it.
const maxText = 1 << 10

// start starts the span of an operation. remote is what a client or another server says is
// the parent; trust tells whether it is.
//
// If there is no current span, or if it is that of the handshake, the new one is a root with
// a link to the handshake. Otherwise it is a child of the current one.
func (t *Tracing) start(ctx context.Context, op *operation, handshake, remote trace.SpanContext, trust bool, links ...trace.Link) (context.Context, trace.Span) {
	opts := op.opts
	current := trace.SpanContextFromContext(ctx)
	root := !current.IsValid() || current.Equal(handshake)
	if root {
		links = appendLink(links, handshake, "handshake")
	}
	switch follows := trust && remote.IsValid(); {
	case root && follows:
		ctx = trace.ContextWithRemoteSpanContext(ctx, remote)
	case root:
		opts = append(opts, trace.WithNewRoot())
		fallthrough
	default:
		links = appendLink(links, remote, "message")
	}
	if len(links) > 0 {
		opts = append(opts, trace.WithLinks(links...))
	}
	return t.tracer.Start(ctx, op.name, opts...)
}

func appendLink(links []trace.Link, to trace.SpanContext, what string) []trace.Link {
	if !to.IsValid() {
		return links
	}
	return append(links, trace.Link{SpanContext: to, Attributes: []attribute.KeyValue{linkKey.String(what)}})
}

// handshakeOf returns the span of the request that opened the client's connection.
func handshakeOf(s *sio.Socket) trace.SpanContext {
	if s == nil {
		return trace.SpanContext{}
	}
	return trace.SpanContextFromContext(s.Context())
}

// follow runs a function, and ends the span with its error, also if it panics or ends its
// goroutine.
func follow(span trace.Span, f func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		fail(span, v)
		if v != nil {
			panic(v) //nolint:forbidigo // it goes on, with the same stack, since this function has not returned
		}
	}()
	err = f()
	returned = true
	finish(span, err)
	return err
}

// finish ends the span of a handler. Like requests that HTTP answers with a 4xx, events that
// were refused with an [*sio.Error], and those of clients that have gone, are no errors of
// the server: they have an error.type, and no status.
func finish(span trace.Span, err error) {
	defer span.End()
	if err == nil || !span.IsRecording() {
		return
	}
	kind := sio.HandlerInternalError
	switch {
	case rescue.As[*sio.Error](err) != nil:
		kind = sio.HandlerError
	case is(err, sio.ErrDisconnected):
		kind = sio.HandlerAborted
	}
	message := text(err)
	span.SetAttributes(semconv.ErrorTypeKey.String(string(kind)))
	record(span, fmt.Sprintf("%T", err), message, nil)
	if kind == sio.HandlerInternalError {
		span.SetStatus(codes.Error, message)
	}
}

// fail ends the span of a handler that panicked, or whose goroutine has ended: v is nil then.
func fail(span trace.Span, v any) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	kind, message := "runtime.Goexit", rescue.ErrExited.Error()
	if v != nil {
		kind, message = fmt.Sprintf("%T", v), "panic: "+text(v)
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(string(sio.HandlerPanic)))
	record(span, kind, message, debug.Stack())
	span.SetStatus(codes.Error, message)
}

// finishEmission ends the span of a call. Each error is one for its caller.
func finishEmission(span trace.Span, err error) {
	defer span.End()
	if err == nil {
		return
	}
	message := text(err)
	kind := fmt.Sprintf("%T", err)
	switch {
	case is(err, sio.ErrDisconnected):
		kind = string(sio.AckDisconnected)
	case is(err, context.DeadlineExceeded):
		kind = string(sio.AckTimedOut)
	case is(err, context.Canceled):
		kind = string(sio.AckCanceled)
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(kind))
	record(span, fmt.Sprintf("%T", err), message, nil)
	span.SetStatus(codes.Error, message)
}

func record(span trace.Span, kind, message string, stack []byte) {
	attrs := []attribute.KeyValue{semconv.ExceptionType(kind), semconv.ExceptionMessage(message)}
	if stack != nil {
		attrs = append(attrs, semconv.ExceptionStacktrace(valid(string(stack))))
	}
	span.AddEvent(semconv.ExceptionEventName, trace.WithAttributes(attrs...))
}

// is is [errors.Is] for an error whose methods may fail.
func is(err, target error) (match bool) {
	_ = rescue.Apart(func() error { // if they fail, it is not
		match = errors.Is(err, target)
		return nil
	})
	return match
}

// text returns the text of a value that may be the application's.
func text(v any) string {
	s := rescue.Text(v)
	if len(s) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	return valid(s)
}
