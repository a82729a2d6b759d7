package redistest

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	masters = 3
	slots   = 16384
)

// A Cluster is a Redis Cluster of three masters. The methods of its servers can be used.
type Cluster struct {
	Masters  []*Server
	Replicas []*Server // of the masters, in order
}

// StartCluster starts a Redis Cluster, which is ended with the test. Each master has the
// same number of replicas. args are further arguments for redis-server.
func StartCluster(tb testing.TB, replicas int, args ...string) *Cluster {
	tb.Helper()
	args = append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000"}, args...)
	c := new(Cluster)
	for i := range masters {
		s := Start(tb, args...)
		s.MustDo("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/masters), strconv.Itoa((i+1)*slots/masters-1))
		s.MustDo("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		c.Masters = append(c.Masters, s)
	}
	for range masters * replicas {
		c.Replicas = append(c.Replicas, Start(tb, args...))
	}
	first := c.Masters[0]
	for _, s := range c.all()[1:] {
		host, port, err := net.SplitHostPort(first.Addr)
		if err != nil {
			tb.Fatal(err)
		}
		s.MustDo("CLUSTER", "MEET", host, port)
	}
	n := len(c.all())
	for _, s := range c.all() {
		s.await("the nodes of the cluster know each other", func() bool {
			return strings.Contains(s.info("CLUSTER", "INFO"), fmt.Sprintf("cluster_known_nodes:%d\r", n))
		})
	}
	for i, s := range c.Replicas {
		master := c.Masters[i/replicas]
		id := master.MustDo("CLUSTER", "MYID")[0]
		s.await("a replica knows its master", func() bool {
			_, err := s.Do("CLUSTER", "REPLICATE", id)
			return err == nil
		})
	}
	c.AwaitOK()
	return c
}

func (c *Cluster) all() []*Server { return append(append([]*Server(nil), c.Masters...), c.Replicas...) }

// Addrs returns the addresses of all servers.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, s := range c.all() {
		addrs = append(addrs, s.Addr)
	}
	return addrs
}

// AwaitOK waits until all servers that run say that the cluster is whole, and replicas are
// connected with their masters.
func (c *Cluster) AwaitOK() {
	for _, s := range c.all() {
		if s.cmd == nil {
			continue
		}
		s.await("the cluster is whole", func() bool {
			return strings.Contains(s.info("CLUSTER", "INFO"), "cluster_state:ok") &&
				!strings.Contains(s.info("INFO", "replication"), "master_link_status:down")
		})
	}
}

// Owner returns the master of a slot.
func (c *Cluster) Owner(slot int) *Server {
	for i, s := range c.Masters {
		if slot < (i+1)*slots/masters {
			return s
		}
	}
	return nil
}

// Migrate gives a slot without keys to another master.
func (c *Cluster) Migrate(slot int, to *Server) {
	id := to.MustDo("CLUSTER", "MYID")[0]
	to.MustDo("CLUSTER", "SETSLOT", strconv.Itoa(slot), "NODE", id)
	for _, s := range c.Masters {
		s.MustDo("CLUSTER", "SETSLOT", strconv.Itoa(slot), "NODE", id)
	}
}

// info returns the text of a reply, or of the error.
func (s *Server) info(args ...string) string {
	texts, err := s.Do(args...)
	if err != nil {
		return err.Error()
	}
	return strings.Join(texts, " ")
}

func (s *Server) await(what string, done func() bool) {
	s.tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-deadline:
			s.tb.Fatalf("redistest: it does not happen that %s", what)
		case <-tick.C:
		}
	}
}
