package siotel_test

import (
	"context"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/observe/internal/paired"
	siotel "github.com/sioplug/sioplug/observe/otel"
)

// discard is a processor of spans that drops them.
type discard struct{}

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }
func (discard) ForceFlush(context.Context) error                { return nil }

func provider(s sdktrace.Sampler) trace.TracerProvider {
	return sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithSpanProcessor(discard{}))
}

// ways are the ways to trace, by name. Off is nil.
func ways() map[string]*siotel.TracingOptions {
	return map[string]*siotel.TracingOptions{
		"off":                     nil,
		"no SDK":                  {TracerProvider: noop.NewTracerProvider()},
		"not sampled":             {TracerProvider: provider(sdktrace.NeverSample())},
		"not sampled, client's":   {TracerProvider: provider(sdktrace.NeverSample()), ClientContext: true},
		"sampled":                 {TracerProvider: provider(sdktrace.AlwaysSample())},
		"sampled, client context": {TracerProvider: provider(sdktrace.AlwaysSample()), ClientContext: true},
	}
}

// BenchmarkMiddleware is the middleware around a handler that does nothing.
func BenchmarkMiddleware(b *testing.B) {
	for name, o := range ways() {
		b.Run(name, func(b *testing.B) {
			c, _ := siotest.NewCtx(b, "order", 1, stranger())
			handler := sio.Handler(func(*sio.Ctx) error { return nil })
			if o != nil {
				handler = siotel.NewTracing(o).Middleware(handler)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := handler(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBroadcast is a broadcast that nobody gets.
func BenchmarkBroadcast(b *testing.B) {
	for name, o := range ways() {
		if o != nil && o.ClientContext {
			continue
		}
		b.Run(name, func(b *testing.B) {
			var opts sio.Options
			if o != nil {
				opts.Observers = []*sio.Observer{siotel.NewTracing(o).Observer()}
			}
			srv := sio.New(&opts)
			room := srv.To("room")
			b.ReportAllocs()
			for b.Loop() {
				if err := room.Emit("news", "hello"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEventHandled is what metrics do for each event.
func BenchmarkEventHandled(b *testing.B) {
	metrics, err := siotel.NewMetrics(&siotel.MetricsOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))})
	if err != nil {
		b.Fatal(err)
	}
	c, _ := siotest.NewCtx(b, "order", 1)
	handled := metrics.Observer().EventHandled
	b.ReportAllocs()
	for b.Loop() {
		handled(sio.EventHandledInfo{Ctx: c, Known: true, Duration: time.Millisecond, Outcome: sio.HandlerOK})
	}
}

// BenchmarkPaired compares a server with traces or metrics and one without.
func BenchmarkPaired(b *testing.B) {
	b.Run("metrics", func(b *testing.B) {
		metrics, err := siotel.NewMetrics(&siotel.MetricsOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))})
		if err != nil {
			b.Fatal(err)
		}
		paired.Run(b, paired.Observed{Observer: metrics.Observer()})
	})
	b.Run("control", func(b *testing.B) { paired.Run(b, paired.Observed{Observer: &sio.Observer{}}) }) // how far from 1 the same is
	b.Run("hook", func(b *testing.B) {                                                                 // what the call costs
		paired.Run(b, paired.Observed{Observer: &sio.Observer{EventHandled: func(sio.EventHandledInfo) {}}})
	})
	for _, name := range []string{"no SDK", "not sampled", "sampled"} {
		b.Run("traces, "+name, func(b *testing.B) {
			tracing := siotel.NewTracing(ways()[name])
			paired.Run(b, paired.Observed{Observer: tracing.Observer(), Middleware: []sio.Middleware{tracing.Middleware}})
		})
	}
}
