package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	"github.com/sioplug/sioplug/internal/postgrestest"
	"github.com/sioplug/sioplug/test/network"
)

func postgresVariants() []variant {
	return []variant{
		{name: "postgres", adapter: postgres},
		{name: "postgres, prefix, table", adapter: postgres, options: map[string]any{"channelPrefix": "my app", "tableName": "attachments"}},
	}
}

// postgresOptions returns the options of the official adapter for the one in Go.
func (v variant) postgresOptions() (o postgresadapter.EmitterOptions) {
	o.ChannelPrefix, _ = v.options["channelPrefix"].(string)
	o.TableName, _ = v.options["tableName"].(string)
	return o
}

// startPostgres starts PostgreSQL with the table of a variant.
func startPostgres(t *testing.T, v variant) *postgrestest.Server {
	t.Helper()
	s := postgrestest.Start(t)
	if name := v.postgresOptions().TableName; name != "" {
		s.SQL(strings.Replace(postgrestest.Table, "socket_io_attachments", name, 1))
	}
	return s
}

func newPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (c *cluster) startGoPostgresServer(t *testing.T, name, url string) *goServer {
	t.Helper()
	o := c.variant.postgresOptions()
	return c.startGoServer(t, name, postgresadapter.New(newPool(t, url), postgresadapter.Options{ChannelPrefix: o.ChannelPrefix, TableName: o.TableName}), nil)
}

// TestOfficialPostgresCluster runs the table with three servers in Node.js.
func TestOfficialPostgresCluster(t *testing.T) {
	t.Parallel()
	for _, v := range postgresVariants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			url := startPostgres(t, v).URL
			c := newCluster(t, v)
			for _, name := range []string{"a", "b", "c"} {
				c.members = append(c.members, startNodeServer(t, c.peer, name, v, url))
			}
			c.populate(t)
			c.testAll(t, url, c.members[:1])
		})
	}
}

// TestMixedPostgresCluster runs the table with two servers in Go and one in Node.js.
func TestMixedPostgresCluster(t *testing.T) {
	t.Parallel()
	for _, v := range postgresVariants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			url := startPostgres(t, v).URL
			c := newCluster(t, v)
			a, b := c.startGoPostgresServer(t, "a", url), c.startGoPostgresServer(t, "b", url)
			node := startNodeServer(t, c.peer, "c", v, url)
			c.members = []member{a, b, node}
			c.populate(t)
			c.testAll(t, url, []member{a, node})
			c.testExact(t, a, b)
			c.testLeaving(t)
		})
	}
}

// TestPostgresEmitterForNode shows ECO-PG-10, CAP-F-12: servers in Go get the messages of the
// official emitter, which official servers drop.
//
//nolint:tparallel // the subtests share a cluster
func TestPostgresEmitterForNode(t *testing.T) {
	t.Parallel()
	v := postgresVariants()[0]
	url := startPostgres(t, v).URL
	c := newCluster(t, v)
	for _, name := range []string{"a", "b"} {
		c.members = append(c.members, c.startGoPostgresServer(t, name, url))
	}
	c.populate(t)
	c.testEmitter(t, startNodeEmitter(t, c.peer, "emitter", v, url), "emitter")
}

// A server in Node.js that is killed is not waited for any longer than its heartbeats say (CF-9),
// and PostgreSQL that ends takes servers in Node.js with it, but none in Go (CAP-F-11).
func TestPostgresFaults(t *testing.T) {
	t.Parallel()
	v := postgresVariants()[0]
	s := startPostgres(t, v)
	c := newCluster(t, v)
	c.faulty = true // the broker is lost
	a, b := c.startGoPostgresServer(t, "a", s.URL), c.startGoPostgresServer(t, "b", s.URL)
	dies := startPeer(t, c.diary)
	startNodeServer(t, dies, "c", v, s.URL)
	c.members = []member{a, b}
	c.populateWith(t, 2)
	dies.kill()
	for _, m := range c.members {
		c.ready(t, m, "/", 1)
	}
	s.Stop()
	s.Restart()
	for _, m := range c.members {
		c.ready(t, m, "/", 1)
		do := command{Op: "emit", NS: "/", Args: with("after", blob{1}), To: []any{"r1"}}
		wantHeard(t, c.hear(t, m, do), canonical(do.Args), each(c.members, "1 2"))
	}
}

// The network between one server and PostgreSQL lets nothing through for longer than
// ReadTimeout. The server knows, and comes back. What it emits meanwhile waits in its queue.
func TestPostgresPartition(t *testing.T) {
	t.Parallel()
	v := postgresVariants()[0]
	s := startPostgres(t, v)
	proxy := network.Start(t, s.Addr)
	c := newCluster(t, v)
	c.faulty = true // the broker is lost
	start := func(name, url string) *goServer {
		o := postgresadapter.Options{ReadTimeout: time.Second}
		return c.startGoServer(t, name, postgresadapter.New(newPool(t, url), o), nil)
	}
	a, b := start("a", s.URL), start("b", strings.Replace(s.URL, s.Addr, proxy.Addr(), 1))
	c.members = []member{a, b}
	c.populate(t)
	heal := proxy.Partition()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); b.srv.Cluster().Healthy; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the server does not notice")
		}
	}
	waits := command{Op: "emit", NS: "/", Args: with("waits")}
	at := c.positions()
	c.must(t, b, waits)
	heal()
	wantHeard(t, c.heardSince(t, b, at), canonical(waits.Args), each(c.members, "1 2 3"))
	for _, m := range c.members {
		c.ready(t, m, "/", 1)
		do := command{Op: "emit", NS: "/", Args: with("after", blob{1}), To: []any{"r1"}}
		wantHeard(t, c.hear(t, m, do), canonical(do.Args), each(c.members, "1 2"))
	}
}
