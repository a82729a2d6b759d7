package redisadapter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	"github.com/sioplug/sioplug/internal/redistest"
)

// readers returns the ids of the connections that wait for entries of a stream.
func readers(s *redistest.Server) (ids []string) {
	for line := range strings.Lines(s.MustDo("CLIENT", "LIST", "TYPE", "normal")[0]) {
		if id, _, ok := strings.Cut(line, " "); ok && strings.Contains(line, " cmd=xread ") {
			ids = append(ids, strings.TrimPrefix(id, "id="))
		}
	}
	return ids
}

// ECO-ST-6: after its connections were lost, a server goes on where it was in the stream.
func TestStreamsResume(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := newClient(t, s.Addr)
	a, b := join(t, redisadapter.Streams(client), "/", "a"), join(t, redisadapter.Streams(client), "/", "b")
	connected(t, a, b)
	const n, every = 20, 5
	killed := 0
	for i := range n {
		if i%every == 0 {
			for _, id := range readers(s) {
				if _, err := s.Do("CLIENT", "KILL", "ID", id); err == nil {
					killed++
				}
			}
			s.MustDo("CLIENT", "KILL", "TYPE", "pubsub")
		}
		a.publish(fmt.Sprint(i))
	}
	for i := range n {
		b.expect(fmt.Sprint(i))
	}
	if killed == 0 {
		t.Error("no connection was killed")
	}
	eventually(t, "all is well", func() bool { return a.cluster.Status().Healthy && b.cluster.Status().Healthy })
	if gaps := b.cluster.Status().Gaps; gaps != 0 {
		t.Errorf("%d gaps, but nothing was missed", gaps)
	}
}

// What was trimmed away while a server was disconnected is a gap, and so is a stream that
// was deleted.
func TestStreamsTrimmed(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := newClient(t, s.Addr)
	a, b := join(t, redisadapter.Streams(client), "/", "a"), join(t, redisadapter.Streams(client), "/", "b")
	connected(t, a, b)
	inOneStep := func(what func(p redis.Pipeliner)) {
		t.Helper()
		_, err := client.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
			for _, id := range readers(s) {
				p.Do(t.Context(), "CLIENT", "KILL", "ID", id)
			}
			what(p)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both wait for entries", func() bool { return len(readers(s)) == 2 })
	inOneStep(func(p redis.Pipeliner) {
		for range 3 {
			p.Do(t.Context(), "XADD", "socket.io", "*", "other", "fields")
		}
		p.Do(t.Context(), "XTRIM", "socket.io", "MAXLEN", "1")
	})
	eventually(t, "the gap is noticed", func() bool { return a.cluster.Status().Gaps == 1 && b.cluster.Status().Gaps == 1 })
	connected(t, a, b)

	eventually(t, "both wait for entries", func() bool { return len(readers(s)) == 2 })
	inOneStep(func(p redis.Pipeliner) { p.Del(t.Context(), "socket.io") })
	eventually(t, "the gap is noticed", func() bool { return a.cluster.Status().Gaps == 2 && b.cluster.Status().Gaps == 2 })
	connected(t, a, b)
}

// ECO-ST-7: namespaces are spread over several streams, and all are read, also those with a
// negative hash.
func TestSeveralStreams(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := newClient(t, s.Addr)
	o := redisadapter.StreamsOptions{StreamCount: 4}
	one, two := redisadapter.Streams(client, o), redisadapter.Streams(client, o)
	for _, namespace := range []string{"/", "/chat", "/admin", "/foo", "/a longer name, for a negative hash", "/ü"} {
		a, b := join(t, one, namespace, "a"), join(t, two, namespace, "b")
		connected(t, a, b)
		a.publish("1")
		b.expect("1")
	}
	// 47, 46457863 and 1501751 are the hashes.
	for key, namespace := range map[string]string{"socket.io-3": "/", "socket.io-0": "/admin"} {
		if entries := s.MustDo("XRANGE", key, "-", "+"); !strings.Contains(strings.Join(entries, " ")+" ", " nsp "+namespace+" ") {
			t.Errorf("%s is not in stream %s", namespace, key)
		}
	}
}

// After a failover, the stream may lack its last entries: Redis replicates later. What is before
// has been passed on already, and is not again.
func TestStreamsThatLoseTheirEndRepeatNothing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := newClient(t, s.Addr)
	a, b := join(t, redisadapter.Streams(client), "/", "a"), join(t, redisadapter.Streams(client), "/", "b")
	connected(t, a, b)
	for i := range 3 {
		a.publish(fmt.Sprint(i))
		b.expect(fmt.Sprint(i))
	}
	eventually(t, "both wait for entries", func() bool { return len(readers(s)) == 2 })
	entries, err := client.XRange(t.Context(), "socket.io", "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		for _, id := range readers(s) {
			p.Do(t.Context(), "CLIENT", "KILL", "ID", id)
		}
		p.Del(t.Context(), "socket.io")
		for _, e := range entries[:len(entries)-1] {
			p.XAdd(t.Context(), &redis.XAddArgs{Stream: "socket.io", ID: e.ID, Values: e.Values})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is noticed", func() bool { return b.cluster.Status().Gaps == 1 })
	connected(t, a, b)
	a.publish("next")
	b.expect("next")
}
