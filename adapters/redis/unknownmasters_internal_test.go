package redisadapter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/redistest"
)

// A lateCluster is the client of a Redis Cluster, no node of which says at first who the
// masters are.
type lateCluster struct {
	*redis.ClusterClient

	known atomic.Bool
	asked atomic.Int64 // how often somebody has asked
}

// newLateCluster returns the client of a Redis Cluster with these masters.
func newLateCluster(tb testing.TB, masters ...string) *lateCluster {
	tb.Helper()
	l := new(lateCluster)
	l.ClusterClient = redis.NewClusterClient(&redis.ClusterOptions{ClusterSlots: func(context.Context) (all []redis.ClusterSlot, err error) {
		l.asked.Add(1)
		if !l.known.Load() {
			return nil, errors.New("no node answers")
		}
		for i, addr := range masters {
			all = append(all, redis.ClusterSlot{
				Start: i * slots / len(masters), End: (i+1)*slots/len(masters) - 1, Nodes: []redis.ClusterNode{{Addr: addr}},
			})
		}
		return all, nil
	}})
	tb.Cleanup(func() { _ = l.Close() })
	return l
}

// roomPackets are broadcasts to one room after the other.
func roomPackets(n int) (list []*cluster.Packet) {
	for i := range n {
		list = append(list, &cluster.Packet{
			Type: cluster.Broadcast, From: me, Namespace: "/",
			Message: &adapter.Message{
				Kind: adapter.Broadcast, Data: fmt.Appendf(nil, `["%d"]`, i), Target: adapter.Target{Rooms: []string{fmt.Sprint("room", i)}},
			},
		})
	}
	return list
}

// publishLate returns the publisher of a Sharded that keeps the order over several masters.
func publishLate(tb testing.TB, client *lateCluster) *publisher {
	tb.Helper()
	s := newSharded(newNodes(client.ClusterClient, time.Minute, "Sharded"), ShardedOptions{ChannelPrefix: "late", SubscriptionMode: Dynamic})
	s.order = newSequencer(func(*cluster.Packet) {}, s.since)
	tb.Cleanup(s.pub.close)
	return &s.pub
}

