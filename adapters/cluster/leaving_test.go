package cluster_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// end returns a server's end of the hub.
func (h *hub) end(id string) (end *hubBroker) {
	h.do(func() {
		for b := range h.brokers {
			if b.self == id {
				end = b
			}
		}
	})
	return end
}

// joinAnother makes a server join another namespace. It leaves at the end of the test.
func (n *node) joinAnother(t *testing.T, name string) adapter.Adapter {
	t.Helper()
	a := n.cluster.Join(name, n)
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// A server that has left a namespace, and whose heartbeat about that is still on its way, is
// not struck off: requests in other namespaces go on waiting for it.
func TestLeavingANamespaceIsNotLeavingTheCluster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		asks, leaves := join(t, h, cluster.Options{}), join(t, h, cluster.Options{})
		leaves.answer = func(ctx context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			select {
			case <-time.After(4 * time.Second):
				reply(&adapter.Reply{Clients: 7})
			case <-ctx.Done():
			}
		}
		there := asks.joinAnother(t, "/there")
		leaves.joinAnother(t, "/there")
		synctest.Wait()
		asks.told()
		root := make(chan error, 1)
		clients := 0
		go func() {
			n, err := asks.ask(t.Context())
			clients = n
			root <- err
		}()
		synctest.Wait()
		h.end(leaves.cluster.Status().Server).Unsubscribe("/there")
		// Nobody else is there.
		if err := there.Ask(t.Context(), &adapter.Message{Kind: adapter.Count}, func(*adapter.Reply) {}); err != nil {
			t.Errorf("asking where nobody is: %v", err)
		}
		if err := <-root; err != nil || clients != 7 {
			t.Errorf("%d clients, want 7: %v", clients, err)
		}
		for _, err := range asks.told() {
			if struck := new(cluster.StruckOffError); errors.As(err, &struck) {
				t.Errorf("told of %v", err)
			}
		}
		if members := asks.cluster.Status().Members; len(members) != 1 {
			t.Errorf("members %v", members)
		}
	})
}
