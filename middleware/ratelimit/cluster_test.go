package ratelimit_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

const limitedAtConnect = `42["rate_limited",{"code":"too_many_connections","event":"connect"}]`

// servers runs f with n servers of one cluster, in fake time.
func servers(t *testing.T, n int, cluster adapter.Cluster, opts sio.Options, f func(t *testing.T, nodes []network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opts.Adapter = cluster
		var nodes []network
		for range n {
			nodes = append(nodes, newNetwork(t, &opts, func(tb testing.TB, h http.Handler) siotest.Dialer {
				tb.Helper()
				return siotest.Pipes(tb, h)
			}))
		}
		f(t, nodes)
	})
}

func limitAll(nodes []network, limit func() sio.Middleware) {
	for _, n := range nodes {
		n.srv.UseConnect(limit())
	}
}

// try reports whether a client gets in and stays.
func try(t *testing.T, n network, name string) bool {
	t.Helper()
	p, err := n.TryConnect(t, "/", as(name))
	if err != nil && err.Error() != "too many connections" {
		t.Errorf("refused with %v", err)
	}
	synctest.Wait()
	return err == nil && n.srv.Socket(p.ID()) != nil
}

// The limit is for all servers, each with a limit of its own. A place that a client leaves
// is free on all of them.
func TestMaxPerUserInACluster(t *testing.T) {
	t.Parallel()
	servers(t, 3, adapter.NewMemory(), sio.Options{}, func(t *testing.T, nodes []network) {
		limitAll(nodes, func() sio.Middleware { return ratelimit.MaxPerUser(user, 3) })
		var peers []*siotest.Peer
		for _, n := range nodes {
			peers = append(peers, n.Connect(t, "/", as("ann")))
		}
		synctest.Wait()
		for i, n := range nodes {
			if try(t, n, "ann") {
				t.Errorf("server %d lets a fourth socket in", i)
			}
			if !try(t, n, string(rune('b'+i))) {
				t.Errorf("server %d refuses another user", i)
			}
		}
		peers[2].Abort()
		synctest.Wait()
		if !try(t, nodes[0], "ann") || try(t, nodes[1], "ann") {
			t.Error("the place of a client that has gone is not free, or there are two")
		}
		for _, n := range nodes {
			for _, r := range n.srv.Rooms() {
				if strings.Contains(r, "ann") {
					t.Errorf("a room has the name of the user: %s", r)
				}
			}
		}
	})
}

func TestMaxPerIPInACluster(t *testing.T) {
	t.Parallel()
	servers(t, 2, adapter.NewMemory(), sio.Options{}, func(t *testing.T, nodes []network) {
		var seen refusals
		limitAll(nodes, func() sio.Middleware { return ratelimit.MaxPerIP(1, ratelimit.Observe(seen.observe)) })
		nodes[0].from("2001:db8::1").join(t)
		synctest.Wait()
		if try(t, nodes[1].from("2001:db8::2"), "") || !try(t, nodes[1].from("192.0.2.1"), "") {
			t.Error("the address counts for one server only, or others have no place")
		}
		if r := seen.all(); len(r) != 1 || r[0].Limit != "sockets per ip" || r[0].Key != "2001:db8::/64" {
			t.Errorf("observed %+v", r)
		}
	})
}

// Different limits do not count for each other.
func TestLimitsOfSocketsHaveNames(t *testing.T) {
	t.Parallel()
	servers(t, 2, adapter.NewMemory(), sio.Options{}, func(t *testing.T, nodes []network) {
		limitAll(nodes, func() sio.Middleware { return ratelimit.MaxPerUser(user, 2) })
		limitAll(nodes, func() sio.Middleware {
			return ratelimit.MaxPerUser(func(*sio.Socket) string { return "ann" }, 3, ratelimit.Name("all"))
		})
		for i, want := range []bool{true, true, true, false} {
			if got := try(t, nodes[i%2], string(rune('a'+i))); got != want {
				t.Errorf("client %d: %t", i, got)
			}
		}
	})
}

