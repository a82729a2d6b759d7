package sioprometheus

import (
	"cmp"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/labels"
	"github.com/sioplug/sioplug/observe/internal/servers"
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
	defaultMaxEvents     = 100
	defaultMaxNamespaces = 20

	// maxGuards is how many refusals of guards have labels of their own. Rules and codes
	// are the application's, and few.
	maxGuards = 100

	other = "other"
)

// Metrics are the metrics of a server. They implement [prometheus.Collector]. They keep the
// server, so they should live as long as it does.
type Metrics struct {
	now snapshot // of Server.Stats

	sessionsOpened, sessionsClosed *prometheus.CounterVec
	sessionDuration                *prometheus.HistogramVec
	upgrades                       *prometheus.CounterVec
	requestsRefused                *prometheus.CounterVec
	slowClients                    *prometheus.CounterVec
	socketsConnected               *prometheus.CounterVec
	socketsDisconnected            *prometheus.CounterVec
	socketsRefused                 *prometheus.CounterVec
	events                         *prometheus.CounterVec
	handlerDuration                *prometheus.HistogramVec
	acks                           *prometheus.CounterVec
	ackDuration                    prometheus.Histogram
	recoveries                     *prometheus.CounterVec
	guardRefusals                  *prometheus.CounterVec
	clusterErrors                  prometheus.Counter

	perEvent   labels.Set[eventKey, *eventMetrics]
	namespaces labels.Set[string, string]
	guards     labels.Set[guardKey, prometheus.Counter]
}

// New returns metrics; opts may be nil. Pass [Metrics.Observer] to the server, and register
// the metrics, for example with [prometheus.MustRegister].
func New(opts *Options) *Metrics {
	var o Options
	if opts != nil {
		o = *opts
	}
	m := &Metrics{now: newSnapshot(o.ConstLabels)}
	counter := func(name, help string, names ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help, ConstLabels: o.ConstLabels}, names)
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: prefix + name, Help: help, ConstLabels: o.ConstLabels, Buckets: buckets}
	}
	m.sessionsOpened = counter("sessions_opened_total", "Connections that were opened, by their first transport and the revision of the protocol.", "transport", "protocol")
	m.sessionsClosed = counter("sessions_closed_total", "Connections that have ended, by their last transport and the reason.", "transport", "reason")
	m.sessionDuration = prometheus.NewHistogramVec(histogram("session_duration_seconds", "How long connections were open.", sessionBuckets()), []string{"transport"})
	m.upgrades = counter("upgrades_total", "Upgrades from polling to WebSocket: ok, or why they failed.", "result")
	m.requestsRefused = counter("requests_refused_total", "Requests that were refused, by the code of Engine.IO, and a name for more about it.", "code", "name")
	m.slowClients = counter("slow_clients_total", "Clients that were disconnected because their send buffer was full.", "transport")
	m.socketsConnected = counter("sockets_connected_total", "Clients that were accepted in a namespace.", "namespace")
	m.socketsDisconnected = counter("sockets_disconnected_total", "Clients that have left a namespace, by the reason.", "namespace", "reason")
	m.socketsRefused = counter("sockets_refused_total", "Clients that were not accepted in a namespace, by the reason.", "reason")
	m.events = counter("events_total", "Events of clients, by the outcome of their handlers.", "namespace", "event", "outcome")
	m.handlerDuration = prometheus.NewHistogramVec(histogram("handler_duration_seconds", "How long middleware and handlers of events took.", or(o.HandlerBuckets, handlerBuckets())), []string{"namespace", "event"})
	m.acks = counter("acks_total", "Acknowledgements of clients that the server asked for: ok, or why there was none.", "outcome")
	m.ackDuration = prometheus.NewHistogram(histogram("ack_duration_seconds", "How long clients took to acknowledge.", or(o.AckBuckets, ackBuckets())))
	m.recoveries = counter("recoveries_total", "Clients that wanted to continue their session: ok, or why they could not.", "outcome")
	m.guardRefusals = counter("guard_refusals_total", "What guards have refused, such as rate limits and tokens.", "guard", "rule", "code")
	m.clusterErrors = counter("cluster_errors_total", "Errors of the cluster.").WithLabelValues()
	m.perEvent.Max = cmp.Or(o.MaxEvents, defaultMaxEvents)
	m.namespaces.Max = cmp.Or(o.MaxNamespaces, defaultMaxNamespaces)
	m.guards.Max = maxGuards
	return m
}

func or(a, b []float64) []float64 {
	if len(a) > 0 {
		return a
	}
	return b
}

func handlerBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

func ackBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}

func sessionBuckets() []float64 {
	return []float64{1, 10, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.sessionsOpened, m.sessionsClosed, m.sessionDuration, m.upgrades, m.requestsRefused, m.slowClients,
		m.socketsConnected, m.socketsDisconnected, m.socketsRefused, m.events, m.handlerDuration, m.acks, m.ackDuration,
		m.recoveries, m.guardRefusals, m.clusterErrors,
	}
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(ch)
	}
	m.now.describe(ch)
}

