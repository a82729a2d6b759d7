package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// A relayed is what a server got with OnRelay.
type relayed struct {
	mu  sync.Mutex
	got []string
}

func (r *relayed) take(from string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, fmt.Sprintf("%s %s", from, data))
}

func (r *relayed) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// relaying makes a server that takes relayed data.
func relaying(t *testing.T, h *hub, o cluster.Options) (*cluster.Cluster, *relayed) {
	t.Helper()
	c, r := h.cluster(o), new(relayed)
	c.OnRelay(r.take)
	a := c.Join("/", idle{})
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return c, r
}

// Relayed data comes to one server, in order, and its sender is known by its location.
func TestRelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.encode = func(p *cluster.Packet) ([]byte, error) { return cluster.AppendMessagePack(nil, p) }
		a, fromB := relaying(t, h, cluster.Options{})
		b, fromA := relaying(t, h, cluster.Options{})
		c, none := relaying(t, h, cluster.Options{})
		synctest.Wait()
		l, found := a.Locate(b.Prefix())
		if !found || l.Address != "" || l.Server != b.ServerID() {
			t.Fatalf("%+v, %v", l, found)
		}
		if l, found := c.LocateServer(a.ServerID()); !found || l.Server != a.ServerID() || isGone(l) {
			t.Errorf("%+v, %v", l, found)
		}
		for _, id := range []string{"", a.ServerID(), "go00000000000000"} {
			if l, found := a.LocateServer(id); found {
				t.Errorf("%q: %+v", id, l)
			}
		}
		var want []string
		for n := range 100 {
			data := fmt.Appendf(nil, "%d %s", n, bytes.Repeat([]byte("\x00\xff"), 100*n))
			want = append(want, a.ServerID()+" "+string(data))
			if err := a.Relay(t.Context(), b.ServerID(), data); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Relay(t.Context(), a.ServerID(), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := fromA.all(); !slices.Equal(got, want) {
			t.Errorf("got %d, want %d", len(got), len(want))
		}
		if got := fromB.all(); len(got) != 1 || got[0] != b.ServerID()+" " {
			t.Errorf("%q", got)
		}
		if got := none.all(); len(got) != 0 {
			t.Errorf("another server got %q", got)
		}
		if err := a.Relay(t.Context(), b.ServerID(), make([]byte, cluster.MaxRelayed+1)); !errors.Is(err, cluster.ErrTooLarge) {
			t.Errorf("one byte too many: %v", err)
		}
		if err := a.Relay(t.Context(), b.ServerID(), make([]byte, cluster.MaxRelayed)); err != nil {
			t.Error(err)
		}
	})
}

// While the broker hangs, relayed data waits for room and leaves messages theirs. What has
// waited too long is not sent later.
func TestRelayWhileTheBrokerHangs(t *testing.T) {
	t.Parallel()
	for _, dropOldest := range []bool{false, true} {
		t.Run(fmt.Sprint(dropOldest), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				const limit = 40_000
				a, _ := relaying(t, h, cluster.Options{MaxQueueBytes: limit, DropOldest: dropOldest})
				b, got := relaying(t, h, cluster.Options{})
				synctest.Wait()
				h.do(func() { h.failing = errors.New("no") })
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				data := make([]byte, 2000)
				var sent, failed int
				for range 10 {
					if err := a.Relay(ctx, b.ServerID(), data); err != nil {
						failed++
					} else {
						sent++
					}
				}
				if sent != 4 || failed != 6 { // a quarter of the queue
					t.Errorf("%d had room, %d had none", sent, failed)
				}
				if s := a.Status(); s.QueuedBytes < 4*len(data) || s.Lost != 0 {
					t.Errorf("%+v", s)
				}
				time.Sleep(2 * cluster.RelayTimeout)
				h.do(func() { h.failing = nil })
				time.Sleep(10 * time.Second) // the server pauses between attempts
				if err := a.Relay(t.Context(), b.ServerID(), data); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				if n := len(got.all()); n != 1 {
					t.Errorf("%d arrived", n)
				}
				if s := a.Status(); s.QueuedBytes != 0 || s.Queued != 0 || s.Lost != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// A full queue drops messages, and no relayed data, which has its own room.
func TestMessagesDoNotDropRelayedData(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		a := h.cluster(cluster.Options{MaxQueueBytes: 10_000, DropOldest: true})
		space := a.Join("/", idle{})
		b, got := relaying(t, h, cluster.Options{})
		synctest.Wait()
		h.do(func() { h.failing = errors.New("no") })
		for n := range 50 {
			if n%10 == 0 {
				if err := a.Relay(t.Context(), b.ServerID(), []byte("relayed")); err != nil {
					t.Fatal(err)
				}
			}
			data := fmt.Appendf(nil, `["event","%01000d"]`, n)
			if err := space.Publish(&adapter.Message{Kind: adapter.Broadcast, Data: data}); err != nil && !errors.Is(err, cluster.ErrQueueFull) {
				t.Fatal(err)
			}
		}
		if s := a.Status(); s.Lost == 0 || s.QueuedBytes > 12_500 {
			t.Errorf("%+v", s)
		}
		h.do(func() { h.failing = nil })
		time.Sleep(10 * time.Second)
		if n := len(got.all()); n != 5 {
			t.Errorf("%d arrived", n)
		}
		if err := space.Close(); err != nil {
			t.Error(err)
		}
		if err := a.Relay(t.Context(), b.ServerID(), nil); !errors.Is(err, adapter.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// Relayed data does not wait until all messages of a long queue are sent, and messages do not wait
// for all relayed data.
func TestRelayedDataDoesNotWaitBehindMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const (
			n     = 1000
			batch = 64 // messages that are on their way
		)
		h := newHub()
		a, _ := relaying(t, h, cluster.Options{})
		b, got := relaying(t, h, cluster.Options{})
		synctest.Wait()
		var relays, messages []int // after how many packets they were sent
		sent := 0
		h.do(func() {
			h.failing = errors.New("no")
			h.encode = func(p *cluster.Packet) ([]byte, error) {
				switch p.Type { //nolint:exhaustive // others do not matter
				case cluster.Relayed:
					relays = append(relays, sent)
				case cluster.Broadcast:
					messages = append(messages, sent)
				default:
				}
				sent++
				return cluster.AppendMessagePack(nil, p)
			}
		})
		node := a.Join("/more", idle{})
		defer func() { _ = node.Close() }()
		for i := range n {
			if err := node.Publish(event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		for range n {
			if err := a.Relay(t.Context(), b.ServerID(), []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		h.do(func() { h.failing = nil })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(got.all()) != n || len(relays) != n || len(messages) != n {
			t.Fatalf("%d arrived, sent were %d and %d messages", len(got.all()), len(relays), len(messages))
		}
		if relays[0] > 2*batch || messages[n/2] > relays[n-1] || relays[n/2] > messages[n-1] {
			t.Errorf("the first one came after %d packets; the middle ones after %d and %d, the last ones after %d and %d",
				relays[0], relays[n/2], messages[n/2], relays[n-1], messages[n-1])
		}
		if s := a.Status(); s.Queued > 0 || s.QueuedBytes > 0 || s.Lost > 0 {
			t.Errorf("%+v", s)
		}
	})
}
