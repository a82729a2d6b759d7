package siotel_test

import (
	"context"
	"fmt"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
	siotel "github.com/sioplug/sioplug/observe/otel"
)

// The spans of an event and of the broadcast of its handler.
func ExampleNewTracing() {
	tb := exampletb.New()
	spans := tracetest.NewInMemoryExporter() // or an exporter for OTLP
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))

	tracing := siotel.NewTracing(&siotel.TracingOptions{TracerProvider: provider})
	srv := sio.New(&sio.Options{Observers: []*sio.Observer{tracing.Observer()}})
	srv.UseConnect(tracing.Middleware)
	srv.UseEvents(tracing.Middleware)
	srv.On("post", sio.Bind(func(c *sio.Ctx, text string) error {
		return c.To("lobby").Emit("posted", text)
	}))

	c := siotest.Connect(tb, srv, "/", nil)
	c.Ask("post", "hello").Bind()
	tb.End(srv) // waits for the handler
	names := make(map[trace.SpanID]string)
	for _, s := range spans.GetSpans() {
		names[s.SpanContext.SpanID()] = s.Name
	}
	for _, s := range spans.GetSpans() {
		fmt.Printf("%s, parent %q\n", s.Name, names[s.Parent.SpanID()])
	}
	// Output:
	// connect /, parent ""
	// emit / posted, parent "process / post"
	// process / post, parent ""
}

// The metrics of a server, as a reader gets them.
func ExampleNewMetrics() {
	reader := sdkmetric.NewManualReader() // or a reader that exports them
	metrics, err := siotel.NewMetrics(&siotel.MetricsOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := sio.New(&sio.Options{Observers: []*sio.Observer{metrics.Observer()}})
	srv.Of("/chat")

	var got metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &got); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range got.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "sioplug.namespaces" {
			fmt.Println(m.Name, sum.DataPoints[0].Value)
		}
	}
	// Output: sioplug.namespaces 2
}

// A server passes its trace context to the other servers of the cluster.
func ExampleNewContext() {
	tracing := siotel.NewTracing(nil)
	cluster := adapter.NewMemory()
	a, b := sio.New(&sio.Options{Adapter: cluster}), sio.New(&sio.Options{Adapter: cluster})
	tracing.OnServerEvent(b.Namespace, "rename", func(_ context.Context, args sio.Args) (any, error) {
		var name string // the context is not among the arguments
		err := args.Bind(&name)
		return fmt.Sprint(name, " of ", args.Len()), err
	})

	ctx := context.Background() // or that of a handler
	for answer := range sio.ServerSideEmitWithAck[string](ctx, a.Namespace, "rename", "Ada", siotel.NewContext(ctx)) {
		fmt.Println(answer.Value)
	}
	// Output: Ada of 1
}
