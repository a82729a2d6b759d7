// Package metrics counts what a server tells its observers. The modules that export metrics
// have it in common: they differ in what they export to, not in what they count.
package metrics

import (
	"cmp"
	"math"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/labels"
)

// Options are settings of [New]. S is what a module needs to export a series.
type Options[S any] struct {
	MaxEvents     int // that have labels of their own; 0 is 100
	MaxNamespaces int // likewise; 0 is 20

	HandlerBounds []float64 // upper bounds in seconds of the histogram of handlers; nil is 0.1 ms to 10 s
	AckBounds     []float64 // likewise of acknowledgements; nil is 1 ms to 30 s

	// Series makes what a series of a counter is exported with. The values are those of
	// d.Labels. It is called once for each series.
	Series func(d *Desc, values []string) S

	// Histogram makes a histogram. The function that it returns makes a series of it. It
	// is called once for each series.
	Histogram func(d *Desc, bounds []float64) func(values []string) Record
}

const (
	defaultMaxEvents     = 100
	defaultMaxNamespaces = 20

	// maxGuards is how many refusals of guards have labels of their own. Rules and codes
	// are the application's, and few.
	maxGuards = 100

	other = "other"
)

// Metrics count. Their methods may be called concurrently.
type Metrics[S any] struct {
	Servers Servers

	opts     Options[S]
	counters []*Counter[S]

	sessionsOpened, sessionsClosed        *Counter[S]
	sessionDuration                       *family[Record]
	upgrades                              *Counter[S]
	requestsRefused                       *Counter[S]
	slowClients                           *Counter[S]
	socketsConnected, socketsDisconnected *Counter[S]
	socketsRefused                        *Counter[S]
	events                                *Counter[S]
	handlerDuration                       *family[Record]
	acks                                  *Counter[S]
	ackDuration                           Record
	recoveries                            *Counter[S]
	guardRefusals                         *Counter[S]
	clusterErrors                         *Counter[S]

	perEvent   labels.Set[eventKey, *event[S]]
	namespaces labels.Set[string, string]
}

// New returns metrics. Pass [Metrics.Observer] to the server.
func New[S any](o Options[S]) *Metrics[S] {
	m := &Metrics[S]{opts: o}
	m.sessionsOpened = m.counter("sessions_opened", "{session}", "Connections that were opened, by their first transport and the revision of the protocol.", "transport", "protocol")
	m.sessionsClosed = m.counter("sessions_closed", "{session}", "Connections that have ended, by their last transport and the reason.", "transport", "reason")
	m.sessionDuration = m.histogram("session_duration", "How long connections were open.", sessionBounds(), "transport")
	m.upgrades = m.counter("upgrades", "{upgrade}", "Upgrades from polling to WebSocket: ok, or why they failed.", "result")
	m.requestsRefused = m.counter("requests_refused", "{request}", "Requests that were refused, by the code of Engine.IO, and a name for more about it.", "code", "name")
	m.slowClients = m.counter("slow_clients", "{session}", "Clients that were disconnected because their send buffer was full.", "transport")
	m.socketsConnected = m.counter("sockets_connected", "{socket}", "Clients that were accepted in a namespace.", "namespace")
	m.socketsDisconnected = m.counter("sockets_disconnected", "{socket}", "Clients that have left a namespace, by the reason.", "namespace", "reason")
	m.socketsRefused = m.counter("sockets_refused", "{socket}", "Clients that were not accepted in a namespace, by the reason.", "reason")
	m.events = m.counter("events", "{event}", "Events of clients, by the outcome of their handlers.", "namespace", "event", "outcome")
	m.handlerDuration = m.histogram("handler_duration", "How long middleware and handlers of events took.", or(o.HandlerBounds, handlerBounds()), "namespace", "event")
	m.acks = m.counter("acks", "{ack}", "Acknowledgements of clients that the server asked for: ok, or why there was none.", "outcome")
	m.ackDuration = m.histogram("ack_duration", "How long clients took to acknowledge.", or(o.AckBounds, ackBounds())).get(nil)
	m.recoveries = m.counter("recoveries", "{recovery}", "Clients that wanted to continue their session: ok, or why they could not.", "outcome")
	m.guardRefusals = m.counter("guard_refusals", "{refusal}", "What guards have refused, such as rate limits and tokens.", "guard", "rule", "code")
	m.clusterErrors = m.counter("cluster_errors", "{error}", "Errors of the cluster.")
	m.clusterErrors.series.get(nil) // begins with 0
	m.guardRefusals.series.made.Max = maxGuards
	m.perEvent.Max = cmp.Or(o.MaxEvents, defaultMaxEvents)
	m.namespaces.Max = cmp.Or(o.MaxNamespaces, defaultMaxNamespaces)
	return m
}

// Counters returns all counters.
func (m *Metrics[S]) Counters() []*Counter[S] { return m.counters }

// counter makes a counter. The values of its labels are few, unless a Max is set.
func (m *Metrics[S]) counter(name, unit, help string, names ...string) *Counter[S] {
	c := &Counter[S]{Desc: Desc{name, unit, help, names}}
	c.series.labels = len(names)
	c.series.made.Max = math.MaxInt
	c.series.create = func(values []string) *Series[S] {
		return &Series[S]{Exported: m.opts.Series(&c.Desc, values), Since: time.Now()}
	}
	m.counters = append(m.counters, c)
	return c
}

// histogram makes a histogram of durations.
func (m *Metrics[S]) histogram(name, help string, bounds []float64, names ...string) *family[Record] {
	f := &family[Record]{labels: len(names), create: m.opts.Histogram(&Desc{name, "s", help, names}, bounds)}
	f.made.Max = math.MaxInt
	return f
}

func or(a, b []float64) []float64 {
	if len(a) > 0 {
		return a
	}
	return b
}

func handlerBounds() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

func ackBounds() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}

func sessionBounds() []float64 {
	return []float64{1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}
}

// outcomes returns all outcomes of handlers.
func outcomes() []sio.HandlerOutcome {
	return []sio.HandlerOutcome{
		sio.HandlerOK, sio.HandlerRefused, sio.HandlerError, sio.HandlerAborted, sio.HandlerInternalError, sio.HandlerPanic,
	}
}