// A slow cluster delays requests to other servers.
type slow struct {
	adapter.Cluster

	delay time.Duration
}

type slowAdapter struct {
	adapter.Adapter

	delay time.Duration
}

func (c slow) Join(namespace string, n adapter.Node) adapter.Adapter {
	return slowAdapter{c.Cluster.Join(namespace, n), c.delay}
}

func (a slowAdapter) Ask(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) error {
	select {
	case <-time.After(a.delay):
		return a.Adapter.Ask(ctx, m, reply)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// When clients come to several servers at the same moment, all are counted before any has
// a place. They may all be refused, but never are there too many.
func TestClientsThatComeAtTheSameTimeAreNeverTooMany(t *testing.T) {
	t.Parallel()
	const most, perServer = 4, 3
	servers(t, 3, slow{adapter.NewMemory(), time.Millisecond}, sio.Options{}, func(t *testing.T, nodes []network) {
		limitAll(nodes, func() sio.Middleware { return ratelimit.MaxPerUser(user, most) })
		var conns []*siotest.Client
		for _, n := range nodes {
			for range perServer {
				c := n.WebSocket(t)
				c.Send(`40{"user":"ann"}`)
				conns = append(conns, c)
			}
		}
		time.Sleep(time.Second)
		in := 0
		for _, n := range nodes {
			in += len(n.srv.Broadcast().Sockets())
		}
		if in > most {
			t.Errorf("%d sockets, want at most %d", in, most)
		}
		told := 0
		for _, c := range conns { // of those who were accepted first
			if c.Next(); told < len(conns)-in && in == 0 {
				c.Want(limitedAtConnect, "41")
				told++
			}
		}
		if !try(t, nodes[0], "bob") {
			t.Error("others are refused as well")
		}
	})
}

// A server that hangs: by default, what is known decides.
func TestServersThatDoNotCount(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opts []ratelimit.Option
		want []bool
		wait time.Duration
	}{
		"by default":       {nil, []bool{true, true, false}, time.Second},
		"CountTimeout":     {[]ratelimit.Option{ratelimit.CountTimeout(3 * time.Second)}, []bool{true, true, false}, 3 * time.Second},
		"RefuseUncounted":  {[]ratelimit.Option{ratelimit.RefuseUncounted()}, []bool{false, false, false}, time.Second},
		"short and strict": {[]ratelimit.Option{ratelimit.RefuseUncounted(), ratelimit.CountTimeout(time.Millisecond)}, []bool{false, false, false}, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := adapter.NewMemory()
			servers(t, 2, cluster, sio.Options{}, func(t *testing.T, nodes []network) {
				hung := cluster.Join("/", silent{})
				defer func() { _ = hung.Close() }()
				log := new(logbook)
				opts := append(slices.Clone(tt.opts), ratelimit.Logger(log.logger()))
				limitAll(nodes, func() sio.Middleware { return ratelimit.MaxPerUser(user, 2, opts...) })
				for i, want := range tt.want {
					start := time.Now()
					p, err := nodes[i%2].TryConnect(t, "/", as("ann"))
					time.Sleep(3 * tt.wait)
					if got := err == nil && nodes[i%2].srv.Socket(p.ID()) != nil; got != want {
						t.Errorf("client %d: %t (%v)", i, got, err)
					}
					if took := time.Since(start) - 3*tt.wait; took != tt.wait {
						t.Errorf("client %d has waited %v", i, took)
					}
				}
				if s := log.String(); strings.Count(s, "level=ERROR") > 2 || !strings.Contains(s, "other servers did not count their sockets") ||
					!strings.Contains(s, "1 servers have not answered") {
					t.Errorf("logged %s", s)
				}
			})
		})
	}
}

// A silent node never answers.
type silent struct{}

func (silent) Receive(*adapter.Message) {}

func (silent) Answer(ctx context.Context, _ *adapter.Message, _ func(*adapter.Reply)) { <-ctx.Done() }
