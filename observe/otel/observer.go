package siotel

import (
	"strconv"

	"go.opentelemetry.io/otel/metric"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/observe/internal/servers"
)

// Observer returns the observer for [sio.Options].Observers.
func (m *Metrics) Observer() *sio.Observer {
	return &sio.Observer{
		ServerStarted: m.now.servers.Add,
		SessionOpened: func(i sio.SessionInfo) {
			m.count(m.sessionsOpened, "transport", i.Transport, "protocol", strconv.Itoa(i.Session.Protocol()))
		},
		SessionClosed: func(i sio.SessionClosedInfo) {
			m.count(m.sessionsClosed, "transport", i.Transport, "reason", string(i.Reason))
			m.sessionDuration.Record(background(), i.Age.Seconds(), m.with("transport", i.Transport))
		},
		SessionUpgraded: func(sio.SessionInfo) { m.count(m.upgrades, "result", "ok") },
		UpgradeFailed:   func(i sio.UpgradeFailedInfo) { m.count(m.upgrades, "result", string(i.Reason)) },
		RequestRefused: func(i sio.RequestRefusedInfo) {
			code := "none"
			if i.Code >= 0 {
				code = strconv.Itoa(i.Code)
			}
			m.count(m.requestsRefused, "code", code, "name", i.Name)
		},
		SlowClient:      func(i sio.SlowClientInfo) { m.count(m.slowClients, "transport", i.Transport) },
		SocketConnected: func(i sio.SocketConnectedInfo) { m.count(m.socketsConnected, "namespace", m.namespaceOf(i.Socket)) },
		SocketDisconnected: func(i sio.SocketDisconnectedInfo) {
			m.count(m.socketsDisconnected, "namespace", m.namespaceOf(i.Socket), "reason", string(i.Reason))
		},
		SocketRefused: func(i sio.SocketRefusedInfo) { m.count(m.socketsRefused, "reason", string(i.Reason)) },
		EventHandled:  m.eventHandled,
		AckDone: func(i sio.AckDoneInfo) {
			m.acks.Add(background(), 1, m.ackResults[i.Outcome]...)
			if i.Outcome == sio.AckReceived {
				m.ackDuration.Record(background(), i.Duration.Seconds(), m.noLabels...)
			}
		},
		RecoveryDone: func(i sio.RecoveryDoneInfo) { m.count(m.recoveries, "outcome", string(i.Outcome)) },
		GuardRefused: m.guardRefused,
		ClusterError: func(err error) {
			if err != nil {
				m.count(m.clusterErrors)
			}
		},
	}
}

func (m *Metrics) count(c metric.Int64Counter, pairs ...string) {
	c.Add(background(), 1, m.with(pairs...))
}

// eventLabels identify an event by its attributes.
type eventLabels struct{ namespace, event string }

// eventAttributes are those of one event. They save making them, which takes longer than
// many handlers.
type eventAttributes struct {
	duration []metric.RecordOption
	outcomes map[sio.HandlerOutcome][]metric.AddOption // never changes
}

func (m *Metrics) eventHandled(i sio.EventHandledInfo) {
	key := eventLabels{m.namespaceOf(i.Ctx.Socket), other}
	if i.Known {
		key.event = i.Ctx.Event()
	}
	e := m.perEvent.Get(key, eventLabels{key.namespace, other}, m.newEventAttributes)
	m.events.Add(background(), 1, e.outcomes[i.Outcome]...)
	m.handlerDuration.Record(background(), i.Duration.Seconds(), e.duration...)
}

func (m *Metrics) newEventAttributes(k eventLabels) *eventAttributes {
	e := &eventAttributes{
		[]metric.RecordOption{m.with("namespace", k.namespace, "event", k.event)},
		make(map[sio.HandlerOutcome][]metric.AddOption),
	}
	for _, o := range servers.Outcomes() {
		e.outcomes[o] = []metric.AddOption{m.with("namespace", k.namespace, "event", k.event, "outcome", string(o))}
		m.events.Add(background(), 0, e.outcomes[o]...) // rates need a beginning
	}
	return e
}

// namespaceOf returns the attribute of a socket's namespace.
func (m *Metrics) namespaceOf(s *sio.Socket) string {
	return m.namespaces.Get(namespaceOf(s.Namespace()), other, func(name string) string { return name })
}

// newAckResults returns the attributes of all outcomes of acknowledgements.
func (m *Metrics) newAckResults() map[sio.AckOutcome][]metric.AddOption {
	results := make(map[sio.AckOutcome][]metric.AddOption)
	for _, o := range []sio.AckOutcome{
		sio.AckReceived, sio.AckTimedOut, sio.AckCanceled, sio.AckDisconnected, sio.AckBlocked, sio.AckNotReady,
	} {
		results[o] = []metric.AddOption{m.with("outcome", string(o))}
	}
	return results
}

type guardLabels struct{ guard, rule, code string }

func (m *Metrics) guardRefused(i sio.GuardRefusedInfo) {
	attrs := m.guards.Get(guardLabels{i.Guard, i.Rule, i.Code}, guardLabels{other, other, other}, func(k guardLabels) []metric.AddOption {
		return []metric.AddOption{m.with("guard", k.guard, "rule", k.rule, "code", k.code)}
	})
	m.guardRefusals.Add(background(), 1, attrs...)
}
