package siotel_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
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

// BenchmarkPaired compares echoes of a server with traces or metrics and of one without, in
// this process. It alternates between them, so that the machine's load concerns both alike.
// The ratio is the median of the pairs.
func BenchmarkPaired(b *testing.B) {
	for name, o := range ways() {
		if o != nil && !o.ClientContext {
			b.Run(name, func(b *testing.B) {
				tracing := siotel.NewTracing(o)
				paired(b, tracing.Observer(), tracing.Middleware)
			})
		}
	}
	b.Run("metrics", func(b *testing.B) {
		metrics, err := siotel.NewMetrics(&siotel.MetricsOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))})
		if err != nil {
			b.Fatal(err)
		}
		paired(b, metrics.Observer())
	})
}

// paired measures one round of each server in turn.
func paired(b *testing.B, o *sio.Observer, mw ...sio.Middleware) {
	b.Helper()
	round := func(observers []*sio.Observer, mw ...sio.Middleware) func() {
		srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler), Observers: observers})
		srv.UseEvents(mw...)
		srv.On("echo", sio.Bind(func(c *sio.Ctx, s string) error { return c.Emit("echo", s) }))
		c := siotest.Loopback(b, srv).WebSocket(b)
		c.Connect("/", "")
		return func() {
			for range 200 {
				c.Send(`42["echo","hello"]`)
				c.Want(`42["echo","hello"]`)
			}
		}
	}
	rounds := [2]func(){round(nil), round([]*sio.Observer{o}, mw...)}
	var ratios []float64
	for i := 0; b.Loop(); i++ {
		var took [2]time.Duration
		for j := range rounds {
			which := (i + j) % len(rounds) // none of them is always the first
			start := time.Now()
			rounds[which]()
			took[which] = time.Since(start)
		}
		ratios = append(ratios, float64(took[1])/float64(took[0]))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "with/without")
}
