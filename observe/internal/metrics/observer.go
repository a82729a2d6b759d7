package metrics

import (
	"strconv"
	"strings"

	sio "github.com/sioplug/sioplug/core"
)

// Observer returns the observer for [sio.Options].Observers.
func (m *Metrics[S]) Observer() *sio.Observer {
	return &sio.Observer{
		ServerStarted: m.Servers.Add,
		SessionOpened: func(i sio.SessionInfo) { m.sessionsOpened.inc(i.Transport, strconv.Itoa(i.Session.Protocol())) },
		SessionClosed: func(i sio.SessionClosedInfo) {
			m.sessionsClosed.inc(i.Transport, string(i.Reason))
			m.sessionDuration.get([]string{i.Transport})(i.Age.Seconds())
		},
		SessionUpgraded: func(sio.SessionInfo) { m.upgrades.inc("ok") },
		UpgradeFailed:   func(i sio.UpgradeFailedInfo) { m.upgrades.inc(string(i.Reason)) },
		RequestRefused: func(i sio.RequestRefusedInfo) {
			code := "none"
			if i.Code >= 0 {
				code = strconv.Itoa(i.Code)
			}
			m.requestsRefused.inc(code, i.Name)
		},
		SlowClient:      func(i sio.SlowClientInfo) { m.slowClients.inc(i.Transport) },
		SocketConnected: func(i sio.SocketConnectedInfo) { m.socketsConnected.inc(m.namespaceOf(i.Socket)) },
		SocketDisconnected: func(i sio.SocketDisconnectedInfo) {
			m.socketsDisconnected.inc(m.namespaceOf(i.Socket), string(i.Reason))
		},
		SocketRefused: func(i sio.SocketRefusedInfo) { m.socketsRefused.inc(string(i.Reason)) },
		EventHandled:  m.eventHandled,
		AckDone: func(i sio.AckDoneInfo) {
			m.acks.inc(string(i.Outcome))
			if i.Outcome == sio.AckReceived {
				m.ackDuration(i.Duration.Seconds())
			}
		},
		RecoveryDone: func(i sio.RecoveryDoneInfo) { m.recoveries.inc(string(i.Outcome)) },
		GuardRefused: func(i sio.GuardRefusedInfo) { m.guardRefusals.inc(i.Guard, i.Rule, i.Code) },
		ClusterError: func(err error) {
			if err != nil {
				m.clusterErrors.inc()
			}
		},
	}
}

// An eventKey identifies an event by its labels.
type eventKey struct{ namespace, event string }

func (k eventKey) clone() eventKey { return eventKey{k.namespace, strings.Clone(k.event)} }

// An event has the series of one event. It saves the search for each of them.
type event[S any] struct {
	duration Record
	ok       *Series[S]                        // that of most events
	outcomes map[sio.HandlerOutcome]*Series[S] // never changes
}

func (m *Metrics[S]) eventHandled(i sio.EventHandledInfo) {
	key := eventKey{ownName(i.Ctx.Socket), other}
	if i.Known {
		key.event = i.Ctx.Event() // part of the packet
	}
	e, ok := m.perEvent.Find(key) // then its namespace is one that has a label
	if !ok {
		key.namespace = m.namespaceOf(i.Ctx.Socket)
		e = m.perEvent.GetCopy(key, eventKey{key.namespace, other}, eventKey.clone, m.newEvent)
	}
	if i.Outcome == sio.HandlerOK {
		e.ok.inc()
	} else {
		e.outcomes[i.Outcome].inc()
	}
	e.duration(i.Duration.Seconds())
}

// newEvent makes the series for all outcomes: rates need a beginning.
func (m *Metrics[S]) newEvent(k eventKey) *event[S] {
	e := &event[S]{duration: m.handlerDuration.get([]string{k.namespace, k.event}), outcomes: make(map[sio.HandlerOutcome]*Series[S])}
	for _, o := range outcomes() {
		e.outcomes[o] = m.events.series.get([]string{k.namespace, k.event, string(o)})
	}
	e.ok = e.outcomes[sio.HandlerOK]
	return e
}

// namespaceOf returns the label of a socket's namespace.
func (m *Metrics[S]) namespaceOf(s *sio.Socket) string {
	return m.namespaces.Get(ownName(s), other, strings.Clone)
}

// ownName returns the name of a socket's namespace, or of its parent: one that clients have
// not chosen.
func ownName(s *sio.Socket) string {
	n := s.Namespace()
	if p := n.Parent(); p != nil {
		n = p
	}
	return n.Name()
}
