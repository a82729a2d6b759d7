package sioprometheus

import (
	"github.com/prometheus/client_golang/prometheus"

	sio "github.com/sioplug/sioplug/core"
)

const prefix = "sioplug_"

func newSnapshot(labels prometheus.Labels) snapshot {
	metric := func(kind prometheus.ValueType, name, help string, value func(s *sio.Stats) float64) snapshotMetric {
		return snapshotMetric{prometheus.NewDesc(prefix+name, help, nil, labels), kind, value, nil}
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	sessions := prometheus.NewDesc(prefix+"sessions", "Connections that are open, by transport.", []string{"transport"}, labels)
	dropped := prometheus.NewDesc(prefix+"dropped_events_total", "Events that slow clients did not get, by the policy of their broadcast.", []string{"policy"}, labels)
	return snapshot{
		always: []snapshotMetric{
			{sessions, gauge, func(s *sio.Stats) float64 { return float64(s.PollingSessions) }, []string{"polling"}},
			{sessions, gauge, func(s *sio.Stats) float64 { return float64(s.WebSocketSessions) }, []string{"websocket"}},
			metric(gauge, "sockets", "Clients in all namespaces.", func(s *sio.Stats) float64 { return float64(s.Sockets) }),
			metric(gauge, "namespaces", "Namespaces that the server has.", func(s *sio.Stats) float64 { return float64(s.Namespaces) }),
			metric(gauge, "rooms", "Rooms with clients, in all namespaces.", func(s *sio.Stats) float64 { return float64(s.Rooms) }),
			metric(counter, "received_packets_total", "Packets of Engine.IO that came.", func(s *sio.Stats) float64 { return float64(s.PacketsReceived) }),
			metric(counter, "sent_packets_total", "Packets of Engine.IO that were sent.", func(s *sio.Stats) float64 { return float64(s.PacketsSent) }),
			metric(counter, "received_bytes_total", "Bytes of packets that came, without headers.", func(s *sio.Stats) float64 { return float64(s.BytesReceived) }),
			metric(counter, "sent_bytes_total", "Bytes of packets that were sent, without headers and before compression.", func(s *sio.Stats) float64 { return float64(s.BytesSent) }),
			metric(gauge, "queued_bytes", "Memory of packets that wait for clients.", func(s *sio.Stats) float64 { return float64(s.QueuedBytes) }),
			{dropped, counter, func(s *sio.Stats) float64 { return float64(s.Dropped.Dropped) }, []string{"drop_oldest"}},
			{dropped, counter, func(s *sio.Stats) float64 { return float64(s.Dropped.Replaced) }, []string{"latest"}},
		},
		cluster: []snapshotMetric{
			metric(gauge, "cluster_healthy", "1 if messages are sent, and those of other servers arrive.", func(s *sio.Stats) float64 { return number(s.Cluster.Healthy) }),
			metric(gauge, "cluster_members", "Other servers that are known by name.", func(s *sio.Stats) float64 { return float64(len(s.Cluster.Members)) }),
			metric(gauge, "cluster_queued_messages", "Messages that wait for the broker.", func(s *sio.Stats) float64 { return float64(s.Cluster.Queued) }),
			metric(gauge, "cluster_queued_bytes", "Bytes of messages that wait for the broker.", func(s *sio.Stats) float64 { return float64(s.Cluster.QueuedBytes) }),
			metric(counter, "cluster_sent_messages_total", "Messages that the broker has taken.", func(s *sio.Stats) float64 { return float64(s.Cluster.Sent) }),
			metric(counter, "cluster_received_messages_total", "Messages of other servers.", func(s *sio.Stats) float64 { return float64(s.Cluster.Received) }),
			metric(counter, "cluster_lost_messages_total", "Messages that the broker did not take, or may not have taken.", func(s *sio.Stats) float64 { return float64(s.Cluster.Lost) }),
			metric(counter, "cluster_refused_messages_total", "Messages of the broker that could not be read.", func(s *sio.Stats) float64 { return float64(s.Cluster.Refused) }),
			metric(counter, "cluster_gaps_total", "Times after which messages of other servers may be missing.", func(s *sio.Stats) float64 { return float64(s.Cluster.Gaps) }),
		},
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (s *snapshot) describe(ch chan<- *prometheus.Desc) {
	for _, list := range [][]snapshotMetric{s.always, s.cluster} {
		for _, m := range list {
			ch <- m.desc
		}
	}
}

// collect sends the sums of all servers. Usually there is one.
func (s *snapshot) collect(ch chan<- prometheus.Metric) {
	all, clustered := s.servers.Stats()
	send(ch, s.always, all)
	send(ch, s.cluster, clustered)
}

func send(ch chan<- prometheus.Metric, metrics []snapshotMetric, stats []sio.Stats) {
	if len(stats) == 0 {
		return
	}
	for _, m := range metrics {
		sum := 0.0
		for i := range stats {
			sum += m.value(&stats[i])
		}
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, sum, m.labels...)
	}
}
