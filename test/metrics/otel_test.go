package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	siotel "github.com/sioplug/sioplug/observe/otel"
	sioprometheus "github.com/sioplug/sioplug/observe/prometheus"
)

// TestSameMetrics: what package siotel exports has the names, labels and values of package
// sioprometheus, when an exporter of OpenTelemetry gives it to Prometheus. So the dashboard and
// the alerts are for both.
func TestSameMetrics(t *testing.T) {
	t.Parallel()
	ours, theirs := prometheus.NewRegistry(), prometheus.NewRegistry()
	metrics := sioprometheus.New(nil)
	ours.MustRegister(metrics)
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(theirs), otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
	if err != nil {
		t.Fatal(err)
	}
	otelMetrics, err := siotel.NewMetrics(&siotel.MetricsOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))})
	if err != nil {
		t.Fatal(err)
	}
	srv := sio.New(&sio.Options{
		Adapter: adapter.NewMemory(), Observers: []*sio.Observer{metrics.Observer(), otelMetrics.Observer()},
		ConnectionStateRecovery: &sio.Recovery{}, MaxSendBuffer: 1 << 10,
	})
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	traffic(t, srv)
	for deadline := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		want, got := gather(t, ours), gather(t, theirs)
		if len(want) >= 50 && slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("siotel has\n%s\nwant %d:\n%s", strings.Join(got, "\n"), len(want), strings.Join(want, "\n"))
		}
	}
}

// traffic has clients do something of everything.
func traffic(t *testing.T, srv *sio.Server) {
	t.Helper()
	srv.Of("/closed").UseConnect(sio.Guard(func(c *sio.Ctx) error {
		c.ReportRefusal(sio.GuardError{Guard: "test", Code: "no"})
		return &sio.Error{Message: "no"}
	}))
	srv.On("add", func(c *sio.Ctx) error {
		_, err := sio.EmitWithAck[int](c.Context(), c.Socket, "question")
		return errors.Join(err, c.Ack())
	})
	d := siotest.Loopback(t, srv)
	c := connect(t, strings.TrimSuffix(d.URL, "/socket.io/"))
	c.On("question", sioclient.Reply(func(*sioclient.Ctx, struct{}) (int, error) { return 1, nil }))
	for _, event := range []string{"add", "made up"} {
		if err := c.Emit(event); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.EmitWithAck(t.Context(), "add"); err != nil {
		t.Fatal(err)
	}
	refused := d.WebSocket(t)
	refused.Send("40/closed")
	refused.Next()
	refused.Send(`40{"pid":"x","offset":"y"}`)
	refused.Next()
	refused.Close()
	p := d.Polling(t)
	p.Connect("/", "")
	p.Upgrade()
	slow := d.Polling(t)
	slow.Connect("/", "")
	resp, err := d.HTTP(t).Get(d.Endpoint("transport", "tobi"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	for range 30 {
		if err := srv.Emit("news", strings.Repeat("x", 100)); err != nil {
			t.Fatal(err)
		}
	}
}

// gather returns the metrics without what depends on time.
func gather(t *testing.T, reg *prometheus.Registry) (lines []string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			line := fmt.Sprint(f.GetName(), " ", f.GetType(), " ", f.GetHelp())
			for _, l := range m.GetLabel() {
				line += fmt.Sprintf(" %s=%q", l.GetName(), l.GetValue())
			}
			switch f.GetType().String() {
			case "COUNTER":
				line += fmt.Sprint(" ", m.GetCounter().GetValue())
			case "GAUGE":
				line += fmt.Sprint(" ", m.GetGauge().GetValue())
			case "HISTOGRAM":
				line += fmt.Sprint(" ", m.GetHistogram().GetSampleCount())
				for _, b := range m.GetHistogram().GetBucket() {
					line += fmt.Sprint(" ", b.GetUpperBound())
				}
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}
