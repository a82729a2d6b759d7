package redisadapter_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/redistest"
)

// A server is what the tests need of an adapter.
type server interface {
	adapter.Cluster
	adapter.Reporter
	adapter.ErrorNotifier
}

// adapters makes each adapter, with short back-offs where that is an option.
func adapters() map[string]func(redis.UniversalClient) server {
	return map[string]func(redis.UniversalClient) server{
		"classic": func(c redis.UniversalClient) server { return redisadapter.Classic(c) },
		"sharded": func(c redis.UniversalClient) server { return redisadapter.Sharded(c) },
		"streams": func(c redis.UniversalClient) server { return redisadapter.Streams(c) },
	}
}

// forEach runs a test for each adapter with a Redis of its own.
func forEach(t *testing.T, test func(t *testing.T, s *redistest.Server, newCluster func(redis.UniversalClient) server)) {
	t.Helper()
	for name, newCluster := range adapters() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, redistest.Start(t), newCluster)
		})
	}
}

// CF-10: a Redis that hangs for longer than go-redis waits only delays.
func TestAHungRedisDelays(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, s *redistest.Server, newCluster func(redis.UniversalClient) server) {
		client := newClient(t, s.Addr)
		a, b := join(t, newCluster(client), "/", "a"), join(t, newCluster(client), "/", "b")
		connected(t, a, b)
		goOn := s.Hang()
		const n = 500
		for i := range n {
			a.publish(fmt.Sprint(i))
		}
		time.Sleep(4 * time.Second)
		goOn()
		for i := range n {
			b.expect(fmt.Sprint(i))
		}
		for _, x := range []*node{a, b} {
			if st := x.cluster.Status(); st.Lost != 0 || st.Gaps != 0 || st.Refused != 0 {
				t.Errorf("%s: lost %d, gaps %d, refused %d", x.name, st.Lost, st.Gaps, st.Refused)
			}
		}
	})
}

// CAP-F-23, CF-8: Redis is killed and comes back empty. What was said meanwhile comes in
// order, at most once.
func TestAKilledRedisComesBack(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, s *redistest.Server, newCluster func(redis.UniversalClient) server) {
		client := newClient(t, s.Addr)
		a, b := join(t, newCluster(client), "/", "a"), join(t, newCluster(client), "/", "b")
		connected(t, a, b)
		s.Kill()
		var said []string
		for i := range 5 {
			said = append(said, fmt.Sprint(i))
			a.publish(said[i])
		}
		eventually(t, "the loss is noticed", func() bool { return !a.cluster.Status().Healthy && !b.cluster.Status().Healthy })
		s.Restart()
		eventually(t, "both are back", func() bool { return a.cluster.Status().Healthy && b.cluster.Status().Healthy })
		a.publish("end")
		var got []string
		for {
			event := b.next()
			if event == "end" {
				break
			}
			got = append(got, event)
		}
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("b got %q", got)
		}
		lost := a.cluster.Status().Lost
		t.Logf("b got %q, a has lost %d", got, lost)
		if b.cluster.Status().Gaps == 0 {
			t.Error("b does not know that messages may have been missed")
		}
		connected(t, a, b)
	})
}

// After a long outage, messages do not wait for seconds until the servers try again.
func TestARedisThatWasAwayForLong(t *testing.T) {
	t.Parallel()
	const (
		outage = 7 * time.Second
		soon   = 4 * time.Second // two pauses, and a busy machine
	)
	forEach(t, func(t *testing.T, s *redistest.Server, newCluster func(redis.UniversalClient) server) {
		client := newClient(t, s.Addr)
		a, b := join(t, newCluster(client), "/", "a"), join(t, newCluster(client), "/", "b")
		connected(t, a, b)
		s.Kill()
		eventually(t, "the loss is noticed", func() bool { return !a.cluster.Status().Healthy && !b.cluster.Status().Healthy })
		a.publish("waits")
		<-time.After(outage)
		s.Restart()
		back := time.Now()
		for b.next() != "waits" {
			continue
		}
		if took := time.Since(back); took > soon {
			t.Errorf("it came %v after the outage", took)
		} else {
			t.Logf("it came %v after the outage", took)
		}
	})
}

// A Redis that is silent for longer than ReadTimeout is given up, and is found again.
func TestAHungRedisIsGivenUp(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := newClient(t, s.Addr)
	newCluster := func() server {
		return redisadapter.Classic(client, redisadapter.ClassicOptions{ReadTimeout: time.Second})
	}
	a, b := join(t, newCluster(), "/", "a"), join(t, newCluster(), "/", "b")
	connected(t, a, b)
	goOn := s.Hang()
	eventually(t, "the connection is given up", func() bool { return !a.cluster.Status().Healthy && !b.cluster.Status().Healthy })
	goOn()
	eventually(t, "both are back", func() bool { return a.cluster.Status().Healthy && b.cluster.Status().Healthy })
	connected(t, a, b)
}

// A message that cannot be encoded is lost alone.
func TestABadMessageIsLostAlone(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, s *redistest.Server, newCluster func(redis.UniversalClient) server) {
		client := newClient(t, s.Addr)
		a, b := join(t, newCluster(client), "/", "a"), join(t, newCluster(client), "/", "b")
		connected(t, a, b)
		a.publish("1")
		if err := a.Publish(&adapter.Message{Kind: adapter.Broadcast, Data: []byte("[")}); err != nil {
			t.Fatal(err)
		}
		a.publish("2")
		b.expect("1", "2")
		eventually(t, "the loss is counted", func() bool { return a.cluster.Status().Lost == 1 })
	})
}

// Garbage from the broker is counted, and stops nobody (CF-1, CAP-F-7).
func TestGarbage(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, s *redistest.Server, newCluster func(redis.UniversalClient) server) {
		client := newClient(t, s.Addr)
		a, b := join(t, newCluster(client), "/", "a"), join(t, newCluster(client), "/", "b")
		connected(t, a, b)
		garbage := []string{"", "{", "\x93", "\xff", `{"type":3}`, `{"type":5,"uid":"x"}`, "null", "[]", "\x00\x01", "*1\r\n"}
		for _, text := range garbage {
			for _, channel := range []string{"socket.io#/#", "socket.io#/#x#", "socket.io-request#/#", "socket.io-response#/#", "socket.io-nodes#"} {
				s.MustDo("PUBLISH", channel, text)
				s.MustDo("SPUBLISH", channel, text)
			}
			s.MustDo("XADD", "socket.io", "*", "uid", "x", "nsp", "/", "type", "3", "data", text)
		}
		s.MustDo("XADD", "socket.io", "*", "uid", "x", "nsp", "/", "type", "3")
		s.MustDo("XADD", "socket.io", "*", "x", "y")
		a.publish("1")
		b.expect("1")
		if b.cluster.Status().Refused == 0 {
			t.Error("nothing was refused")
		}
		connected(t, a, b)
	})
}
