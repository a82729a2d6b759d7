package metrics

import (
	"iter"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sioplug/sioplug/internal/labels"
)

// A Desc describes a metric.
type Desc struct {
	Name   string   // without the prefix, the unit and "_total"
	Unit   string   // as OpenTelemetry has it: "s", "By", "{event}", or none
	Help   string   // a sentence
	Labels []string // the names of the labels
}

// A Counter is a metric that only grows.
type Counter[S any] struct {
	Desc

	series family[*Series[S]]
}

// A Series is a counter with certain values of the labels.
type Series[S any] struct {
	Exported S         // what Options.Series has made
	Since    time.Time // when it was made

	n atomic.Int64
}

// Value returns how often was counted.
func (s *Series[S]) Value() int64 { return s.n.Load() }

func (s *Series[S]) inc() { s.n.Add(1) }

// All returns the series that there are, in any order.
func (c *Counter[S]) All() iter.Seq[*Series[S]] { return c.series.made.All() }

// inc counts one. It allocates nothing once the series exists.
func (c *Counter[S]) inc(values ...string) { c.series.get(values).inc() }

// maxLabels is how many labels a metric may have.
const maxLabels = 3

// values are those of the labels, as a key. It is filled up with empty ones.
type values [maxLabels]string

// valid returns values that exporters take, and that keep nobody else's memory.
func (v values) valid() values {
	for i, s := range v {
		v[i] = strings.Clone(strings.ToValidUTF8(s, "\uFFFD"))
	}
	return v
}

// A family has the series of a metric.
type family[T any] struct {
	labels int
	create func(values []string) T
	made   labels.Set[values, T]
}

// get returns the series with these values. If there are too many, all are "other".
func (f *family[T]) get(list []string) T {
	var v, beyond values
	copy(v[:], list)
	for i := range f.labels {
		beyond[i] = other
	}
	return f.made.GetCopy(v, beyond, values.valid, func(v values) T { return f.create(v[:f.labels]) })
}

// A Record records a duration in a series of a histogram.
type Record func(seconds float64)
