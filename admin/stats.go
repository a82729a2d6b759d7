package sioadmin

import (
	"cmp"
	"context"
	"os"
	"slices"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// maxNamespaces is how many namespaces are listed in stats, since clients may make some. The
// rest is one entry.
const (
	maxNamespaces   = 100
	otherNamespaces = "(others)"
)

// serverStats are a message of the protocol.
type serverStats struct {
	ServerID       string           `json:"serverId"`
	Hostname       string           `json:"hostname"`
	PID            int              `json:"pid"`
	Uptime         float64          `json:"uptime"`
	Clients        int              `json:"clientsCount"`
	PollingClients int              `json:"pollingClientsCount"`
	Events         []aggregate      `json:"aggregatedEvents"`
	Namespaces     []namespaceStats `json:"namespaces"`
}

type namespaceStats struct {
	Name    string `json:"name"`
	Sockets int    `json:"socketsCount"`
}

// An aggregate is a number of events of a kind.
type aggregate struct {
	Timestamp int64  `json:"timestamp"` // of the second, in milliseconds
	Type      string `json:"type"`
	SubType   string `json:"subType,omitempty"`
	Count     uint64 `json:"count"`
}

// counters count what [sio.Server.Stats] does not, and remember what has been told.
type counters struct {
	srv     *sio.Server
	started time.Time

	mu          sync.Mutex
	connections uint64
	ends        map[string]uint64 // by reason, of which there are few
	told        sio.Stats
}

func newCounters(srv *sio.Server) *counters {
	return &counters{srv: srv, started: time.Now(), ends: make(map[string]uint64), told: srv.Stats()}
}

func (n *counters) opened() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.connections++
}

func (n *counters) closed(reason string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ends[reason]++
}

// take returns what has happened since the last call.
func (n *counters) take() []aggregate {
	now := n.srv.Stats()
	timestamp := time.Now().Truncate(time.Second).UnixMilli()
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []aggregate
	add := func(kind, subType string, count uint64) {
		if count > 0 {
			all = append(all, aggregate{timestamp, kind, subType, count})
		}
	}
	add("rawConnection", "", n.connections)
	for reason, count := range n.ends {
		add("rawDisconnection", reason, count)
	}
	add("packetsIn", "", now.PacketsReceived-n.told.PacketsReceived)
	add("packetsOut", "", now.PacketsSent-n.told.PacketsSent)
	add("bytesIn", "", now.BytesReceived-n.told.BytesReceived)
	add("bytesOut", "", now.BytesSent-n.told.BytesSent)
	n.connections, n.told = 0, now
	clear(n.ends)
	return all
}

// stats returns the numbers of the moment, with what has happened.
func (a *Admin) stats(happened []aggregate) serverStats {
	now := a.srv.Stats()
	host, _ := os.Hostname() // "" is as good as any
	if happened == nil {
		happened = []aggregate{}
	}
	return serverStats{
		ServerID: a.opts.ServerID, Hostname: host, PID: os.Getpid(), Uptime: time.Since(a.count.started).Seconds(),
		Clients: now.PollingSessions + now.WebSocketSessions, PollingClients: now.PollingSessions,
		Events: happened, Namespaces: a.namespaceStats(),
	}
}

// namespaceStats returns the largest namespaces.
func (a *Admin) namespaceStats() []namespaceStats {
	all := []namespaceStats{}
	for _, n := range a.srv.Namespaces() {
		count, _ := n.Broadcast().Local().Count(context.Background()) // it asks nobody
		all = append(all, namespaceStats{n.Name(), count})
	}
	if len(all) <= maxNamespaces {
		return all
	}
	slices.SortStableFunc(all, func(a, b namespaceStats) int { return cmp.Compare(b.Sockets, a.Sockets) })
	rest := namespaceStats{Name: otherNamespaces}
	for _, n := range all[maxNamespaces:] {
		rest.Sockets += n.Sockets
	}
	return append(all[:maxNamespaces], rest)
}
