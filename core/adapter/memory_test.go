package adapter_test

import (
	"context"
	"runtime"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	siotest.TestCluster(t, func(_ *testing.T, n int) []adapter.Cluster {
		return slices.Repeat([]adapter.Cluster{adapter.NewMemory()}, n)
	})
}

// A node that fails, or counts what it receives.
type node struct {
	fail     func()
	received int
}

func (n *node) Receive(*adapter.Message) {
	if n.fail != nil {
		n.fail()
	}
	n.received++
}

func (n *node) Answer(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
	if n.fail != nil {
		n.fail()
	}
	reply(new(adapter.Reply))
}

// What a node does to itself it does not do to others, nor to the cluster's locks.
func TestMemoryWithANodeThatFails(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("node") }, "goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			c := adapter.NewMemory()
			good := new(node)
			bad := c.Join("/", &node{fail: fail})
			self, other := c.Join("/", new(node)), c.Join("/", good)
			for range 2 {
				if err := self.Publish(new(adapter.Message)); err != nil {
					t.Error(err)
				}
				replies := 0
				err := self.Ask(t.Context(), new(adapter.Message), func(*adapter.Reply) {
					replies++
					panic("whoever asks fails, too")
				})
				if err != nil || replies != 1 {
					t.Errorf("%d replies, error %v", replies, err)
				}
			}
			if good.received != 2 {
				t.Errorf("received %d", good.received)
			}
			for _, a := range []adapter.Adapter{bad, self, other} {
				if err := a.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
