package ratelimit_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// user says who a client is, as it claims in its auth payload.
func user(s *sio.Socket) string {
	_, name, _ := strings.Cut(string(s.Handshake().Auth), `"user":"`)
	name, _, _ = strings.Cut(name, `"`)
	return name
}

func as(name string) any { return map[string]string{"user": name} }

// TestWhoSharesABucket has clients send in turn, with room for three events in a
// bucket, and looks how many each of them gets through.
func TestWhoSharesABucket(t *testing.T) {
	t.Parallel()
	type client struct {
		namespace, address, user, event string
		want                            int
	}
	for name, tt := range map[string]struct {
		limit   func() sio.Middleware
		clients []client
	}{
		"PerSocket": {
			func() sio.Middleware { return ratelimit.PerSocket(3, time.Minute) },
			[]client{
				{"/", "192.0.2.1", "ann", "a", 3},
				{"/", "192.0.2.1", "ann", "b", 3}, // another socket
				{"/other", "192.0.2.1", "ann", "b", 3},
			},
		},
		"PerIP": {
			func() sio.Middleware { return ratelimit.PerIP(3, time.Minute) },
			[]client{
				{"/", "192.0.2.1", "ann", "a", 3},
				{"/", "192.0.2.1", "bob", "b", 0},
				{"/other", "::ffff:192.0.2.1", "bob", "b", 0}, // the same in another form
				{"/", "192.0.2.2", "ann", "a", 3},
				{"/", "2001:db8::1", "", "a", 3},
				{"/", "2001:db8::1:2:3:4", "", "a", 0}, // the same network
				{"/", "2001:db8:0:1::1", "", "a", 3},
				{"/", "fe80::1%eth0", "", "a", 3},
				{"/", "fe80::2%eth1", "", "a", 0},
			},
		},
		"PerIP of larger networks": {
			func() sio.Middleware { return ratelimit.PerIP(3, time.Minute, ratelimit.IPv6Prefix(48)) },
			[]client{
				{"/", "2001:db8::1", "", "a", 3},
				{"/", "2001:db8:0:1::1", "", "a", 0},
				{"/", "2001:db8:1::1", "", "a", 3},
			},
		},
		"PerIP of single addresses": {
			func() sio.Middleware { return ratelimit.PerIP(3, time.Minute, ratelimit.IPv6Prefix(128)) },
			[]client{
				{"/", "2001:db8::1", "", "a", 3},
				{"/", "2001:db8::2", "", "a", 3},
				{"/", "2001:db8::1", "", "a", 0},
			},
		},
		"PerUser": {
			func() sio.Middleware { return ratelimit.PerUser(user, 3, time.Minute) },
			[]client{
				{"/", "192.0.2.1", "ann", "a", 3},
				{"/other", "192.0.2.2", "ann", "b", 0},
				{"/", "192.0.2.1", "bob", "a", 3},
				{"/", "192.0.2.1", "", "a", 3}, // nobody, so by address
				{"/", "192.0.2.1", "", "a", 0},
				{"/", "192.0.2.2", "", "a", 3},
				{"/", "192.0.2.9", "a:192.0.2.2", "a", 3}, // called like an address
				{"/", "192.0.2.9", "192.0.2.2", "a", 3},
			},
		},
		"PerNamespace": {
			func() sio.Middleware { return ratelimit.PerNamespace(3, time.Minute) },
			[]client{
				{"/", "192.0.2.1", "ann", "a", 3},
				{"/", "192.0.2.2", "bob", "b", 0},
				{"/other", "192.0.2.1", "ann", "a", 3},
			},
		},
		"Per": {
			func() sio.Middleware {
				return ratelimit.Per(func(c *sio.Ctx) string { return strings.TrimPrefix(c.Event(), "free") }, 3, time.Minute)
			},
			[]client{
				{"/", "192.0.2.1", "ann", "a", 3},
				{"/other", "192.0.2.2", "bob", "a", 0},
				{"/", "192.0.2.2", "bob", "b", 3},
				{"/", "192.0.2.2", "bob", "free", 9},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, nil, func(t *testing.T, n network) {
				mw := tt.limit()
				for _, ns := range []string{"/", "/other"} {
					n.srv.Of(ns).UseEvents(mw)
					for _, event := range []string{"a", "b", "free"} {
						n.srv.Of(ns).On(event, answer)
					}
				}
				for i, c := range tt.clients {
					p := n.from(c.address).Connect(t, c.namespace, as(c.user))
					if got := allowed(t, p, c.event, 9); got != c.want {
						t.Errorf("client %d, %+v: %d events allowed", i, c, got)
					}
				}
			})
		})
	}
}

