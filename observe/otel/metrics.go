package siotel

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/observe/internal/metrics"
)

// MetricsOptions are settings of [NewMetrics]. A zero value means the default.
type MetricsOptions struct {
	// MeterProvider makes the instruments. The default is the global one,
	// [otel.GetMeterProvider].
	MeterProvider metric.MeterProvider

	// Attributes are those of all metrics. If a process has several servers, give each
	// of them Metrics of its own, with other values of an attribute.
	Attributes []attribute.KeyValue

	// MaxEvents is how many events have attributes of their own, 100 by default. An event
	// counts once for each namespace.
	MaxEvents int

	// MaxNamespaces is how many namespaces have attributes of their own, 20 by default.
	MaxNamespaces int
}

// Metrics are the metrics of a server. They keep the server until [Metrics.Unregister].
//
// They count themselves, and are asked for the counts when they are exported. Up to 63 durations
// of an event wait until then, too: measuring them together takes less time.
type Metrics struct {
	counted      *metrics.Metrics[attributes]
	counters     []metric.Int64Observable // of counted.Counters
	durations    durations
	numbers      []metrics.Number
	read         []number // of numbers
	registration metric.Registration
}

// attributes are those of one series of an observable instrument.
type attributes []metric.ObserveOption

// A number is how a number of [sio.Server.Stats] is exported.
type number struct {
	instrument metric.Int64Observable
	attributes attributes
}

// NewMetrics returns metrics; opts may be nil. Pass [Metrics.Observer] to the server. An
// error is that of the MeterProvider.
func NewMetrics(opts *MetricsOptions) (*Metrics, error) {
	var o MetricsOptions
	if opts != nil {
		o = *opts
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	m := &Metrics{numbers: metrics.Numbers()}
	in := instruments{meter: o.MeterProvider.Meter(scope), common: slices.Clone(o.Attributes), durations: &m.durations}
	m.counted = metrics.New(metrics.Options[attributes]{
		MaxEvents: o.MaxEvents, MaxNamespaces: o.MaxNamespaces, Series: in.series, Histogram: in.histogram,
	})
	for _, c := range m.counted.Counters() {
		m.counters = append(m.counters, in.observable(&c.Desc, metrics.Total))
	}
	m.read = in.numbers(m.numbers)
	if err := m.register(&in); err != nil {
		return nil, err
	}
	return m, nil
}

// register has the instruments read, unless one could not be made.
func (m *Metrics) register(in *instruments) error {
	if len(in.errs) > 0 {
		return errors.Join(in.errs...)
	}
	all := make([]metric.Observable, 0, len(m.counters)+len(m.read))
	for _, c := range m.counters {
		all = append(all, c)
	}
	for _, r := range m.read {
		all = append(all, r.instrument)
	}
	var err error
	m.registration, err = in.meter.RegisterCallback(m.observe, all...)
	return err
}

// Observer returns the observer for [sio.Options].Observers.
func (m *Metrics) Observer() *sio.Observer { return m.counted.Observer() }

// Unregister ends the metrics, but for the histograms, and forgets the servers. Call it when
// the servers have ended and the MeterProvider goes on. What was counted since the last export
// is exported only if you call ForceFlush of the MeterProvider before.
func (m *Metrics) Unregister() error {
	m.counted.Servers.Forget()
	err := m.registration.Unregister()
	m.durations.flush()
	return err
}

// observe tells what was counted, and what there is. SDKs call it before they read histograms.
func (m *Metrics) observe(_ context.Context, to metric.Observer) error {
	m.durations.flush() //nolint:contextcheck // measurements are not those of one export
	for i, c := range m.counted.Counters() {
		for s := range c.All() {
			to.ObserveInt64(m.counters[i], s.Value(), s.Exported...)
		}
	}
	m.counted.Servers.Read(m.numbers, func(i int, sum int64) {
		to.ObserveInt64(m.read[i].instrument, sum, m.read[i].attributes...)
	})
	return nil
}
