package cluster_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/redistest"
)

// recoveries are the variants in which clients can come back to another server.
func recoveries() []variant {
	list := slices.DeleteFunc(variants(), func(v variant) bool { return v.adapter != streams })
	for i := range list {
		list[i].recovery = true
	}
	return list
}

// TestOfficialRecovery shows that the expectations are those of the official packages.
func TestOfficialRecovery(t *testing.T) {
	t.Parallel()
	for _, v := range recoveries() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			addr := redistest.Start(t).Addr
			c := newCluster(t, v)
			for _, name := range []string{"a", "b", "c"} {
				c.members = append(c.members, startNodeServer(t, c.peer, name, v, addr))
			}
			c.populate(t)
			c.testRecovery(t, addr, c.members[0], c.members[1])
		})
	}
}

// TestMixedRecovery moves clients between servers of both languages.
func TestMixedRecovery(t *testing.T) {
	t.Parallel()
	for _, v := range recoveries() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			addr := redistest.Start(t).Addr
			c := newCluster(t, v)
			c.members = []member{
				c.startGoRedisServer(t, "a", addr, &sio.Recovery{}),
				c.startGoRedisServer(t, "b", addr, &sio.Recovery{}),
				startNodeServer(t, c.peer, "c", v, addr),
			}
			c.populate(t)
			a, b, node := c.members[0], c.members[1], c.members[2]
			t.Run("Go to Go", func(t *testing.T) { c.testRecovery(t, addr, a, b) })
			t.Run("Node to Go", func(t *testing.T) { c.testRecovery(t, addr, node, a) })
			t.Run("Go to Node", func(t *testing.T) { c.testRecovery(t, addr, b, node) })
		})
	}
}

// testRecovery loses the connection of a client, which comes back to another server:
// ECO-ST-8, -9, -10, CAP-F-16, CAP-F-17.
func (c *cluster) testRecovery(t *testing.T, addr string, from, to member) {
	t.Helper()
	c.testRecoveryWhen(t, func(t *testing.T) { t.Helper(); waitForSession(t, addr) }, from, to)
}

// testRecoveryWhen is testRecovery with a function that waits until a session is saved.
func (c *cluster) testRecoveryWhen(t *testing.T, saved func(t *testing.T), from, to member) {
	t.Helper()
	for _, ns := range namespaces() {
		cl := connectClient(t, c.peer, from, " moves to "+to.name()+" in "+ns, ns, "r1", "of "+ns)
		id := cl.id
		marker := c.mark(t, from) // which tells it an offset
		c.diary.until(t, received(cl.name), 0, marker)
		position := c.diary.length(received(cl.name))

		cl.call(t, command{Op: "cut"}, new(any))
		saved(t)
		want := c.emitMeanwhile(t, ns)
		cl.at = to
		if !cl.connect(t, connect{Op: "reconnect", URL: to.url()}) || cl.id != id {
			t.Fatalf("%s is not recovered", cl.name)
		}
		marker = c.mark(t, to)
		if got := c.diary.until(t, received(cl.name), position, marker); !slices.Equal(got, want) {
			t.Errorf("%s received %s, want %s", cl.name, got, want)
		}
		for _, m := range c.members {
			r := c.must(t, m, command{Op: "fetch", NS: ns, To: []any{"of " + ns}})
			if len(r.Sockets) != 1 {
				t.Fatalf("%s knows %d sockets", m.name(), len(r.Sockets))
			}
			s := r.Sockets[0]
			rooms := []string{id, "of " + ns, "r1"}
			slices.Sort(rooms)
			slices.Sort(s.Rooms)
			if s.ID != id || s.Data["name"] != cl.name || !slices.Equal(s.Rooms, rooms) {
				t.Errorf("%s describes it as %v", m.name(), s)
			}
		}
		cl.disconnect(t)
	}
}

// emitMeanwhile emits from all servers, in turn. It returns what a client in r1 has missed.
func (c *cluster) emitMeanwhile(t *testing.T, ns string) (missed []string) {
	t.Helper()
	for i, m := range c.members {
		for _, do := range []command{
			{Args: with("to all", i)},
			{Args: with("to the room", map[string]any{"b": []any{blob{1, byte(i)}}}, i), To: []any{"r1", "nobody"}},
			{Args: with("to another room", i), To: []any{"r2"}},
			{Args: with("except the room", i), Except: []any{"r1"}},
		} {
			do.Op, do.NS = "emit", ns
			c.must(t, m, do)
			if len(do.Except) == 0 && !slices.Contains(do.To, any("r2")) {
				missed = append(missed, canonical(do.Args))
			}
		}
		missed = append(missed, c.mark(t, m))
	}
	return missed
}

// waitForSession waits until a session is in Redis.
func waitForSession(t *testing.T, addr string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		keys, err := client.Keys(t.Context(), "sio:session:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no session is saved")
		}
	}
}