func TestPerEventCountsEachNameByItself(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.UseEvents(ratelimit.PerEvent(2, time.Minute))
		n.srv.OnUnknown(answer)
		p, q := n.join(t), n.join(t)
		for _, tt := range []struct {
			p     *siotest.Peer
			event string
			want  int
		}{{p, "a", 2}, {p, "b", 2}, {p, "a", 0}, {q, "a", 2}, {p, "", 2}, {p, " a", 2}} {
			if got := allowed(t, tt.p, tt.event, 5); got != tt.want {
				t.Errorf("event %q: %d allowed, want %d", tt.event, got, tt.want)
			}
		}
	})
}

func TestOneMiddlewareIsOneLimit(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		shared := ratelimit.PerSocket(3, time.Minute)
		n.srv.On("a", answer, shared)
		n.srv.On("b", answer, shared)
		n.srv.On("c", answer, ratelimit.PerSocket(3, time.Minute))
		p := n.join(t)
		if a, b, c := allowed(t, p, "a", 2), allowed(t, p, "b", 2), allowed(t, p, "c", 5); a != 2 || b != 1 || c != 3 {
			t.Errorf("%d, %d and %d allowed, want 2, 1 and 3", a, b, c)
		}
	})
}

func TestTokensComeBackAtASteadyRate(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.On("post", answer, ratelimit.PerSocket(4, time.Second, ratelimit.Burst(10)))
		p := n.join(t)
		if got := allowed(t, p, "post", 20); got != 10 {
			t.Errorf("%d at once, want 10", got)
		}
		for i := range 20 {
			time.Sleep(250*time.Millisecond - time.Nanosecond)
			if got := allowed(t, p, "post", 2); got != 0 {
				t.Errorf("%d: allowed early", i)
			}
			time.Sleep(time.Nanosecond)
			if got := allowed(t, p, "post", 2); got != 1 {
				t.Errorf("%d: %d allowed, want 1", i, got)
			}
		}
		time.Sleep(time.Hour)
		if got := allowed(t, p, "post", 20); got != 10 {
			t.Errorf("%d at once after an hour, want 10", got)
		}
	})
}

func TestCostOfEvents(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		cost := ratelimit.Cost(func(c *sio.Ctx) int {
			var tokens int
			if err := c.Bind(&tokens); err != nil {
				t.Error(err)
			}
			return tokens
		})
		n.srv.On("post", answer, ratelimit.PerSocket(10, time.Second, cost))
		p := n.join(t)
		for i, tt := range []struct {
			cost int
			want bool
		}{{0, true}, {-5, true}, {11, false}, {1 << 62, false}, {10, true}, {1, false}, {0, true}, {-1 << 62, true}, {1, false}} {
			if got := p.Ask("post", tt.cost).Err() == nil; got != tt.want {
				t.Errorf("event %d, which costs %d: allowed is %v", i, tt.cost, got)
			}
		}
	})
}

func TestBytes(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.OnUnknown(answer)
		n.srv.UseEvents(ratelimit.PerSocket(1000, time.Minute, ratelimit.Bytes()))
		p := n.join(t)
		if got := allowed(t, p, "text", 50, strings.Repeat("x", 94)); got != 10 { // with the name and two quotes
			t.Errorf("%d texts of 100 bytes allowed, want 10", got)
		}
		if got := allowed(t, n.join(t), "bytes", 50, make([]byte, 200)); got < 3 || got > 5 { // and a placeholder
			t.Errorf("%d attachments of 200 bytes allowed, want some 4", got)
		}
		if got := allowed(t, n.join(t), "", 2000); got != 1000 {
			t.Errorf("%d empty events allowed, want 1000", got)
		}
		if got := allowed(t, n.join(t), strings.Repeat("n", 250), 10); got != 4 {
			t.Errorf("%d names of 250 bytes allowed, want 4", got)
		}
	})
}

func TestPanicOfAKeyIsTheHandlersOwn(t *testing.T) {
	t.Parallel()
	var failed error
	bubble(t, &sio.Options{OnError: func(_ *sio.Ctx, err error) { failed = err }}, func(t *testing.T, n network) {
		n.srv.On("post", answer, ratelimit.Per(func(*sio.Ctx) string { panic("no key") }, 1, time.Minute))
		n.join(t).Emit("post")
		synctest.Wait()
		if failed == nil || !strings.Contains(failed.Error(), "no key") {
			t.Errorf("failed with %v", failed)
		}
	})
}

