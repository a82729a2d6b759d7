package cluster_test

import (
	"slices"
	"testing"
)

// testLeaving stops one server after another. Those that are left wait for nobody else.
func (c *cluster) testLeaving(t *testing.T) {
	c.run(t, ids{classic: "ECO-RC-37", sharded: "ECO-SH-9", streams: "ECO-ST-13", postgres: "CAP-F-13"}, "leaving", func(t *testing.T) {
		for _, gone := range []int{1, 1} { // first a server in Go, then the one in Node.js
			c.members[gone].stop(t)
			c.members = slices.Delete(slices.Clone(c.members), gone, gone+1)
			for _, m := range c.members {
				c.ready(t, m, "/", len(c.members)-1)
				if got := len(c.must(t, m, command{Op: "fetch", NS: "/"}).Sockets); got != 3*len(c.members) {
					t.Errorf("%s knows %d sockets of %d servers", m.name(), got, len(c.members))
				}
				r := c.must(t, m, command{Op: "ask", NS: "/", To: []any{"r1"}, Timeout: long, Args: []any{"ask", 1}})
				wantValues(t, r, answersOf(each(c.members, "1 2"), 1))
			}
		}
	})
}
