package ratelimit_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

const replaced = `42["rate_limited",{"code":"replaced","event":"connect"}]`

func newest(n int, opts ...ratelimit.Option) sio.Middleware {
	return ratelimit.MaxPerUser(user, n, append(opts, ratelimit.NewestWins())...)
}

// The oldest socket is told why, and disconnected. Other users are not concerned.
func TestNewestWins(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		var seen refusals
		n.srv.UseConnect(newest(2, ratelimit.Observe(seen.observe)))
		bob := n.Connect(t, "/", as("bob"))
		var conns []*siotest.Client
		var ids []string
		for i := range 5 {
			c := n.WebSocket(t)
			c.Connect("/", `{"user":"ann"}`)
			conns = append(conns, c)
			synctest.Wait()
			if i >= 2 {
				conns[i-2].Want(replaced, "41")
			}
			for _, s := range n.srv.Broadcast().Sockets() {
				if user(s) == "ann" && !strings.Contains(strings.Join(ids, " "), s.ID()) {
					ids = append(ids, s.ID())
				}
			}
		}
		if got := len(n.srv.Broadcast().Sockets()); got != 3 || n.srv.Socket(bob.ID()) == nil {
			t.Errorf("%d sockets are left", got)
		}
		r := seen.all()
		if len(r) != 3 || len(ids) != 5 {
			t.Fatalf("observed %+v, sockets %q", r, ids)
		}
		for i := range r {
			if r[i].Replaced != ids[i] || r[i].Key != "u:ann" || r[i].Event != "connect" || r[i].Limit != "sockets per user" || r[i].Socket.ID() != ids[i+2] {
				t.Errorf("observed %+v", r[i])
			}
		}
	})
}

// A client without a user has the limit of its address, and is refused.
func TestNewestWinsForClientsWithoutAUser(t *testing.T) {
	t.Parallel()
	for _, clustered := range []bool{false, true} {
		t.Run(fmt.Sprint("cluster: ", clustered), func(t *testing.T) {
			t.Parallel()
			var opts sio.Options
			if clustered {
				opts.Adapter = adapter.NewMemory()
			}
			bubble(t, &opts, func(t *testing.T, n network) {
				n.srv.UseConnect(newest(1))
				if !try(t, n, "") || try(t, n, "") {
					t.Error("clients of an address replace each other")
				}
			})
		})
	}
}

func TestNewestWinsInACluster(t *testing.T) {
	t.Parallel()
	servers(t, 3, adapter.NewMemory(), sio.Options{}, func(t *testing.T, nodes []network) {
		limitAll(nodes, func() sio.Middleware { return newest(1) })
		var last *siotest.Client
		for i := range 7 {
			c := nodes[i%3].WebSocket(t)
			c.Connect("/", `{"user":"ann"}`)
			synctest.Wait()
			if last != nil {
				last.Want(replaced, "41")
			}
			last = c
		}
		if n := count(nodes); n != 1 {
			t.Errorf("%d sockets are left", n)
		}
	})
}

func count(nodes []network) (n int) {
	for _, node := range nodes {
		n += len(node.srv.Broadcast().Sockets())
	}
	return n
}

// Clients that come to several servers at the same moment: as many stay as there are
// places, and all others are told.
func TestNewestWinsAtTheSameTime(t *testing.T) {
	t.Parallel()
	const perServer = 4
	for most := 1; most <= 3; most++ {
		for _, delay := range []time.Duration{0, time.Millisecond} {
			t.Run(fmt.Sprint(most, " after ", delay), func(t *testing.T) {
				t.Parallel()
				servers(t, 3, slow{adapter.NewMemory(), delay}, sio.Options{}, func(t *testing.T, nodes []network) {
					limitAll(nodes, func() sio.Middleware { return newest(most) })
					var conns []*siotest.Client
					for _, n := range nodes {
						for range perServer {
							c := n.WebSocket(t)
							c.Send(`40{"user":"ann"}`)
							conns = append(conns, c)
						}
					}
					time.Sleep(time.Second)
					if n := count(nodes); n != most {
						t.Errorf("%d sockets, want %d", n, most)
					}
					for i, c := range conns {
						_, id, _ := strings.Cut(c.Next(), `"sid":"`)
						id, _, _ = strings.Cut(id, `"`)
						if nodes[i/perServer].srv.Socket(id) == nil {
							c.Want(replaced)
						}
					}
				})
			})
		}
	}
}

// A client that comes back is the newest. One that was replaced while it was away does not
// recover its session.
func TestNewestWinsAndRecovery(t *testing.T) {
	t.Parallel()
	bubble(t, &sio.Options{ConnectionStateRecovery: &sio.Recovery{}}, func(t *testing.T, n network) {
		n.srv.UseConnect(newest(1))
		n.srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("hello", c.Recovered()) })
		first := n.WebSocket(t)
		first.Send(`40{"user":"ann"}`)
		pid, offset := session(t, first)
		first.Abort()
		synctest.Wait()
		second := n.WebSocket(t)
		second.Connect("/", `{"user":"ann"}`)
		second.Next() // hello
		synctest.Wait()

		back := n.WebSocket(t)
		back.Send(fmt.Sprintf(`40{"user":"ann","pid":%q,"offset":%q}`, pid, offset))
		if again, _ := session(t, back); again != pid {
			t.Error("not recovered")
		}
		if text := second.Next(); !strings.HasPrefix(text, strings.TrimSuffix(replaced, "]")) {
			t.Errorf("got %s", text)
		}
		second.Want("41")
		if got := n.srv.Broadcast().Sockets(); len(got) != 1 || !got[0].Recovered() {
			t.Errorf("%d sockets are left", len(got))
		}
	})
}

// A server that hangs: those that answer decide, or the client is refused.
func TestNewestWinsWithoutAServer(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprint("RefuseUncounted: ", strict), func(t *testing.T) {
			t.Parallel()
			cluster := adapter.NewMemory()
			servers(t, 2, cluster, sio.Options{}, func(t *testing.T, nodes []network) {
				hung := cluster.Join("/", silent{})
				defer func() { _ = hung.Close() }()
				opts := []ratelimit.Option{ratelimit.Logger(new(logbook).logger())}
				if strict {
					opts = append(opts, ratelimit.RefuseUncounted())
				}
				limitAll(nodes, func() sio.Middleware { return newest(1, opts...) })
				for i := range 4 {
					_, err := nodes[i%2].TryConnect(t, "/", as("ann"))
					time.Sleep(3 * time.Second)
					if (err != nil) != strict {
						t.Errorf("client %d: %v", i, err)
					}
				}
				if n := count(nodes); n != 1 && !strict || n != 0 && strict {
					t.Errorf("%d sockets are left", n)
				}
			})
		})
	}
}

func TestNewestWinsIsNotForAddresses(t *testing.T) {
	t.Parallel()
	defer func() {
		if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "ratelimit: NewestWins is for MaxPerUser") {
			t.Errorf("panic %q", text)
		}
	}()
	ratelimit.MaxPerIP(1, ratelimit.NewestWins())
}
