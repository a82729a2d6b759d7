package siotel

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/metric"
)

// batch is how many durations of a series are recorded at once. OpenTelemetry has no histogram
// that is read when it is exported. On the way of an event, the SDK's code and data are not in the
// caches of the processor: BenchmarkPaired has 1.07 x the time of an echo with batches of 1, and
// 1.04 x with 64.
const batch = 64

// durations are the series of histograms.
type durations struct {
	mu   sync.Mutex
	list []*series // is only appended to
}

// add adds a series.
func (d *durations) add(h metric.Float64Histogram, attrs metric.MeasurementOption) *series {
	s := &series{histogram: h, opts: []metric.RecordOption{attrs}}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, s)
	return s
}

// flush records what waits.
func (d *durations) flush() {
	d.mu.Lock()
	list := d.list
	d.mu.Unlock()
	for _, s := range list {
		s.flush()
	}
}

// A series of a histogram keeps its attributes: making them would take longer than many
// handlers.
type series struct {
	histogram metric.Float64Histogram
	opts      []metric.RecordOption

	mu      sync.Mutex
	n       int
	waiting [batch]float64 // n of them
}

// record records a duration, at once or in a batch.
func (s *series) record(seconds float64) {
	s.mu.Lock()
	s.waiting[s.n] = seconds
	s.n++
	if s.n < batch {
		s.mu.Unlock()
		return
	}
	s.flushUnlock()
}

func (s *series) flush() {
	s.mu.Lock()
	s.flushUnlock()
}

// flushUnlock records what waits. It unlocks mu before that: others need not wait for it.
func (s *series) flushUnlock() {
	n, waiting := s.n, s.waiting
	s.n = 0
	s.mu.Unlock()
	for _, seconds := range waiting[:n] { // not in the context of one event
		s.histogram.Record(context.Background(), seconds, s.opts...)
	}
}
