package cluster_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// natsVariants are the adapters for NATS. Their servers are all in Go.
func natsVariants() map[string]func(nc *nats.Conn) adapter.Cluster {
	list := map[string]func(nc *nats.Conn) adapter.Cluster{
		"jetstream": func(nc *nats.Conn) adapter.Cluster { return natsadapter.NewJetStream(nc) },
	}
	for _, mode := range []natsadapter.SubscriptionMode{natsadapter.Static, natsadapter.Dynamic, natsadapter.DynamicPrivate} {
		list[string(mode)] = func(nc *nats.Conn) adapter.Cluster {
			return natsadapter.New(nc, natsadapter.Options{SubscriptionMode: mode})
		}
	}
	return list
}

// startNATS starts a server of NATS in this process. The returned function connects with it.
func startNATS(t *testing.T) (connect func() *nats.Conn) {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(), MaxPayload: 8 << 20,
		JetStreamMaxMemory: 1 << 30, JetStreamMaxStore: 1 << 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the server of NATS does not start")
	}
	return func() *nats.Conn {
		t.Helper()
		nc, err := nats.Connect(srv.ClientURL(), nats.MaxReconnects(-1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
}

// TestNATSCluster runs the table with three servers in Go over NATS.
func TestNATSCluster(t *testing.T) {
	t.Parallel()
	for name, goes := range natsVariants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connect := startNATS(t)
			c := newCluster(t, variant{name: name, adapter: "nats"})
			for _, name := range []string{"a", "b", "c"} {
				c.members = append(c.members, c.startGoServer(t, name, goes(connect()), nil))
			}
			c.populate(t)
			c.testAll(t, "", c.members[:1])
		})
	}
}

// TestNATSRecovery moves official clients between servers over JetStream. The last one comes from
// a server that has stopped.
func TestNATSRecovery(t *testing.T) {
	t.Parallel()
	connect := startNATS(t)
	nc := connect()
	c := newCluster(t, variant{name: "jetstream", adapter: "nats", recovery: true})
	var servers []*goServer
	for _, name := range []string{"a", "b", "c"} {
		s := c.startGoServer(t, name, natsadapter.NewJetStream(connect()), &sio.Recovery{})
		servers, c.members = append(servers, s), append(c.members, s)
	}
	c.populate(t)
	saved := uint64(0)
	wait := func(t *testing.T) {
		t.Helper()
		saved = waitForNATSSession(t, nc, saved)
	}
	c.testRecoveryWhen(t, wait, servers[0], servers[1])
	c.testRecoveryWhen(t, wait, servers[1], servers[2])

	cl := connectClient(t, c.peer, servers[0], " loses its server", "/", "r1")
	id := cl.id
	marker := c.mark(t, servers[0])
	c.diary.until(t, received(cl.name), 0, marker)
	position := c.diary.length(received(cl.name))
	servers[0].stop(t)
	c.members = c.members[1:]
	maps.DeleteFunc(c.clients, func(_ string, cl *client) bool { return cl.at == servers[0] })
	want := c.emitMeanwhile(t, "/")
	cl.at = servers[2]
	if !cl.connect(t, connectTo(servers[2])) || cl.id != id {
		t.Fatal("it is not recovered")
	}
	marker = c.mark(t, servers[1])
	if got := c.diary.until(t, received(cl.name), position, marker); !slices.Equal(got, want) {
		t.Errorf("it received %s, want %s", got, want)
	}
}

func connectTo(m member) connect { return connect{Op: "reconnect", URL: m.url()} }

// waitForNATSSession waits until the stream of sessions has more than that many messages in all,
// and returns how many.
func waitForNATSSession(t *testing.T, nc *nats.Conn, before uint64) (now uint64) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		m, err := nc.Request("$JS.API.STREAM.INFO.sio-sessions", nil, patience)
		var info struct {
			State struct {
				Last uint64 `json:"last_seq"`
			} `json:"state"`
		}
		if err == nil {
			err = json.Unmarshal(m.Data, &info)
		}
		if err != nil {
			t.Fatal(fmt.Errorf("looking at the sessions: %w", err))
		}
		if info.State.Last > before {
			return info.State.Last + 1 // that it is claimed is one more
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no session is saved")
		}
	}
}
