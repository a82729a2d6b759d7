package siotel

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/labels"
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

const (
	defaultMaxEvents     = 100
	defaultMaxNamespaces = 20

	// maxGuards is how many refusals of guards have attributes of their own. Rules and
	// codes are the application's, and few.
	maxGuards = 100

	other = "other"
)

// Metrics are the metrics of a server. They keep the server until [Metrics.Unregister].
type Metrics struct {
	common []attribute.KeyValue
	now    *snapshot // of Server.Stats

	sessionsOpened, sessionsClosed metric.Int64Counter
	sessionDuration                metric.Float64Histogram
	upgrades                       metric.Int64Counter
	requestsRefused                metric.Int64Counter
	slowClients                    metric.Int64Counter
	socketsConnected               metric.Int64Counter
	socketsDisconnected            metric.Int64Counter
	socketsRefused                 metric.Int64Counter
	events                         metric.Int64Counter
	handlerDuration                metric.Float64Histogram
	acks                           metric.Int64Counter
	ackDuration                    metric.Float64Histogram
	recoveries                     metric.Int64Counter
	guardRefusals                  metric.Int64Counter
	clusterErrors                  metric.Int64Counter

	perEvent   labels.Set[eventLabels, *eventAttributes]
	namespaces labels.Set[string, string]
	guards     labels.Set[guardLabels, []metric.AddOption]
	ackResults map[sio.AckOutcome][]metric.AddOption // never changes
	noLabels   []metric.RecordOption
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
	in := instruments{meter: o.MeterProvider.Meter(scope)}
	m := &Metrics{common: slices.Clone(o.Attributes)}
	m.sessionsOpened = in.counter("sessions_opened", "{session}", "Connections that were opened, by their first transport and the revision of the protocol.")
	m.sessionsClosed = in.counter("sessions_closed", "{session}", "Connections that have ended, by their last transport and the reason.")
	m.sessionDuration = in.histogram("session_duration", "How long connections were open.", 1, 10, 60, 300, 900, 3600, 4*3600, 24*3600)
	m.upgrades = in.counter("upgrades", "{upgrade}", "Upgrades from polling to WebSocket: ok, or why they failed.")
	m.requestsRefused = in.counter("requests_refused", "{request}", "Requests that were refused, by the code of Engine.IO, and a name for more about it.")
	m.slowClients = in.counter("slow_clients", "{session}", "Clients that were disconnected because their send buffer was full.")
	m.socketsConnected = in.counter("sockets_connected", "{socket}", "Clients that were accepted in a namespace.")
	m.socketsDisconnected = in.counter("sockets_disconnected", "{socket}", "Clients that have left a namespace, by the reason.")
	m.socketsRefused = in.counter("sockets_refused", "{socket}", "Clients that were not accepted in a namespace, by the reason.")
	m.events = in.counter("events", "{event}", "Events of clients, by the outcome of their handlers.")
	m.handlerDuration = in.histogram("handler_duration", "How long middleware and handlers of events took.",
		.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)
	m.acks = in.counter("acks", "{ack}", "Acknowledgements of clients that the server asked for: ok, or why there was none.")
	m.ackDuration = in.histogram("ack_duration", "How long clients took to acknowledge.",
		.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30)
	m.recoveries = in.counter("recoveries", "{recovery}", "Clients that wanted to continue their session: ok, or why they could not.")
	m.guardRefusals = in.counter("guard_refusals", "{refusal}", "What guards have refused, such as rate limits and tokens.")
	m.clusterErrors = in.counter("cluster_errors", "{error}", "Errors of the cluster.")
	m.perEvent.Max = cmp.Or(o.MaxEvents, defaultMaxEvents)
	m.namespaces.Max = cmp.Or(o.MaxNamespaces, defaultMaxNamespaces)
	m.guards.Max = maxGuards
	m.ackResults, m.noLabels = m.newAckResults(), []metric.RecordOption{m.with()}
	m.now = in.snapshot(m.common)
	if err := errors.Join(in.errs...); err != nil {
		return nil, errors.Join(err, m.Unregister())
	}
	m.clusterErrors.Add(background(), 0, m.with())
	return m, nil
}

// Unregister ends the metrics that are read from [sio.Server.Stats]. Call it when the server
// has ended and the MeterProvider goes on.
func (m *Metrics) Unregister() error { return m.now.unregister() }

// instruments makes instruments, and keeps the errors.
type instruments struct {
	meter metric.Meter
	errs  []error
}

const prefix = "sioplug."

func (in *instruments) counter(name, unit, help string) metric.Int64Counter {
	c, err := in.meter.Int64Counter(prefix+name, metric.WithUnit(unit), metric.WithDescription(help))
	in.note(err)
	return c
}

func (in *instruments) histogram(name, help string, bounds ...float64) metric.Float64Histogram {
	h, err := in.meter.Float64Histogram(prefix+name, metric.WithUnit("s"), metric.WithDescription(help), metric.WithExplicitBucketBoundaries(bounds...))
	in.note(err)
	return h
}

func (in *instruments) note(err error) {
	if err != nil {
		in.errs = append(in.errs, err)
	}
}

// with returns the attributes of one measurement: names and values in turn.
func (m *Metrics) with(pairs ...string) metric.MeasurementOption {
	attrs := slices.Clone(m.common)
	for p := range slices.Chunk(pairs, 2) {
		attrs = append(attrs, attribute.String(p[0], valid(p[1])))
	}
	return metric.WithAttributeSet(attribute.NewSet(attrs...))
}

// background is the context of measurements: they are not those of one request.
func background() context.Context { return context.Background() }
