package redisadapter_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	"github.com/sioplug/sioplug/internal/redistest"
)

// The name of a namespace may have characters that mean something in patterns.
func TestNamespacesWithPatterns(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := newClient(t, s.Addr)
	one, two := redisadapter.Classic(client), redisadapter.Classic(client)
	for _, namespace := range []string{"/a*", "/ab", "/[a]b", `/\`, "/?", "/a^-]"} {
		a, b := join(t, one, namespace, "a"), join(t, two, namespace, "b")
		connected(t, a, b)
		a.publish("1")
		b.expect("1")
	}
	next := s.Monitor()
	c := redisadapter.Classic(client)
	join(t, c, "/*?[x]", "c")
	commands(next, c.Status().Server, `PSUBSCRIBE socket.io#/\*\?\[x]#*`)
}

// Requests of old official servers, as in CAP-F-24, are answered in their form.
func TestOldRequests(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a := join(t, redisadapter.Classic(newClient(t, s.Addr)), "/", "a")
	eventually(t, "it is connected", func() bool { return a.cluster.Status().Healthy })
	next := s.Monitor()
	s.MustDo("PUBLISH", "socket.io-request#/#", `{"requestId":"q1","type":1}`)
	for {
		words := next()
		if words[0] != "PUBLISH" || words[1] != "socket.io-response#/#" {
			continue
		}
		if words[2] != `{"requestId":"q1","rooms":["id","room1"]}` {
			t.Errorf("answered %s", words[2])
		}
		return
	}
}

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	client := newClient(t, "127.0.0.1:1")
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": "127.0.0.1:1"}, HeartbeatFrequency: 1 << 40})
	t.Cleanup(func() { _ = ring.Close() })
	for want, f := range map[string]func(){
		"pass at most one":          func() { redisadapter.Classic(client, redisadapter.ClassicOptions{}, redisadapter.ClassicOptions{}) },
		"pass the result of":        func() { redisadapter.Classic(nil) },
		"use Redis Cluster":         func() { redisadapter.Classic(ring) },
		"use Static, Dynamic":       func() { redisadapter.Sharded(client, redisadapter.ShardedOptions{SubscriptionMode: "x"}) },
		"MaxLen is negative":        func() { redisadapter.Streams(client, redisadapter.StreamsOptions{MaxLen: -1}) },
		"BlockTime is shorter":      func() { redisadapter.Streams(client, redisadapter.StreamsOptions{BlockTime: 1}) },
		"ReadTimeout is 1ns":        func() { redisadapter.Sharded(client, redisadapter.ShardedOptions{ReadTimeout: 1}) },
		"the client is nil":         func() { redisadapter.Streams((*redis.ClusterClient)(nil)) },
		"has no options to connect": func() { redisadapter.Streams(struct{ redis.UniversalClient }{client}) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "redisadapter: ") || !strings.Contains(text, want) {
					t.Errorf("panic %q does not say %q", text, want)
				}
			}()
			f()
		}()
	}
}

// Redis that refuses: the adapter says why, and closes without waiting.
func TestWithoutPassword(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.MustDo("CONFIG", "SET", "requirepass", "secret")
	for _, tt := range []struct {
		password string
		healthy  bool
	}{{"", false}, {"secret", true}} {
		client := redis.NewClient(&redis.Options{Addr: s.Addr, Password: tt.password})
		t.Cleanup(func() { _ = client.Close() })
		n := join(t, redisadapter.Classic(client), "/", "a")
		eventually(t, "it is known whether it works", func() bool {
			st := n.cluster.Status()
			return st.Healthy && tt.healthy || st.Err != nil && strings.Contains(st.Err.Error(), "NOAUTH") && !tt.healthy
		})
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if err := client.Close(); err != nil {
			t.Errorf("the client was closed by the adapter: %v", err)
		}
	}
}
