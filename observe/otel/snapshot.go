package siotel

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/observe/internal/servers"
)

// A snapshotMetric is made of [sio.Server.Stats].
type snapshotMetric struct {
	instrument metric.Int64Observable
	value      func(s *sio.Stats) int64
	attrs      []metric.ObserveOption
}

// A snapshot has the metrics that are read when they are collected.
type snapshot struct {
	always, cluster []snapshotMetric
	registration    metric.Registration

	servers servers.List
}

// snapshot makes the instruments that are read.
func (in *instruments) snapshot(common []attribute.KeyValue) *snapshot {
	s := new(snapshot)
	to := &s.always
	add := func(i metric.Int64Observable, value func(s *sio.Stats) int64, attrs ...attribute.KeyValue) {
		set := attribute.NewSet(slices.Concat(common, attrs)...)
		*to = append(*to, snapshotMetric{i, value, []metric.ObserveOption{metric.WithAttributeSet(set)}})
	}
	sessions := in.current("sessions", "{session}", "Connections that are open, by transport.")
	add(sessions, func(s *sio.Stats) int64 { return int64(s.PollingSessions) }, attribute.String("transport", "polling"))
	add(sessions, func(s *sio.Stats) int64 { return int64(s.WebSocketSessions) }, attribute.String("transport", "websocket"))
	add(in.current("sockets", "{socket}", "Clients in all namespaces."), func(s *sio.Stats) int64 { return int64(s.Sockets) })
	add(in.current("namespaces", "{namespace}", "Namespaces that the server has."), func(s *sio.Stats) int64 { return int64(s.Namespaces) })
	add(in.current("rooms", "{room}", "Rooms with clients, in all namespaces."), func(s *sio.Stats) int64 { return int64(s.Rooms) })
	add(in.total("received_packets", "{packet}", "Packets of Engine.IO that came."), func(s *sio.Stats) int64 { return count(s.PacketsReceived) })
	add(in.total("sent_packets", "{packet}", "Packets of Engine.IO that were sent."), func(s *sio.Stats) int64 { return count(s.PacketsSent) })
	add(in.total("received_bytes", "By", "Bytes of packets that came, without headers."), func(s *sio.Stats) int64 { return count(s.BytesReceived) })
	add(in.total("sent_bytes", "By", "Bytes of packets that were sent, without headers and before compression."), func(s *sio.Stats) int64 { return count(s.BytesSent) })
	add(in.current("queued_bytes", "By", "Memory of packets that wait for clients."), func(s *sio.Stats) int64 { return int64(s.QueuedBytes) })
	dropped := in.total("dropped_events", "{event}", "Events that slow clients did not get, by the policy of their broadcast.")
	add(dropped, func(s *sio.Stats) int64 { return count(s.Dropped.Dropped) }, attribute.String("policy", "drop_oldest"))
	add(dropped, func(s *sio.Stats) int64 { return count(s.Dropped.Replaced) }, attribute.String("policy", "latest"))

	to = &s.cluster
	add(in.gauge("cluster_healthy", "1 if messages are sent, and those of other servers arrive."), func(s *sio.Stats) int64 { return number(s.Cluster.Healthy) })
	add(in.current("cluster_members", "{server}", "Other servers that are known by name."), func(s *sio.Stats) int64 { return int64(len(s.Cluster.Members)) })
	add(in.current("cluster_queued_messages", "{message}", "Messages that wait for the broker."), func(s *sio.Stats) int64 { return int64(s.Cluster.Queued) })
	add(in.current("cluster_queued_bytes", "By", "Bytes of messages that wait for the broker."), func(s *sio.Stats) int64 { return int64(s.Cluster.QueuedBytes) })
	add(in.total("cluster_sent_messages", "{message}", "Messages that the broker has taken."), func(s *sio.Stats) int64 { return count(s.Cluster.Sent) })
	add(in.total("cluster_received_messages", "{message}", "Messages of other servers."), func(s *sio.Stats) int64 { return count(s.Cluster.Received) })
	add(in.total("cluster_lost_messages", "{message}", "Messages that the broker did not take, or may not have taken."), func(s *sio.Stats) int64 { return count(s.Cluster.Lost) })
	add(in.total("cluster_refused_messages", "{message}", "Messages of the broker that could not be read."), func(s *sio.Stats) int64 { return count(s.Cluster.Refused) })
	add(in.total("cluster_gaps", "{gap}", "Times after which messages of other servers may be missing."), func(s *sio.Stats) int64 { return count(s.Cluster.Gaps) })
	in.register(s)
	return s
}

// register has the instruments read, unless one could not be made.
func (in *instruments) register(s *snapshot) {
	if len(in.errs) > 0 {
		return
	}
	var all []metric.Observable
	for _, m := range slices.Concat(s.always, s.cluster) {
		all = append(all, m.instrument)
	}
	var err error
	s.registration, err = in.meter.RegisterCallback(s.observe, all...)
	in.note(err)
}

func (in *instruments) current(name, unit, help string) metric.Int64Observable {
	c, err := in.meter.Int64ObservableUpDownCounter(prefix+name, metric.WithUnit(unit), metric.WithDescription(help))
	in.note(err)
	return c
}

func (in *instruments) total(name, unit, help string) metric.Int64Observable {
	c, err := in.meter.Int64ObservableCounter(prefix+name, metric.WithUnit(unit), metric.WithDescription(help))
	in.note(err)
	return c
}

func (in *instruments) gauge(name, help string) metric.Int64Observable {
	g, err := in.meter.Int64ObservableGauge(prefix+name, metric.WithDescription(help))
	in.note(err)
	return g
}

// count returns a counter, which does not reach the bound in a million years.
func count(n uint64) int64 { return int64(min(n, 1<<62)) }

func number(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// unregister forgets the servers.
func (s *snapshot) unregister() error {
	s.servers.Forget()
	if s.registration == nil {
		return nil
	}
	return s.registration.Unregister()
}

// observe tells the sums of all servers. Usually there is one.
func (s *snapshot) observe(_ context.Context, to metric.Observer) error {
	all, clustered := s.servers.Stats()
	send(to, s.always, all)
	send(to, s.cluster, clustered)
	return nil
}

func send(to metric.Observer, metrics []snapshotMetric, stats []sio.Stats) {
	if len(stats) == 0 {
		return
	}
	for _, m := range metrics {
		var sum int64
		for i := range stats {
			sum += m.value(&stats[i])
		}
		to.ObserveInt64(m.instrument, sum, m.attrs...)
	}
}
