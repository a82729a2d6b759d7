package cluster_test

import (
	"testing"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/redistest"
)

// TestOfficialCluster runs the table with three servers in Node.js: it shows that the
// expectations are those of the official packages.
func TestOfficialCluster(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			addr := redistest.Start(t).Addr
			c := newCluster(t, v)
			for _, name := range []string{"a", "b", "c"} {
				c.members = append(c.members, startNodeServer(t, c.peer, name, v, addr))
			}
			c.populate(t)
			c.testAll(t, addr, c.members[:1])
		})
	}
}

// TestMixedCluster runs the table with two servers in Go and one in Node.js.
func TestMixedCluster(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			addr := redistest.Start(t).Addr
			c := newCluster(t, v)
			a, b := c.startGoRedisServer(t, "a", addr, nil), c.startGoRedisServer(t, "b", addr, nil)
			node := startNodeServer(t, c.peer, "c", v, addr)
			c.members = []member{a, b, node}
			c.populate(t)
			c.testAll(t, addr, []member{a, node})
			c.testExact(t, a, b)
			if v.adapter == classic && len(v.options) == 0 { // they name no channel for the answer
				t.Run("ECO-RC-22,26 old requests", func(t *testing.T) {
					c.testOldRequests(t, addr, a)
					c.testOldRequests(t, addr, node)
				})
			}
			c.testLeaving(t)
		})
	}
}

// TestMemoryCluster runs the table with three servers in Go and nothing between them. What
// fails here is no adapter's fault.
func TestMemoryCluster(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t, variant{name: "memory", adapter: "memory"})
		shared := adapter.NewMemory()
		for _, name := range []string{"a", "b", "c"} {
			c.members = append(c.members, c.startGoServer(t, name, shared, nil))
		}
		c.populate(t)
		c.testAll(t, "", c.members[:1])
	})
}

func newCluster(t *testing.T, v variant) *cluster {
	t.Helper()
	d := newDiary()
	return &cluster{variant: v, diary: d, peer: startPeer(t, d)}
}

// testAll does everything from some of the servers.
func (c *cluster) testAll(t *testing.T, addr string, from []member) {
	t.Helper()
	var inVain []*question
	for _, m := range from {
		inVain = append(inVain, c.questions(t, m)...)
	}
	answers := askInVain(t, inVain)
	for _, m := range from {
		language := "from Go"
		if m.official() {
			language = "from Node"
		}
		t.Run(language, func(t *testing.T) { c.testFrom(t, m) })
	}
	if c.variant.adapter == classic {
		t.Run("from the emitter for Node", func(t *testing.T) {
			c.testEmitter(t, startNodeEmitter(t, c.peer, "emitter", c.variant, addr), "emitter")
		})
	}
	if c.variant.emitter != nil {
		t.Run("from the emitter in Go", func(t *testing.T) { c.testEmitter(t, c.startGoEmitter(t, addr), "emitter in Go") })
	}
	c.run(t, ids{classic: "ECO-RC-29,31", sharded: "ECO-CL-5,8", streams: "ECO-CL-5,8"}, "missing answers", answers)
}

// testFrom does everything that a server can.
func (c *cluster) testFrom(t *testing.T, m member) {
	t.Run("broadcasts", func(t *testing.T) { c.testBroadcasts(t, m, m) })
	for _, test := range []struct {
		ids  ids
		name string
		f    func(*testing.T, member)
	}{
		{ids{classic: "ECO-RC-14"}, "from a socket", c.testFromSocket},
		{ids{postgres: "CF-7"}, "order", c.testOrder},
		{ids{classic: "ECO-RC-29,33,34", sharded: "ECO-SH-7,ECO-CL-5", streams: "ECO-ST-3,ECO-CL-5", postgres: "ECO-PG-6,CAP-F-10"}, "acks", c.testAcks},
		{ids{classic: "ECO-RC-20,38", sharded: "ECO-CL-7", streams: "ECO-CL-7", postgres: "ECO-PG-3,6"}, "fetch", c.testFetch},
		{ids{classic: "ECO-RC-27,28,32", sharded: "ECO-CL-8", streams: "ECO-CL-8", postgres: "ECO-PG-3"}, "server-side events", c.testServerEvents},
		{ids{classic: "CAP-F-5", sharded: "CAP-F-5", streams: "CAP-F-5", postgres: "CAP-F-5"}, "remote sockets", c.testRemoteSocket},
	} {
		c.run(t, test.ids, test.name, func(t *testing.T) { test.f(t, m) })
	}
	t.Run("ECO-MX-8 a namespace of one server", func(t *testing.T) { c.testAlone(t, m) })
	if m.official() && c.variant.adapter == classic {
		t.Run("ECO-RC-21 all rooms", func(t *testing.T) { c.testAllRooms(t, m) })
	}
	if m.official() {
		c.run(t, ids{classic: "ECO-RC-30", sharded: "ECO-SH-8", streams: "ECO-ST-4", postgres: "ECO-PG-8"}, "server count", func(t *testing.T) {
			if n := c.must(t, m, command{Op: "count", NS: "/"}).Count; n != len(c.members) {
				t.Errorf("it counts %d servers", n)
			}
		})
	}
	c.run(t, ids{classic: "ECO-RC-23,24", sharded: "ECO-CL-6", streams: "ECO-CL-6"}, "rooms",
		func(t *testing.T) { c.testRooms(t, m, m.name()) })
	c.run(t, ids{classic: "ECO-RC-25", sharded: "ECO-CL-6", streams: "ECO-CL-6"}, "disconnect",
		func(t *testing.T) { c.testDisconnect(t, m, m.name()) })
}

// testEmitter does everything that an emitter can.
func (c *cluster) testEmitter(t *testing.T, e driver, name string) {
	t.Run("broadcasts", func(t *testing.T) { c.testBroadcasts(t, e, nil) })
	t.Run("rooms", func(t *testing.T) { c.testRooms(t, e, name) })
	t.Run("disconnect", func(t *testing.T) { c.testDisconnect(t, e, name) })
	t.Run("server-side events", func(t *testing.T) {
		for _, ns := range namespaces() {
			at := make(map[string]int)
			for _, to := range c.members {
				at[to.name()] = c.diary.length(told(to.name(), ns))
			}
			event := []any{"told", "w", 1, map[string]any{"a": nil}}
			c.must(t, e, command{Op: "serverEmit", NS: ns, Args: event})
			for _, to := range c.members {
				c.diary.until(t, told(to.name(), ns), at[to.name()], canonical(event))
			}
		}
	})
}
