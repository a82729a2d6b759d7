package natsadapter_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// prefixes keeps the subtests of one server of NATS apart.
var prefixes atomic.Int64

func newPrefix() string { return fmt.Sprintf("test.%d", prefixes.Add(1)) }

func TestSuite(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	for _, mode := range []natsadapter.SubscriptionMode{natsadapter.Static, natsadapter.Dynamic, natsadapter.DynamicPrivate} {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, one connection: %t", mode, shared), func(t *testing.T) {
				t.Parallel()
				siotest.TestCluster(t, func(t *testing.T, n int) []adapter.Cluster {
					o := natsadapter.Options{SubjectPrefix: newPrefix(), SubscriptionMode: mode}
					nc := s.connect(t)
					all := make([]adapter.Cluster, n)
					for i := range all {
						if !shared && i > 0 {
							nc = s.connect(t)
						}
						all[i] = natsadapter.New(nc, o)
					}
					return all
				})
			})
		}
	}
}
