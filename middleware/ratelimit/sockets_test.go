package ratelimit_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

func TestMaxPerIPAtTheLimitAndOnePast(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		var seen refusals
		n.srv.UseConnect(ratelimit.MaxPerIP(3, ratelimit.Observe(seen.observe)))
		n.srv.On("kick me", func(c *sio.Ctx) error { return c.Disconnect() })
		var in []*siotest.Peer
		for range 3 {
			in = append(in, n.from("2001:db8::1").join(t))
		}
		_, err := n.from("2001:db8::2").TryConnect(t, "/", nil)
		if e, ok := err.(*sio.Error); !ok || e.Message != "too many connections" {
			t.Errorf("one past the limit: %v", err)
		}
		n.from("192.0.2.1").join(t)
		if r := seen.all(); len(r) != 1 || r[0].Limit != "sockets per ip" || r[0].Key != "2001:db8::/64" || r[0].Event != "connect" {
			t.Errorf("observed %+v", r)
		}
		// However a client goes, its place is free.
		for i, leave := range []func(p *siotest.Peer){
			(*siotest.Peer).Disconnect, (*siotest.Peer).Abort, func(p *siotest.Peer) { p.Emit("kick me") },
		} {
			leave(in[i])
			synctest.Wait()
			n.from("2001:db8::1").join(t)
			if _, err := n.from("2001:db8::1").TryConnect(t, "/", nil); err == nil {
				t.Errorf("%d: two places instead of one", i)
			}
		}
	})
}

func TestRefusedClientHoldsNoPlace(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.UseConnect(ratelimit.MaxPerIP(1), sio.Guard(func(c *sio.Ctx) error {
			if user(c.Socket) == "" {
				return &sio.Error{Message: "who are you?"}
			}
			return nil
		}))
		for range 3 {
			if _, err := n.TryConnect(t, "/", nil); err == nil || err.Error() != "who are you?" {
				t.Fatalf("refused with %v", err)
			}
			synctest.Wait()
		}
		n.Connect(t, "/", as("ann"))
	})
}

func TestMaxPerUser(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.UseConnect(ratelimit.MaxPerUser(user, 1))
		try := func(address, name string) bool {
			_, err := n.from(address).TryConnect(t, "/", as(name))
			return err == nil
		}
		got := []bool{
			try("192.0.2.1", "ann"), try("192.0.2.2", "ann"), try("192.0.2.1", "bob"),
			try("192.0.2.1", ""), try("192.0.2.1", ""), try("192.0.2.2", ""), try("192.0.2.3", "a:192.0.2.1"),
		}
		if diff := cmp.Diff([]bool{true, false, true, true, false, true, true}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// A client that recovers its session has one place, whether its connect chain runs
// or not, and however late the server notices that its connection is lost.
func TestRecoveredSocketHasOnePlace(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]sio.Recovery{
		"skipping middlewares": {},
		"running middlewares":  {RunMiddlewares: true},
	} {
		for i, abort := range []bool{true, false, true, false} {
			var cluster adapter.Cluster
			if i > 1 {
				cluster = adapter.NewMemory()
			}
			t.Run(fmt.Sprintf("%s, noticed before: %v, cluster: %v", name, abort, i > 1), func(t *testing.T) {
				t.Parallel()
				bubble(t, &sio.Options{ConnectionStateRecovery: &opts, Adapter: cluster}, func(t *testing.T, n network) {
					n.srv.UseConnect(ratelimit.MaxPerIP(1))
					n.srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("hello", c.Recovered()) })
					c := n.WebSocket(t)
					c.Send("40")
					pid, offset := session(t, c)
					for range 3 {
						if abort {
							c.Abort()
							synctest.Wait()
						}
						c = n.WebSocket(t)
						c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, pid, offset))
						if again, next := session(t, c); again != pid {
							t.Fatal("not recovered")
						} else {
							offset = next
						}
						synctest.Wait()
						if _, err := n.TryConnect(t, "/", nil); err == nil {
							t.Fatal("the recovered socket has no place")
						}
					}
					c.Abort()
					synctest.Wait()
					n.WebSocket(t).Connect("/", "")
				})
			})
		}
	}
}

// The place that a client left may be taken when it comes back.
func TestRecoveryWhenThePlaceIsTaken(t *testing.T) {
	t.Parallel()
	bubble(t, &sio.Options{ConnectionStateRecovery: &sio.Recovery{}}, func(t *testing.T, n network) {
		n.srv.UseConnect(ratelimit.MaxPerIP(1))
		n.srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("hello", c.Recovered()) })
		c := n.WebSocket(t)
		c.Send("40")
		pid, offset := session(t, c)
		c.Abort()
		synctest.Wait()
		n.WebSocket(t).Connect("/", "")

		c = n.WebSocket(t)
		c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, pid, offset))
		c.Want("44" + tooMany)
	})
}

func TestPlacesUnderConcurrency(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, nil, siotest.Loopback)
	const most, clients, rounds = 5, 20, 10
	conns := make([]*siotest.Client, clients)
	for i := range conns {
		conns[i] = n.WebSocket(t)
	}
	// crowd has all clients connect at once, and returns those that got in.
	crowd := func(namespace string) []*siotest.Client {
		var mu sync.Mutex
		var in []*siotest.Client
		var wg sync.WaitGroup
		for _, c := range conns {
			wg.Go(func() {
				if err := c.TrySend("40" + namespace + ","); err != nil {
					t.Error(err)
				}
				switch answer, err := c.TryNext(); {
				case err != nil:
					t.Error(err)
				case strings.HasPrefix(answer, "40"):
					mu.Lock()
					defer mu.Unlock()
					in = append(in, c)
				}
			})
		}
		wg.Wait()
		return in
	}
	limit := ratelimit.MaxPerIP(most)
	for round := range rounds {
		namespace := fmt.Sprintf("/%d", round)
		n.srv.Of(namespace).UseConnect(limit)
		// Places become free a moment after their sockets have gone.
		for deadline := time.Now().Add(maxWait); ; {
			in := crowd(namespace)
			if len(in) > most || time.Now().After(deadline) {
				t.Fatalf("round %d: %d got in, want %d", round, len(in), most)
			}
			for _, c := range in {
				if err := c.TrySend("41" + namespace + ","); err != nil {
					t.Error(err)
				}
			}
			if len(in) == most {
				break
			}
		}
	}
}
