package siotel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	siotel "github.com/sioplug/sioplug/observe/otel"
)

// measured runs f with a server whose metrics go to a reader.
func measured(t *testing.T, o siotel.MetricsOptions, opts sio.Options, f func(t *testing.T, srv *sio.Server, d siotest.Dialer, r *sdkmetric.ManualReader)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		o.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		metrics, err := siotel.NewMetrics(&o)
		if err != nil {
			t.Fatal(err)
		}
		opts.Observers = []*sio.Observer{metrics.Observer()}
		opts.Logger = slog.New(slog.DiscardHandler)
		srv := sio.New(&opts)
		d := siotest.Pipes(t, srv)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := errors.Join(srv.Shutdown(ctx), metrics.Unregister()); err != nil {
				t.Error(err)
			}
		})
		f(t, srv, d, reader)
	})
}

// wantMetrics compares the metrics of these names. A line is a metric with its attributes and
// value.
func wantMetrics(t *testing.T, r *sdkmetric.ManualReader, lines ...string) {
	t.Helper()
	synctest.Wait()
	got := collected(t, r)
	for _, l := range lines {
		i := strings.LastIndex(l, ": ")
		if v := got["sioplug."+l[:i]]; v != l[i+2:] {
			t.Errorf("%s is %q, want %q", l[:i], v, l[i+2:])
		}
	}
}