// Limits that share a limiter must not share buckets, even if clients choose the
// keys with care.
func TestNamesInASharedLimiterDoNotMeet(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		m := ratelimit.NewMemory(0)
		byArgument := func(c *sio.Ctx) string {
			var key string
			if err := c.Bind(&key); err != nil {
				t.Error(err)
			}
			return key
		}
		n.srv.On("a", answer, ratelimit.Per(byArgument, 1, time.Minute, ratelimit.In(m, "a")))
		n.srv.On("b", answer, ratelimit.Per(byArgument, 1, time.Minute, ratelimit.In(m, "b")))
		n.srv.On("same", answer, ratelimit.Per(byArgument, 1, time.Minute, ratelimit.In(m, "a")))
		p := n.join(t)
		for _, key := range []string{"x", ":x", "a:x", "b:x", "\x00", strings.Repeat("long", 10_000)} {
			if a, b, same := allowed(t, p, "a", 2, key), allowed(t, p, "b", 2, key), allowed(t, p, "same", 2, key); a != 1 || b != 1 || same != 0 {
				t.Errorf("key %.10q: %d, %d and %d allowed, want 1, 1 and 0", key, a, b, same)
			}
		}
	})
}

func TestConnectsPerIP(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, n network) {
		n.srv.UseConnect(ratelimit.PerIP(2, time.Minute))
		try := func(address string) error {
			_, err := n.from(address).TryConnect(t, "/", nil)
			return err
		}
		for i, want := range []bool{true, true, false} {
			if err := try("192.0.2.1"); (err == nil) != want {
				t.Errorf("connect %d: %v", i, err)
			}
		}
		if err := try("192.0.2.2"); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
		if wait := retryAfter(t, try("192.0.2.1")); wait != 30*time.Second {
			t.Errorf("told to wait for %v", wait)
		}
		time.Sleep(30 * time.Second)
		if err := try("192.0.2.1"); err != nil {
			t.Errorf("after waiting: %v", err)
		}
	})
}

// Every connect has a socket of its own, so that such a limit would be none.
func TestPerSocketIsNotForConnects(t *testing.T) {
	t.Parallel()
	for name, mw := range map[string]sio.Middleware{
		"PerSocket": ratelimit.PerSocket(1, time.Minute), "PerEvent": ratelimit.PerEvent(1, time.Minute),
	} {
		c, _ := siotest.NewCtx(t, "connect")
		func() {
			defer func() {
				if s := fmt.Sprint(recover()); !strings.Contains(s, "use PerIP or PerUser") {
					t.Errorf("%s: panic %q", name, s)
				}
			}()
			_ = mw(func(*sio.Ctx) error { return nil })(c)
		}()
	}
}

func TestRecoveredSocketHasTheBucketThatItHad(t *testing.T) {
	t.Parallel()
	bubble(t, &sio.Options{ConnectionStateRecovery: &sio.Recovery{}}, func(t *testing.T, n network) {
		n.srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("hello", c.Recovered()) })
		n.srv.On("post", answer, ratelimit.PerSocket(3, time.Hour, ratelimit.DisconnectAfter(3)))
		c := n.WebSocket(t)
		c.Send("40")
		pid, offset := session(t, c)
		c.Send(`421["post"]`, `422["post"]`, `423["post"]`, `424["post"]`)
		limited := `[{"error":{"message":"rate limit exceeded","data":{"code":"rate_limited","retryAfter":1200}}}]`
		c.Want(`431["ok"]`, `432["ok"]`, `433["ok"]`, "434"+limited)
		c.Abort()

		c = n.WebSocket(t)
		c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, pid, offset))
		if again, _ := session(t, c); again != pid {
			t.Fatal("not recovered")
		}
		c.Send(`421["post"]`, `422["post"]`) // the second and the third refusal
		c.Want("431" + limited)
		if got := c.UntilClosed(); len(got) != 2 || !strings.HasPrefix(got[0], `42["rate_limited"`) || got[1] != "41" {
			t.Errorf("at last came %q", got)
		}
	})
}

// session reads the answer to CONNECT and the event behind it.
func session(t *testing.T, c *siotest.Client) (pid, offset string) {
	t.Helper()
	var recovered bool
	hello := c.Next()
	_, pid, _ = strings.Cut(hello, `"pid":"`)
	pid, _, _ = strings.Cut(pid, `"`)
	event := c.Next()
	if _, err := fmt.Sscanf(event, `42["hello",%t,%q]`, &recovered, &offset); err != nil || pid == "" {
		t.Fatalf("got %s and %s: %v", hello, event, err)
	}
	return pid, offset
}
