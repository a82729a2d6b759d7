package forward_test

import (
	"fmt"
	"testing"

	"github.com/sioplug/sioplug/core/siotest"
)

// A way is how a client connects.
type way struct {
	name    string
	connect func(t *testing.T, d siotest.Dialer) *siotest.Client
}

func ways() []way {
	return []way{
		{"polling", func(t *testing.T, d siotest.Dialer) *siotest.Client { t.Helper(); return d.Polling(t) }},
		{"websocket", func(t *testing.T, d siotest.Dialer) *siotest.Client { t.Helper(); return d.WebSocket(t) }},
		{"upgrade", func(t *testing.T, d siotest.Dialer) *siotest.Client {
			t.Helper()
			c := d.Polling(t)
			c.Upgrade()
			return c
		}},
	}
}

// Whatever server a request goes to, nothing is lost, doubled or out of order.
func TestOrderInBothDirections(t *testing.T) {
	t.Parallel()
	for name, proxy := range map[string]func(testing.TB, []*node) siotest.Dialer{"round robin": roundRobin, "strangers": strangers} {
		for _, w := range append(ways(), way{name: "broker", connect: ways()[0].connect}) {
			t.Run(name+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				nodes := startCluster(t, 3, startOptions{broker: w.name == "broker"})
				c := w.connect(t, proxy(t, nodes))
				c.Connect("/", "")
				const messages = 200
				go func() {
					for n := range messages {
						if c.TrySend(fmt.Sprintf(`42["count",%d]`, n)) != nil {
							return
						}
					}
				}()
				for n := range messages {
					c.Want(fmt.Sprintf(`42["counted",%d]`, n))
				}
				if n := forwarded(nodes); (n == 0) != (w.name == "websocket") {
					t.Errorf("%d requests were forwarded", n)
				}
			})
		}
	}
}

// forwarded returns how many requests of clients were forwarded.
func forwarded(nodes []*node) (n uint64) {
	for _, s := range nodes {
		n += s.router.Stats().Forwarded
	}
	return n
}