// collected returns all values, by the name and the attributes.
func collected(t *testing.T, r *sdkmetric.ManualReader) map[string]string {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			name := func(set attribute.Set) string {
				if set.Len() == 0 {
					return m.Name
				}
				return m.Name + "{" + set.Encoded(attribute.DefaultEncoder()) + "}"
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					got[name(p.Attributes)] = fmt.Sprint(p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					got[name(p.Attributes)] = fmt.Sprint(p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					got[name(p.Attributes)] = fmt.Sprintf("%d in %g%s", p.Count, p.Sum, m.Unit)
				}
			default:
				t.Fatalf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	return got
}

func TestSessionsAndSockets(t *testing.T) {
	opts := sio.Options{MaxSendBuffer: 1 << 10}
	measured(t, siotel.MetricsOptions{}, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer, r *sdkmetric.ManualReader) {
		srv.OnConnect(func(c *sio.Ctx) error { return c.Join("a", "b") })
		srv.Of("/chat").UseConnect(sio.Guard(func(c *sio.Ctx) error {
			c.ReportRefusal(sio.GuardError{Guard: "test", Rule: "all", Code: "no"})
			return &sio.Error{Message: "no"}
		}))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send("40/chat")
		c.Next()
		p := d.Polling(t)
		p.Connect("/", "")
		p.Upgrade()
		resp, err := d.HTTP(t).Get(d.Endpoint("transport", "tobi"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		wantMetrics(t, r,
			"sessions{transport=polling}: 0", "sessions{transport=websocket}: 2", "sockets: 2", "rooms: 2", "namespaces: 2",
			"sessions_opened{protocol=4,transport=polling}: 1", "sessions_opened{protocol=4,transport=websocket}: 1",
			"upgrades{result=ok}: 1", "requests_refused{code=0,name=}: 1", "sockets_connected{namespace=/}: 2",
			"sockets_refused{reason=guard}: 1", "guard_refusals{code=no,guard=test,rule=all}: 1")
		time.Sleep(time.Second)
		c.Close()
		wantMetrics(t, r,
			"sessions{transport=websocket}: 1", "sockets: 1", "sessions_closed{reason=transport close,transport=websocket}: 1",
			"session_duration{transport=websocket}: 1 in 1.02s", "sockets_disconnected{namespace=/,reason=transport close}: 1")
		slow := d.Polling(t)
		slow.Connect("/", "")
		for range 30 {
			_ = srv.Emit("news", strings.Repeat("x", 100))
		}
		wantMetrics(t, r, "slow_clients{transport=polling}: 1")
		stats, got := srv.Stats(), collected(t, r)
		for name, n := range map[string]uint64{
			"received_packets": stats.PacketsReceived, "sent_packets": stats.PacketsSent,
			"received_bytes": stats.BytesReceived, "sent_bytes": stats.BytesSent, "queued_bytes": uint64(stats.QueuedBytes),
		} {
			if got["sioplug."+name] != fmt.Sprint(n) {
				t.Errorf("%s is %s, want %d", name, got["sioplug."+name], n)
			}
		}
	})
}

// Events that a slow client does not get are counted by the policy of their broadcast.
func TestDroppedEvents(t *testing.T) {
	measured(t, siotel.MetricsOptions{}, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, r *sdkmetric.ManualReader) {
		d.Polling(t).Connect("/", "") // and polls no more
		for i := range 5 {
			if err := errors.Join(srv.Broadcast().DropOldest(2).Emit("step", i), srv.Broadcast().Latest("car").Emit("moved", i)); err != nil {
				t.Fatal(err)
			}
		}
		wantMetrics(t, r, "dropped_events{policy=drop_oldest}: 3", "dropped_events{policy=latest}: 4")
	})
}

func TestEventMetrics(t *testing.T) {
	o := siotel.MetricsOptions{Attributes: []attribute.KeyValue{attribute.String("server", "chat")}}
	measured(t, o, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, r *sdkmetric.ManualReader) {
		srv.On("slow", func(*sio.Ctx) error { time.Sleep(time.Second); return nil })
		srv.On("broken", func(*sio.Ctx) error { return errors.New("broken") })
		srv.On("panic", func(*sio.Ctx) error { panic("oh no") })
		srv.OfRegexp(regexp.MustCompile(`^/room-\d+$`)).On("hello", func(*sio.Ctx) error { return nil })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["slow"]`, `42["slow"]`, `42["broken"]`, `42["panic"]`, `42["made up"]`, `42["made up too"]`)
		for i := range 3 {
			c.Connect(fmt.Sprintf("/room-%d", i), "")
			c.Send(fmt.Sprintf(`42/room-%d,["hello"]`, i))
		}
		time.Sleep(3 * time.Second)
		wantMetrics(t, r,
			"events{event=slow,namespace=/,outcome=ok,server=chat}: 2",
			"handler_duration{event=slow,namespace=/,server=chat}: 2 in 2s",
			"events{event=broken,namespace=/,outcome=internal_error,server=chat}: 1",
			"events{event=panic,namespace=/,outcome=panic,server=chat}: 1",
			"events{event=other,namespace=/,outcome=ok,server=chat}: 2",
			"events{event=hello,namespace=/_0,outcome=ok,server=chat}: 3",
			"sockets_connected{namespace=/_0,server=chat}: 3", "sockets{server=chat}: 4")
	})
}

func TestAttributesAreBounded(t *testing.T) {
	o := siotel.MetricsOptions{MaxEvents: 3, MaxNamespaces: 2}
	measured(t, o, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, r *sdkmetric.ManualReader) {
		c := d.WebSocket(t)
		for i := range 5 {
			name := fmt.Sprintf("/n%d", i)
			for j := range 5 {
				srv.Of(name).On(fmt.Sprint("e", j), func(*sio.Ctx) error { return nil })
			}
			c.Connect(name, "")
			for j := range 5 {
				c.Send(fmt.Sprintf(`42%s,["e%d"]`, name, j))
				synctest.Wait()
			}
		}
		wantMetrics(t, r,
			"events{event=e2,namespace=/n0,outcome=ok}: 1", "events{event=other,namespace=/n0,outcome=ok}: 2",
			"events{event=other,namespace=/n1,outcome=ok}: 5", "events{event=other,namespace=other,outcome=ok}: 15",
			"sockets_connected{namespace=other}: 3")
		series := 0
		for name := range collected(t, r) {
			if strings.HasPrefix(name, "sioplug.handler_duration") {
				series++
			}
		}
		if series != 6 { // three events, and the others of three namespaces
			t.Errorf("%d series", series)
		}
	})
}

func TestAcksAndRecoveries(t *testing.T) {
	opts := sio.Options{ConnectionStateRecovery: &sio.Recovery{}}
	measured(t, siotel.MetricsOptions{}, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer, r *sdkmetric.ManualReader) {
		sockets := make(chan *sio.Socket, 2)
		srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
		p := d.Connect(t, "/", nil)
		p.AutoAck("question", 1)
		s := <-sockets
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.EmitWithAck(ctx, "question"); err != nil {
			t.Error(err)
		}
		if _, err := s.EmitWithAck(ctx, "silence"); err == nil {
			t.Error("an ack out of nothing")
		}
		c := d.WebSocket(t)
		c.Send(`40{"pid":"x","offset":"y"}`)
		c.Next()
		wantMetrics(t, r, "acks{outcome=ok}: 1", "acks{outcome=timeout}: 1", "ack_duration: 1 in 0s", "recoveries{outcome=unknown_session}: 1")
	})
}

// A fakeCluster has a status.
type fakeCluster struct {
	adapter.Cluster

	tell func(error)
}

func (c *fakeCluster) NotifyErrors(f func(error)) { c.tell = f }

func (*fakeCluster) Status() adapter.Status {
	return adapter.Status{Healthy: true, Members: make([]adapter.Member, 2), Queued: 3, QueuedBytes: 4, Sent: 5, Received: 6, Lost: 7, Refused: 8, Gaps: 9}
}

type fakeAdapter struct{ adapter.Adapter }

func (c *fakeCluster) Join(name string, n adapter.Node) adapter.Adapter {
	return fakeAdapter{c.Cluster.Join(name, n)}
}

func TestClusterMetrics(t *testing.T) {
	c := &fakeCluster{Cluster: adapter.NewMemory()}
	measured(t, siotel.MetricsOptions{}, sio.Options{Adapter: c}, func(t *testing.T, _ *sio.Server, _ siotest.Dialer, r *sdkmetric.ManualReader) {
		c.tell(errors.New("no broker"))
		c.tell(nil)
		wantMetrics(t, r, "cluster_healthy: 1", "cluster_members: 2", "cluster_queued_messages: 3", "cluster_queued_bytes: 4",
			"cluster_sent_messages: 5", "cluster_received_messages: 6", "cluster_lost_messages: 7",
			"cluster_refused_messages: 8", "cluster_gaps: 9", "cluster_errors: 1")
	})
}

// Readers that export differences get those of the counters.
func TestDeltas(t *testing.T) {
	t.Parallel()
	deltas := func(sdkmetric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }
	reader := sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(deltas))
	metrics, err := siotel.NewMetrics(&siotel.MetricsOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	c, _ := siotest.NewCtx(t, "order", 1)
	for _, times := range []int{2, 3, 0} {
		for range times {
			metrics.Observer().EventHandled(sio.EventHandledInfo{Ctx: c, Known: true, Duration: time.Second, Outcome: sio.HandlerOK})
		}
		if got := collected(t, reader)["sioplug.events{event=order,namespace=/,outcome=ok}"]; got != fmt.Sprint(times) {
			t.Errorf("got %s, want %d", got, times)
		}
	}
}

// Durations are recorded in batches. All are there at each export.
func TestDurations(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	metrics, err := siotel.NewMetrics(&siotel.MetricsOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	handled := metrics.Observer().EventHandled
	c, _ := siotest.NewCtx(t, "order", 1)
	total := 0
	want := func() {
		t.Helper()
		if got := collected(t, reader)["sioplug.handler_duration{event=order,namespace=/}"]; got != fmt.Sprintf("%d in %ds", total, total) {
			t.Errorf("got %s, want %d", got, total)
		}
	}
	for _, times := range []int{1, 63, 64, 65, 500} {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range times {
					handled(sio.EventHandledInfo{Ctx: c, Known: true, Duration: time.Second, Outcome: sio.HandlerOK})
				}
			})
		}
		all.Wait()
		total += 4 * times
		want()
	}
	handled(sio.EventHandledInfo{Ctx: c, Known: true, Duration: time.Second, Outcome: sio.HandlerOK})
	total++
	if err := metrics.Unregister(); err != nil {
		t.Error(err)
	}
	want() // the histogram stays, with all that was measured
}

// After Unregister, nothing is read from the server.
func TestUnregister(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	metrics, err := siotel.NewMetrics(&siotel.MetricsOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the servers are summed
		srv := sio.New(&sio.Options{Observers: []*sio.Observer{metrics.Observer()}})
		t.Cleanup(func() {
			if err := srv.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	if got := collected(t, reader); got["sioplug.namespaces"] != "2" || got["sioplug.cluster_errors"] != "0" {
		t.Errorf("got %v", got)
	}
	if err := metrics.Unregister(); err != nil {
		t.Error(err)
	}
	if got := collected(t, reader); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}

// Metrics of what each message does allocate nothing.
func TestMetricsAllocateNothing(t *testing.T) { //nolint:paralleltest // it counts
	metrics, err := siotel.NewMetrics(&siotel.MetricsOptions{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))})
	if err != nil {
		t.Fatal(err)
	}
	o := metrics.Observer()
	c, _ := siotest.NewCtx(t, "order", 1)
	event := sio.EventHandledInfo{Ctx: c, Known: true, Duration: time.Millisecond, Outcome: sio.HandlerOK}
	ack := sio.AckDoneInfo{Socket: c.Socket, Event: "question", Duration: time.Millisecond, Outcome: sio.AckReceived}
	o.EventHandled(event)
	o.AckDone(ack)
	if n := testing.AllocsPerRun(100, func() { o.EventHandled(event); o.AckDone(ack) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A badProvider has meters that make no counters.
type badProvider struct{ embedded.MeterProvider }

type badMeter struct{ noop.Meter }

var errNoCounter = errors.New("no counter")

func (badProvider) Meter(string, ...metric.MeterOption) metric.Meter { return badMeter{} }

func (badMeter) Int64ObservableCounter(string, ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return noop.Int64ObservableCounter{}, errNoCounter
}

func TestNewMetricsFails(t *testing.T) {
	t.Parallel()
	if _, err := siotel.NewMetrics(&siotel.MetricsOptions{MeterProvider: badProvider{}}); !errors.Is(err, errNoCounter) {
		t.Error(err)
	}
}

// Without options, the global providers are used, which do nothing by default.
func TestDefaults(t *testing.T) {
	t.Parallel()
	metrics, err := siotel.NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	tracing := siotel.NewTracing(nil)
	srv := sio.New(&sio.Options{Observers: []*sio.Observer{tracing.Observer(), metrics.Observer()}})
	srv.UseEvents(tracing.Middleware)
	srv.On("hello", func(c *sio.Ctx) error { return errors.Join(c.Broadcast().Emit("hello"), c.Ack("hi")) })
	var got string
	if siotest.Connect(t, srv, "/", nil).Ask("hello").Bind(&got); got != "hi" {
		t.Error(got)
	}
}