// Collect implements [prometheus.Collector]. It calls [sio.Server.Stats].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(ch)
	}
	m.now.collect(ch)
}

// Observer returns the observer for [sio.Options.Observers].
func (m *Metrics) Observer() *sio.Observer {
	return &sio.Observer{
		ServerStarted: m.now.servers.Add,
		SessionOpened: func(i sio.SessionInfo) {
			m.sessionsOpened.WithLabelValues(i.Transport, strconv.Itoa(i.Session.Protocol())).Inc()
		},
		SessionClosed: func(i sio.SessionClosedInfo) {
			m.sessionsClosed.WithLabelValues(i.Transport, string(i.Reason)).Inc()
			m.sessionDuration.WithLabelValues(i.Transport).Observe(i.Age.Seconds())
		},
		SessionUpgraded: func(sio.SessionInfo) { m.upgrades.WithLabelValues("ok").Inc() },
		UpgradeFailed:   func(i sio.UpgradeFailedInfo) { m.upgrades.WithLabelValues(string(i.Reason)).Inc() },
		RequestRefused: func(i sio.RequestRefusedInfo) {
			code := "none"
			if i.Code >= 0 {
				code = strconv.Itoa(i.Code)
			}
			m.requestsRefused.WithLabelValues(code, i.Name).Inc()
		},
		SlowClient: func(i sio.SlowClientInfo) { m.slowClients.WithLabelValues(i.Transport).Inc() },
		SocketConnected: func(i sio.SocketConnectedInfo) {
			m.socketsConnected.WithLabelValues(m.namespaceOf(i.Socket)).Inc()
		},
		SocketDisconnected: func(i sio.SocketDisconnectedInfo) {
			m.socketsDisconnected.WithLabelValues(m.namespaceOf(i.Socket), string(i.Reason)).Inc()
		},
		SocketRefused: func(i sio.SocketRefusedInfo) { m.socketsRefused.WithLabelValues(string(i.Reason)).Inc() },
		EventHandled:  m.eventHandled,
		AckDone: func(i sio.AckDoneInfo) {
			m.acks.WithLabelValues(string(i.Outcome)).Inc()
			if i.Outcome == sio.AckReceived {
				m.ackDuration.Observe(i.Duration.Seconds())
			}
		},
		RecoveryDone: func(i sio.RecoveryDoneInfo) { m.recoveries.WithLabelValues(string(i.Outcome)).Inc() },
		GuardRefused: m.guardRefused,
		ClusterError: func(err error) {
			if err != nil {
				m.clusterErrors.Inc()
			}
		},
	}
}

// An eventKey identifies an event by its labels.
type eventKey struct{ namespace, event string }

// eventMetrics are those of one event. They save the search by labels, which takes longer
// than many handlers.
type eventMetrics struct {
	duration prometheus.Observer
	outcomes map[sio.HandlerOutcome]prometheus.Counter // never changes
}

func (m *Metrics) eventHandled(i sio.EventHandledInfo) {
	key := eventKey{m.namespaceOf(i.Ctx.Socket), other}
	if i.Known {
		key.event = i.Ctx.Event()
	}
	e := m.perEvent.Get(key, eventKey{key.namespace, other}, m.newEventMetrics)
	e.outcomes[i.Outcome].Inc()
	e.duration.Observe(i.Duration.Seconds())
}

func (m *Metrics) newEventMetrics(k eventKey) *eventMetrics {
	e := &eventMetrics{m.handlerDuration.WithLabelValues(k.namespace, k.event), make(map[sio.HandlerOutcome]prometheus.Counter)}
	for _, o := range servers.Outcomes() {
		e.outcomes[o] = m.events.WithLabelValues(k.namespace, k.event, string(o))
	}
	return e
}

// namespaceOf returns the label of a socket's namespace.
func (m *Metrics) namespaceOf(s *sio.Socket) string {
	n := s.Namespace()
	if p := n.Parent(); p != nil {
		n = p
	}
	return m.namespaces.Get(n.Name(), other, func(name string) string { return name })
}

type guardKey struct{ guard, rule, code string }

func (m *Metrics) guardRefused(i sio.GuardRefusedInfo) {
	m.guards.Get(guardKey{i.Guard, i.Rule, i.Code}, guardKey{other, other, other}, func(k guardKey) prometheus.Counter {
		return m.guardRefusals.WithLabelValues(k.guard, k.rule, k.code)
	}).Inc()
}

// A snapshotMetric is made of [sio.Server.Stats].
type snapshotMetric struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	value  func(s *sio.Stats) float64
	labels []string
}

// A snapshot has the metrics that are read when they are collected.
type snapshot struct {
	always, cluster []snapshotMetric

	servers servers.List
}
