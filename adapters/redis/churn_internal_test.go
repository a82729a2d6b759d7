package redisadapter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/internal/redistest"
)

// holds returns how much a link holds.
func (l *link) holds() (entries, dirty, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries), len(l.dirty), len(l.waiting)
}

// awaitAll waits until all topics are in effect, and the link knows of no others.
func awaitAll(tb testing.TB, s *subscriptions) {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		s.mu.Lock()
		missing, topics, l := 0, len(s.topics), s.links[""]
		for _, sub := range s.topics {
			if !sub.confirmed {
				missing++
			}
		}
		connected := s.state == connected
		s.mu.Unlock()
		entries, dirty, waiting := l.holds()
		if connected && missing == 0 && entries == topics && dirty == 0 && waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%d of %d topics are not confirmed, connected: %v, and the link holds %d, %d to say, %d without a reply",
				missing, topics, connected, entries, dirty, waiting)
		}
		time.Sleep(time.Millisecond)
	}
}

// Rooms that came and went while a link had no connection were kept until it had one.
func TestRoomsThatComeAndGoWithoutAConnectionAreNotKept(t *testing.T) {
	t.Parallel()
	const (
		connects = iota
		refuses
		silent // it accepts, and says nothing
	)
	for name, trouble := range map[string]int32{"refuses": refuses, "accepts and is silent": silent, "hangs later": connects} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := redistest.Start(t)
			mute, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = mute.Close() })
			var now atomic.Int32
			client := redis.NewClient(&redis.Options{Addr: r.Addr, Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
				switch now.Load() {
				case refuses:
					return nil, errors.New("refused")
				case silent:
					addr = mute.Addr().String()
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			}})
			t.Cleanup(func() { _ = client.Close() })
			now.Store(trouble)
			s := newSubscriptions(newNodes(client, 5*time.Second, "Sharded"), told{}, nil)
			t.Cleanup(s.close)
			to := target{"/", ofBroadcasts}
			s.addGroup("/", map[topic]target{{shard, "#/#"}: to})
			goOn := func() { now.Store(connects) }
			if trouble == connects {
				awaitAll(t, s)
				goOn = r.Hang()
			}
			const names, live = 100_000, 50
			room := func(i int) topic { return topic{shard, fmt.Sprintf("#/#room%d#", i)} }
			s.mu.Lock()
			l := s.links[""]
			s.mu.Unlock()
			for i := range names {
				s.add(room(i), to)
				if i >= live {
					s.remove(room(i - live))
				}
				entries, dirty, waiting := l.holds()
				if entries > 1+live+1+maxWaiting || dirty > entries || waiting > maxWaiting {
					goOn()
					t.Fatalf("after %d names, the link holds %d topics, %d to say, %d without a reply", i, entries, dirty, waiting)
				}
			}
			goOn()
			awaitAll(t, s)
			if got := len(r.MustDo("PUBSUB", "SHARDCHANNELS")); got != 1+live {
				t.Errorf("Redis knows %d channels, want %d", got, 1+live)
			}
		})
	}
}

// A told takes all calls of a broker.
type told struct{ connectionless }

func (told) Subscribed(string) {}
