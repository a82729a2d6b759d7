package frameworks_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gofiber/contrib/otelfiber/v2"
	fiber3 "github.com/gofiber/fiber/v3"
	echo5 "github.com/labstack/echo/v5"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/contrib/instrumentation/github.com/labstack/echo/otelecho"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siotel "github.com/sioplug/sioplug/observe/otel"
)

// tracedMounts are mounts behind the tracing of each framework.
func tracedMounts(p trace.TracerProvider) mounts {
	otelHTTP := func(h http.Handler) http.Handler {
		return otelhttp.NewHandler(h, "request", otelhttp.WithTracerProvider(p))
	}
	return mounts{
		"chi":    onChi(otelHTTP),
		"gin":    onGin(otelgin.Middleware("test", otelgin.WithTracerProvider(p))),
		"echo":   onEcho(otelecho.Middleware("test", otelecho.WithTracerProvider(p))),
		"echov5": onEchoV5(echo5.WrapMiddleware(otelHTTP)),
		"fiber":  onFiber(otelfiber.Middleware(otelfiber.WithTracerProvider(p))),
		"fiberv3": onFiberV3(func(c fiber3.Ctx) error {
			ctx, span := p.Tracer("fiber").Start(c.Context(), "request", trace.WithSpanKind(trace.SpanKindServer))
			defer span.End()
			c.SetContext(ctx)
			return c.Next()
		}),
	}
}

// TestTracing: the handler's context has the trace of the handshake, whichever middleware made
// it. Spans of events have links to it, and are no part of its trace.
func TestTracing(t *testing.T) {
	for _, transport := range []string{"polling", "websocket"} {
		t.Run(transport, func(t *testing.T) { tracing(t, transport) })
	}
}

func tracing(t *testing.T, transport string) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	p := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	tracing := siotel.NewTracing(&siotel.TracingOptions{TracerProvider: p})
	tracedMounts(p).each(t, func(t *testing.T, mount siotest.Mount) {
		spans.Reset()
		srv := sio.New(&sio.Options{Observers: []*sio.Observer{tracing.Observer()}})
		outside := make(chan trace.SpanContext, 1)
		srv.UseEvents(func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error {
				outside <- trace.SpanContextFromContext(c.Context())
				return next(c)
			}
		}, tracing.Middleware)
		srv.On("hello", func(c *sio.Ctx) error { return c.Emit("hello") })
		d := mount(t, srv)
		c := d.WebSocket
		if transport == "polling" {
			c = func(tb testing.TB, _ ...string) *siotest.Client { return d.Polling(tb) }
		}
		client := c(t)
		client.Connect("/", "")
		client.Send(`42["hello"]`)
		client.Want(`42["hello"]`)
		handshake := <-outside
		client.Close()

		var event, request sdktrace.ReadOnlySpan
		for deadline := time.After(time.Minute); event == nil || request == nil; {
			for _, s := range spans.Ended() {
				switch {
				case s.Name() == "process / hello":
					event = s
				case s.SpanContext().Equal(handshake):
					request = s
				}
			}
			select {
			case <-time.After(time.Millisecond):
			case <-deadline:
				t.Fatalf("the event has span %v, the handshake %v", event, request)
			}
		}
		if request.SpanKind() != trace.SpanKindServer || event.Parent().IsValid() || event.SpanContext().TraceID() == handshake.TraceID() {
			t.Errorf("the event has parent %v", event.Parent())
		}
		if !slices.ContainsFunc(event.Links(), func(l sdktrace.Link) bool { return l.SpanContext.Equal(handshake) }) {
			t.Errorf("links %v", event.Links())
		}
	})
}
