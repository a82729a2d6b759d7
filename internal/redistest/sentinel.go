package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// MasterName is the name that Sentinel knows the master by.
const MasterName = "mymaster"

// A Sentinel is a master and a replica, and a Sentinel process that makes the replica the
// master when the master has gone.
type Sentinel struct {
	*Server // the Sentinel process

	Master  *Server
	Replica *Server
}

// StartSentinel starts the three processes, which are ended with the test.
func StartSentinel(tb testing.TB) *Sentinel {
	tb.Helper()
	s := &Sentinel{Master: Start(tb)}
	host, port, err := net.SplitHostPort(s.Master.Addr)
	if err != nil {
		tb.Fatal(err)
	}
	s.Replica = Start(tb, "--replicaof", host, port, "--repl-diskless-sync-delay", "0")
	s.Replica.await("the replica has synchronised", func() bool {
		return strings.Contains(s.Replica.info("INFO", "replication"), "master_link_status:up")
	})
	config := filepath.Join(tb.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 1\nsentinel down-after-milliseconds %[1]s 500\n"+
		"sentinel failover-timeout %[1]s 5000\n", MasterName, host, port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.Server = start(tb, config, "--sentinel")
	s.await("Sentinel knows the replica", func() bool {
		return strings.Contains(s.info("SENTINEL", "replicas", MasterName), s.Replica.Addr)
	})
	return s
}

// AwaitFailover waits until the replica is the master.
func (s *Sentinel) AwaitFailover() {
	s.tb.Helper()
	s.await("the replica is the master", func() bool {
		return strings.Contains(s.Replica.info("INFO", "replication"), "role:master")
	})
}
