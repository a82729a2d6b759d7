package sioprometheus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	sioprometheus "github.com/sioplug/sioplug/observe/prometheus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// measured runs f with a server whose metrics are registered.
func measured(t *testing.T, o *sioprometheus.Options, opts sio.Options, f func(t *testing.T, srv *sio.Server, d siotest.Dialer, reg *prometheus.Registry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		metrics, reg := sioprometheus.New(o), prometheus.NewPedanticRegistry()
		reg.MustRegister(metrics)
		opts.Observers = []*sio.Observer{metrics.Observer()}
		opts.Logger = slog.New(slog.DiscardHandler)
		srv := sio.New(&opts)
		d := siotest.Pipes(t, srv)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := srv.Shutdown(ctx); err != nil {
				t.Errorf("shutdown: %v", err)
			}
		})
		f(t, srv, d, reg)
	})
}

// want compares the metrics of these names. A line is a metric with its labels and value.
func want(t *testing.T, reg *prometheus.Registry, lines ...string) {
	t.Helper()
	synctest.Wait()
	got := make(map[string]string)
	for _, l := range exposed(t, reg) {
		metric, value, _ := cut(l)
		got[metric] = value
	}
	for _, l := range lines {
		metric, value, _ := cut(l)
		if got["sioplug_"+metric] != value {
			t.Errorf("%s is %q, want %q", metric, got["sioplug_"+metric], value)
		}
	}
}

// cut cuts a line in front of the last space.
func cut(line string) (metric, value string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	return line[:max(0, i)], line[i+1:], i >= 0
}

// exposed returns the metrics as a scrape gets them.
func exposed(t *testing.T, reg *prometheus.Registry) []string {
	t.Helper()
	var lines []string
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.GetCounter() != nil:
				lines = append(lines, fmt.Sprint(name, " ", m.GetCounter().GetValue()))
			case m.GetGauge() != nil:
				lines = append(lines, fmt.Sprint(name, " ", m.GetGauge().GetValue()))
			case m.GetHistogram() != nil:
				lines = append(lines, fmt.Sprintf("%s %d in %gs", name, m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()))
			}
		}
	}
	return lines
}

func TestSessionsAndSockets(t *testing.T) {
	measured(t, nil, sio.Options{MaxSendBuffer: 1 << 10}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, reg *prometheus.Registry) {
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
		want(t, reg,
			`sessions{transport="polling"} 0`, `sessions{transport="websocket"} 2`, "sockets 2", "rooms 2", "namespaces 2",
			`sessions_opened_total{protocol="4",transport="polling"} 1`, `sessions_opened_total{protocol="4",transport="websocket"} 1`,
			`upgrades_total{result="ok"} 1`,
			`requests_refused_total{code="0",name=""} 1`,
			`sockets_connected_total{namespace="/"} 2`,
			`sockets_refused_total{reason="guard"} 1`, `guard_refusals_total{code="no",guard="test",rule="all"} 1`)
		time.Sleep(time.Second)
		c.Close()
		want(t, reg,
			`sessions{transport="websocket"} 1`, "sockets 1",
			`sessions_closed_total{reason="transport close",transport="websocket"} 1`,
			`session_duration_seconds{transport="websocket"} 1 in 1.02s`,
			`sockets_disconnected_total{namespace="/",reason="transport close"} 1`)
		slow := d.Polling(t)
		slow.Connect("/", "")
		for range 30 {
			_ = srv.Emit("news", strings.Repeat("x", 100))
		}
		want(t, reg, `slow_clients_total{transport="polling"} 1`)
	})
}

func TestEvents(t *testing.T) {
	measured(t, nil, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, reg *prometheus.Registry) {
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
		want(t, reg,
			`events_total{event="slow",namespace="/",outcome="ok"} 2`,
			`handler_duration_seconds{event="slow",namespace="/"} 2 in 2s`,
			`events_total{event="broken",namespace="/",outcome="internal_error"} 1`,
			`events_total{event="panic",namespace="/",outcome="panic"} 1`,
			`events_total{event="other",namespace="/",outcome="ok"} 2`,
			`events_total{event="hello",namespace="/_0",outcome="ok"} 3`,
			`sockets_connected_total{namespace="/_0"} 3`)
	})
}

