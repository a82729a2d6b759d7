package sioprometheus

import (
	"github.com/prometheus/client_golang/prometheus"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/observe/internal/metrics"
)

// Options are settings of [New]. A zero value means the default.
type Options struct {
	// ConstLabels are labels of all metrics. If a process has several servers, give each
	// of them Metrics of its own, with other values of a label.
	ConstLabels prometheus.Labels

	// MaxEvents is how many events have labels of their own, 100 by default. An event
	// counts once for each namespace.
	MaxEvents int

	// MaxNamespaces is how many namespaces have labels of their own, 20 by default.
	MaxNamespaces int

	// HandlerBuckets and AckBuckets are upper bounds in seconds of the histograms of
	// handlers and acknowledgements. The defaults go from 0.1 ms to 10 s, and from 1 ms to
	// 30 s.
	HandlerBuckets []float64
	AckBuckets     []float64
}

const (
	prefix = "sioplug_"
	suffix = "_total" // of counters
)

// Metrics are the metrics of a server. They implement [prometheus.Collector]. They keep the
// server, so they should live as long as it does.
type Metrics struct {
	constLabels prometheus.Labels

	counted    *metrics.Metrics[[]string] // a series is exported with its labels
	counters   []*prometheus.Desc         // of counted.Counters
	numbers    []metrics.Number
	read       []*prometheus.Desc // of numbers
	histograms []*prometheus.HistogramVec
}

// New returns metrics; opts may be nil. Pass [Metrics.Observer] to the server, and register
// the metrics, for example with [prometheus.MustRegister].
func New(opts *Options) *Metrics {
	var o Options
	if opts != nil {
		o = *opts
	}
	m := &Metrics{constLabels: o.ConstLabels, numbers: metrics.Numbers()}
	m.counted = metrics.New(metrics.Options[[]string]{
		MaxEvents: o.MaxEvents, MaxNamespaces: o.MaxNamespaces, HandlerBounds: o.HandlerBuckets, AckBounds: o.AckBuckets,
		Series:    func(_ *metrics.Desc, values []string) []string { return values },
		Histogram: m.histogram,
	})
	for _, c := range m.counted.Counters() {
		m.counters = append(m.counters, m.desc(&c.Desc, suffix))
	}
	for i := range m.numbers {
		n := &m.numbers[i]
		if n.Kind == metrics.Total {
			m.read = append(m.read, m.desc(&n.Desc, suffix))
		} else {
			m.read = append(m.read, m.desc(&n.Desc, ""))
		}
	}
	return m
}

func (m *Metrics) desc(d *metrics.Desc, suffix string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+d.Name+suffix, d.Help, d.Labels, m.constLabels)
}

// histogram makes a histogram, and returns a function that makes its series.
func (m *Metrics) histogram(d *metrics.Desc, bounds []float64) func(values []string) metrics.Record {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: prefix + d.Name + "_seconds", Help: d.Help, ConstLabels: m.constLabels, Buckets: bounds,
	}, d.Labels)
	m.histograms = append(m.histograms, h)
	return func(values []string) metrics.Record { return h.WithLabelValues(values...).Observe }
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, h := range m.histograms {
		h.Describe(ch)
	}
	for _, list := range [][]*prometheus.Desc{m.counters, m.read} {
		for _, d := range list {
			ch <- d
		}
	}
}

// Collect implements [prometheus.Collector]. It calls [sio.Server.Stats].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, h := range m.histograms {
		h.Collect(ch)
	}
	for i, c := range m.counted.Counters() {
		for s := range c.All() {
			ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(m.counters[i], prometheus.CounterValue, float64(s.Value()), s.Since, s.Exported...)
		}
	}
	m.counted.Servers.Read(m.numbers, func(i int, sum int64) {
		kind := prometheus.GaugeValue
		if m.numbers[i].Kind == metrics.Total {
			kind = prometheus.CounterValue
		}
		ch <- prometheus.MustNewConstMetric(m.read[i], kind, float64(sum), m.numbers[i].Values...)
	})
}

// Observer returns the observer for [sio.Options.Observers].
func (m *Metrics) Observer() *sio.Observer { return m.counted.Observer() }