// They were counted as lost, one batch after the other, and nothing said why.
func TestWhatIsSaidBeforeTheMastersAreKnownIsNotLost(t *testing.T) {
	t.Parallel()
	const n = maxPipeline + 10
	c := redistest.StartCluster(t, 0)
	client := newLateCluster(t, c.Addrs()...)
	p, packets := publishLate(t, client), roomPackets(n)
	start := time.Now()
	got := make(chan string, 2*n)
	order := newSequencer(func(p *cluster.Packet) { got <- string(p.Message.Data) }, func(uint32) (time.Time, bool) { return start, true })
	t.Cleanup(order.close)
	channels := make(map[string][]string) // by master
	for _, packet := range packets {
		channel := "late#/#" + packet.Message.Target.Rooms[0] + "#"
		addr := c.Owner(int(slotOf(channel))).Addr
		channels[addr] = append(channels[addr], channel)
	}
	for addr, names := range channels {
		subscribeTo(t, addr, names, order)
	}
	for range 3 {
		before := client.asked.Load()
		taken, lost, err := p.publish(t.Context(), packets)
		if taken != 0 || lost != 0 || err == nil || !strings.Contains(err.Error(), "the masters of the Redis Cluster are unknown: no node answers") {
			t.Fatalf("without masters: taken %d, lost %d, error %v", taken, lost, err)
		}
		if asked := client.asked.Load() - before; asked > 10 {
			t.Errorf("one call has asked %d times for the masters: each may take until the timeout", asked)
		}
	}
	client.known.Store(true)
	if taken, lost, err := p.publish(t.Context(), packets); taken != n || lost != 0 || err != nil {
		t.Fatalf("with masters: taken %d, lost %d, error %v", taken, lost, err)
	}
	for _, packet := range packets {
		select {
		case data := <-got:
			if data != string(packet.Message.Data) {
				t.Fatalf("%s has come instead of %s", data, packet.Message.Data)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s does not come", packet.Message.Data)
		}
	}
	if len(got) > 0 {
		t.Errorf("%s has come twice", <-got)
	}
}

// subscribeTo passes on what comes over channels of one master. It uses one connection, as
// servers do.
func subscribeTo(tb testing.TB, addr string, channels []string, order *sequencer) {
	tb.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	sub := client.SSubscribe(tb.Context())
	tb.Cleanup(func() { _, _ = sub.Close(), client.Close() })
	for _, channel := range channels {
		if err := sub.SSubscribe(tb.Context(), channel); err != nil {
			tb.Fatal(err)
		}
		if _, err := sub.Receive(tb.Context()); err != nil {
			tb.Fatal(err)
		}
	}
	go func() { // ends with the subscription
		for m := range sub.Channel() {
			p, err := cluster.Decode([]byte(m.Payload))
			if err != nil {
				tb.Error(err)
				continue
			}
			p.Namespace = "/"
			order.arrive(p, hashOf(m.Channel), readMark([]byte(m.Payload)), 0, len(m.Payload))
		}
	}()
}

// A connectionless is told that nothing arrives.
type connectionless struct{ cluster.Inbound }

func (connectionless) Disconnected(error) {}
func (connectionless) Connected(bool)     {}
func (connectionless) Refused(error)      {}

// newStoppedSubscriptions returns subscriptions for which nothing runs: the test calls place.
func newStoppedSubscriptions(tb testing.TB, client *lateCluster) *subscriptions {
	tb.Helper()
	s := newSubscriptions(newNodes(client.ClusterClient, time.Minute, "Sharded"), connectionless{}, nil)
	s.close()
	s.ctx, s.stop = context.WithCancel(context.Background())
	tb.Cleanup(func() {
		s.stop()
		s.closeLinks()
	})
	return s
}

// Each time a room got a client, its channel was queued again, without end.
func TestRoomsThatComeAndGoWithoutMastersAreQueuedOnce(t *testing.T) {
	t.Parallel()
	client := newLateCluster(t, "127.0.0.1:1")
	s := newStoppedSubscriptions(t, client)
	to := target{"/", ofBroadcasts}
	s.addGroup("/", map[topic]target{{shard, "#/#"}: to})
	room := func(i int) topic { return topic{shard, fmt.Sprintf("#/#room%d#", i)} }
	const rooms = 20
	bounded := func(when string) {
		t.Helper()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.queue) > len(s.topics) {
			t.Fatalf("%s: %d topics, of which %d are queued", when, len(s.topics), len(s.queue))
		}
	}
	for range 10 {
		for i := range rooms {
			s.add(room(i), to)
			s.remove(room(i))
			s.add(room(i), to)
		}
		bounded("rooms come")
		if !s.place() {
			t.Fatal("without masters, there is no trouble")
		}
		bounded("after an attempt")
		for i := range rooms / 2 {
			s.remove(room(i))
		}
		bounded("rooms go")
		s.queueAll()
		bounded("all are queued")
	}
	client.known.Store(true)
	s.place()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) > 0 || len(s.topics) != 1+rooms/2 {
		t.Errorf("%d topics, of which %d are queued", len(s.topics), len(s.queue))
	}
	for name, sub := range s.topics {
		if sub.link == nil {
			t.Errorf("%q is not subscribed to", name.name)
		}
	}
}

// What comes and goes while the masters are asked for is not queued twice, either: asking
// may take as long as the timeout.
func TestRoomsThatComeWhileTheMastersAreAskedForAreQueuedOnce(t *testing.T) {
	t.Parallel()
	var s *subscriptions
	to := target{"/", ofBroadcasts}
	const rooms, rounds = 20, 50
	room := func(i int) topic { return topic{shard, fmt.Sprintf("#/#room%d#", i)} }
	churn := func() {
		for i := range rooms * rounds {
			s.remove(room(i % rooms))
			s.add(room(i%rooms), to)
		}
		for i := range rooms / 2 {
			s.remove(room(i))
		}
	}
	client := new(lateCluster)
	client.ClusterClient = redis.NewClusterClient(&redis.ClusterOptions{ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
		if s != nil {
			churn()
		}
		return nil, errors.New("no node answers")
	}})
	t.Cleanup(func() { _ = client.Close() })
	stopped := newStoppedSubscriptions(t, client)
	stopped.addGroup("/", map[topic]target{{shard, "#/#"}: to})
	s = stopped
	for range 3 {
		for i := range rooms {
			s.add(room(i), to)
		}
		if !s.place() {
			t.Fatal("without masters, there is no trouble")
		}
		s.mu.Lock()
		topics, queued := len(s.topics), len(s.queue)
		s.mu.Unlock()
		if topics != 1+rooms/2 || queued != topics {
			t.Fatalf("%d topics, of which %d are queued", topics, queued)
		}
	}
}
