package natsadapter_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sioplug/sioplug/adapters/cluster"
	natsadapter "github.com/sioplug/sioplug/adapters/nats"
)

// Who forwards requests over NATS is told if that does not take large enough messages. With 64 KiB,
// which is what the documents ask for, the parts of requests fit.
func TestForwardingNeedsLargerMessages(t *testing.T) {
	t.Parallel()
	const complaint = "forwarding requests over it needs"
	for name, tt := range map[string]struct {
		maxPayload int32
		prepare    func(c *cluster.Cluster)
		fits, told bool
	}{
		"too small":            {64<<10 - 1, func(*cluster.Cluster) {}, true, true},
		"much too small":       {16 << 10, func(*cluster.Cluster) {}, false, true},
		"large enough":         {64 << 10, func(*cluster.Cluster) {}, true, false},
		"forwarding over HTTP": {16 << 10, func(c *cluster.Cluster) { c.Announce("127.0.0.1:1") }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startNATS(t, func(o *server.Options) { o.MaxPayload = tt.maxPayload })
			ctx := t.Context()
			relaying := func() (*node, *cluster.Cluster, chan []byte) {
				c, got := natsadapter.New(s.connect(t)), make(chan []byte, 1)
				tt.prepare(c)
				c.OnRelay(func(_ string, data []byte) { got <- data })
				return join(t, c), c, got
			}
			a, from, _ := relaying()
			b, to, got := relaying()
			whole(t, a, b)
			part := []byte(strings.Repeat("x", 33<<10)) // more than a part of a request and its signature
			err := from.Relay(ctx, to.ServerID(), part)
			if tt.fits {
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				select {
				case data := <-got:
					if string(data) != string(part) {
						t.Errorf("%d bytes came", len(data))
					}
				case <-ctx.Done():
					t.Error("nothing came")
				}
			} else if !errors.Is(err, cluster.ErrTooLarge) {
				t.Errorf("error %v", err)
			}
			if told := a.toldOf(complaint); told != tt.told {
				t.Errorf("told: %t, %v", told, a.errs)
			}
			if !a.cluster.Status().Healthy {
				t.Errorf("status %+v", a.cluster.Status())
			}
		})
	}
}
