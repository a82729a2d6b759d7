package siotel

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/sioplug/sioplug/observe/internal/metrics"
)

const prefix = "sioplug."

// instruments makes instruments, and keeps the errors.
type instruments struct {
	meter  metric.Meter
	common []attribute.KeyValue // of all series
	errs   []error

	durations *durations
}

// set returns the attributes of a series.
func (in *instruments) set(names, values []string) metric.MeasurementOption {
	attrs := slices.Clone(in.common)
	for i, v := range values {
		attrs = append(attrs, attribute.String(names[i], v))
	}
	return metric.WithAttributeSet(attribute.NewSet(attrs...))
}

// series returns the attributes of a series of a counter.
func (in *instruments) series(d *metrics.Desc, values []string) attributes {
	return attributes{in.set(d.Labels, values)}
}

// histogram makes a histogram, and returns a function that makes its series.
func (in *instruments) histogram(d *metrics.Desc, bounds []float64) func(values []string) metrics.Record {
	h, err := in.meter.Float64Histogram(prefix+d.Name, metric.WithUnit(d.Unit), metric.WithDescription(d.Help), metric.WithExplicitBucketBoundaries(bounds...))
	in.note(err)
	return func(values []string) metrics.Record {
		return in.durations.add(h, in.set(d.Labels, values)).record
	}
}

// numbers makes the instruments of numbers. Series of one metric share theirs.
func (in *instruments) numbers(list []metrics.Number) []number {
	made := make(map[string]metric.Int64Observable)
	all := make([]number, len(list))
	for i := range list {
		n := &list[i]
		if made[n.Name] == nil {
			made[n.Name] = in.observable(&n.Desc, n.Kind)
		}
		all[i] = number{made[n.Name], in.series(&n.Desc, n.Values)}
	}
	return all
}

// observable makes an instrument that is read when it is exported.
func (in *instruments) observable(d *metrics.Desc, kind metrics.Kind) (i metric.Int64Observable) {
	var err error
	unit, help := metric.WithUnit(d.Unit), metric.WithDescription(d.Help)
	switch kind {
	case metrics.Total:
		i, err = in.meter.Int64ObservableCounter(prefix+d.Name, unit, help)
	case metrics.Current:
		i, err = in.meter.Int64ObservableUpDownCounter(prefix+d.Name, unit, help)
	case metrics.Flag:
		i, err = in.meter.Int64ObservableGauge(prefix+d.Name, unit, help)
	}
	in.note(err)
	return i
}

func (in *instruments) note(err error) {
	if err != nil {
		in.errs = append(in.errs, err)
	}
}
