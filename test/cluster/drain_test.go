package cluster_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/redistest"
)

// TestDrainRecovery drains a server. Its clients recover on another one, and get what was
// emitted meanwhile.
func TestDrainRecovery(t *testing.T) {
	t.Parallel()
	for _, v := range recoveries() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			addr := redistest.Start(t).Addr
			c := newCluster(t, v)
			a := c.startGoRedisServer(t, "a", addr, &sio.Recovery{})
			b := c.startGoRedisServer(t, "b", addr, &sio.Recovery{})
			c.members = []member{a, b}
			c.populate(t)
			moving := []*client{
				connectClient(t, c.peer, a, " moves by WebSocket", "/", "r1"),
				connectClient(t, c.peer, a, " moves by polling 3", "/", "r1"),
			}
			marker, positions := c.mark(t, a), make(map[string]int) // which tells it an offset
			for _, cl := range moving {
				c.diary.until(t, received(cl.name), 0, marker)
				positions[cl.name] = c.diary.length(received(cl.name))
			}

			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := a.srv.Drain(ctx, &sio.DrainOptions{Spread: -1}); err != nil {
				t.Fatal(err)
			}
			c.members = []member{b}
			maps.DeleteFunc(c.clients, func(_ string, cl *client) bool { return cl.at == a })
			want := c.emitMeanwhile(t, "/")
			for _, cl := range moving {
				id := cl.id
				cl.at = b
				if !cl.connect(t, connect{Op: "reconnect", URL: b.url()}) || cl.id != id {
					t.Errorf("%s is not recovered", cl.name)
				}
			}
			marker = c.mark(t, b)
			for _, cl := range moving {
				if got := c.diary.until(t, received(cl.name), positions[cl.name], marker); !slices.Equal(got, want) {
					t.Errorf("%s received %s, want %s", cl.name, got, want)
				}
				cl.disconnect(t)
			}
		})
	}
}
