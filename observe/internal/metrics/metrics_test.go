package metrics_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/observe/internal/metrics"
)

// exported returns metrics, and a function that returns the counters and the durations of all
// series.
func exported(o metrics.Options[string]) (m *metrics.Metrics[string], all func() map[string]string) {
	name := func(d *metrics.Desc, values []string) string { return d.Name + fmt.Sprintf("%q", values) }
	durations := make(map[string]string)
	o.Series = name
	o.Histogram = func(d *metrics.Desc, _ []float64) func(values []string) metrics.Record {
		return func(values []string) metrics.Record {
			key := name(d, values)
			if _, ok := durations[key]; ok {
				panic(key + " was made twice")
			}
			durations[key] = ""
			return func(seconds float64) { durations[key] += fmt.Sprint(seconds, " ") }
		}
	}
	m = metrics.New(o)
	return m, func() map[string]string {
		got := maps.Clone(durations)
		for _, c := range m.Counters() {
			for s := range c.All() {
				if _, ok := got[s.Exported]; ok || s.Since.IsZero() {
					panic(s.Exported + " was made twice, or never")
				}
				got[s.Exported] = fmt.Sprint(s.Value())
			}
		}
		return got
	}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	m, all := exported(metrics.Options[string]{})
	o := m.Observer()
	c, _ := siotest.NewCtx(t, "order")
	o.EventHandled(sio.EventHandledInfo{Ctx: c, Known: true, Duration: time.Second, Outcome: sio.HandlerOK})
	o.EventHandled(sio.EventHandledInfo{Ctx: c, Known: true, Duration: time.Second, Outcome: sio.HandlerPanic})
	o.EventHandled(sio.EventHandledInfo{Ctx: c, Duration: 2 * time.Second, Outcome: sio.HandlerOK})
	o.AckDone(sio.AckDoneInfo{Socket: c.Socket, Duration: time.Second, Outcome: sio.AckReceived})
	o.AckDone(sio.AckDoneInfo{Socket: c.Socket, Duration: time.Minute, Outcome: sio.AckTimedOut})
	want := map[string]string{
		`cluster_errors[]`: "0", `acks["ok"]`: "1", `acks["timeout"]`: "1", `ack_duration[]`: "1 ",
		`handler_duration["/" "order"]`: "1 1 ", `handler_duration["/" "other"]`: "2 ",
	}
	for _, outcome := range []string{"ok", "refused", "error", "aborted", "internal_error", "panic"} {
		want[fmt.Sprintf(`events["/" "order" %q]`, outcome)] = "0"
		want[fmt.Sprintf(`events["/" "other" %q]`, outcome)] = "0"
	}
	want[`events["/" "order" "ok"]`], want[`events["/" "order" "panic"]`], want[`events["/" "other" "ok"]`] = "1", "1", "1"
	if got := all(); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Names that are not UTF-8 become ones that exporters take. Those that become the same are
// one series.
func TestInvalidNames(t *testing.T) {
	t.Parallel()
	m, all := exported(metrics.Options[string]{})
	refused := m.Observer().GuardRefused
	for _, rule := range []string{"a\xff", "a\xfe", "a\uFFFD", "a\xff"} {
		refused(sio.GuardRefusedInfo{Guard: "mine", Rule: rule})
	}
	if got := all()[`guard_refusals["mine" "a`+"\uFFFD"+`" ""]`]; got != "4" {
		t.Errorf("got %q: %v", got, all())
	}
}

// Rules and codes of guards are the application's, which may make up many.
func TestGuardsAreBounded(t *testing.T) {
	t.Parallel()
	m, all := exported(metrics.Options[string]{})
	for i := range 150 {
		m.Observer().GuardRefused(sio.GuardRefusedInfo{Guard: "mine", Code: fmt.Sprint(i)})
	}
	got := all()
	guards := slices.DeleteFunc(slices.Collect(maps.Keys(got)), func(name string) bool { return !strings.HasPrefix(name, "guard_refusals") })
	if len(guards) != 101 || got[`guard_refusals["other" "other" "other"]`] != "50" {
		t.Errorf("%d series: %v", len(guards), got)
	}
}

// What each message does allocates nothing.
func TestAllocations(t *testing.T) { //nolint:paralleltest // it counts
	m := metrics.New(metrics.Options[string]{
		Series: func(*metrics.Desc, []string) string { return "" },
		Histogram: func(*metrics.Desc, []float64) func([]string) metrics.Record {
			return func([]string) metrics.Record { return func(float64) {} }
		},
	})
	o := m.Observer()
	c, _ := siotest.NewCtx(t, "order")
	do := func() {
		o.EventHandled(sio.EventHandledInfo{Ctx: c, Known: true, Duration: time.Second, Outcome: sio.HandlerOK})
		o.AckDone(sio.AckDoneInfo{Socket: c.Socket, Duration: time.Second, Outcome: sio.AckReceived})
		o.GuardRefused(sio.GuardRefusedInfo{Guard: "mine", Rule: "all", Code: "no"})
	}
	do()
	if n := testing.AllocsPerRun(100, do); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Each metric has a name, a unit and a sentence, and values for its labels.
func TestNumbers(t *testing.T) {
	t.Parallel()
	stats := sio.Stats{PollingSessions: 1}
	stats.Cluster.Healthy = true
	for _, n := range metrics.Numbers() {
		if (n.Unit == "") != (n.Kind == metrics.Flag) || !strings.HasSuffix(n.Help, ".") || len(n.Values) != len(n.Labels) || n.Cluster != strings.HasPrefix(n.Name, "cluster_") {
			t.Errorf("%+v", n)
		}
		want := int64(0)
		if n.Name == "cluster_healthy" || slices.Equal(n.Values, []string{"polling"}) {
			want = 1
		}
		if got := n.Of(&stats); got != want {
			t.Errorf("%s%q is %d, want %d", n.Name, n.Values, got, want)
		}
	}
}