func TestLabelsAreBounded(t *testing.T) {
	o := &sioprometheus.Options{MaxEvents: 3, MaxNamespaces: 2}
	measured(t, o, sio.Options{MaxPendingEvents: 10}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, reg *prometheus.Registry) {
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
		want(t, reg,
			`events_total{event="e2",namespace="/n0",outcome="ok"} 1`,
			`events_total{event="other",namespace="/n0",outcome="ok"} 2`,
			`events_total{event="other",namespace="/n1",outcome="ok"} 5`,
			`events_total{event="other",namespace="other",outcome="ok"} 15`,
			`sockets_connected_total{namespace="other"} 3`)
		series := 0
		for _, l := range exposed(t, reg) {
			if strings.HasPrefix(l, "sioplug_handler_duration_seconds") {
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
	measured(t, nil, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer, reg *prometheus.Registry) {
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
		want(t, reg, `acks_total{outcome="ok"} 1`, `acks_total{outcome="timeout"} 1`, "ack_duration_seconds 1 in 0s",
			`recoveries_total{outcome="unknown_session"} 1`)
	})
}

// Events that a slow client does not get are counted by the policy of their broadcast.
func TestDroppedEvents(t *testing.T) {
	measured(t, nil, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, reg *prometheus.Registry) {
		d.Polling(t).Connect("/", "") // and polls no more
		for i := range 5 {
			if err := errors.Join(srv.Broadcast().DropOldest(2).Emit("step", i), srv.Broadcast().Latest("car").Emit("moved", i)); err != nil {
				t.Fatal(err)
			}
		}
		want(t, reg, `dropped_events_total{policy="drop_oldest"} 3`, `dropped_events_total{policy="latest"} 4`)
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

func TestCluster(t *testing.T) {
	c := &fakeCluster{Cluster: adapter.NewMemory()}
	measured(t, nil, sio.Options{Adapter: c}, func(t *testing.T, _ *sio.Server, _ siotest.Dialer, reg *prometheus.Registry) {
		c.tell(errors.New("no broker"))
		c.tell(nil)
		want(t, reg, "cluster_healthy 1", "cluster_members 2", "cluster_queued_messages 3", "cluster_queued_bytes 4",
			"cluster_sent_messages_total 5", "cluster_received_messages_total 6", "cluster_lost_messages_total 7",
			"cluster_refused_messages_total 8", "cluster_gaps_total 9", "cluster_errors_total 1")
	})
}

// Names and help texts follow the conventions of Prometheus.
func TestLint(t *testing.T) {
	opts := sio.Options{
		Adapter: &fakeCluster{Cluster: adapter.NewMemory()},
		UseRequest: []func(http.Header, *sio.Request) error{func(_ http.Header, r *sio.Request) error {
			if r.Query.Get("busy") == "" {
				return nil
			}
			return &sio.HTTPError{Status: http.StatusTooManyRequests, Err: &sio.GuardError{Guard: "test", Code: "busy"}}
		}},
	}
	o := &sioprometheus.Options{ConstLabels: prometheus.Labels{"server": "chat"}}
	measured(t, o, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer, reg *prometheus.Registry) {
		srv.On("hello", func(*sio.Ctx) error { return nil })
		resp, err := d.HTTP(t).Get(d.Endpoint("EIO", "4", "transport", "polling", "busy", "1"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["hello"]`)
		synctest.Wait()
		problems, err := testutil.GatherAndLint(reg)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
		want(t, reg, `guard_refusals_total{code="busy",guard="test",rule="",server="chat"} 1`,
			`requests_refused_total{code="none",name="MIDDLEWARE",server="chat"} 1`)
	})
}
