package postgresadapter_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/postgrestest"
)

// prefixes keeps the subtests of one PostgreSQL apart.
var prefixes atomic.Int64

func newPrefix() string { return fmt.Sprintf("test %d", prefixes.Add(1)) }

func TestSuite(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t, "max_connections=300")
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("one pool: %t", shared), func(t *testing.T) {
			t.Parallel()
			siotest.TestCluster(t, func(t *testing.T, n int) []adapter.Cluster {
				o := postgresadapter.Options{ChannelPrefix: newPrefix()}
				pool := connect(t, s.URL)
				all := make([]adapter.Cluster, n)
				for i := range all {
					if !shared && i > 0 {
						pool = connect(t, s.URL)
					}
					all[i] = postgresadapter.New(pool, o)
				}
				return all
			})
		})
	}
}
