package metrics_test

import (
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/observe/internal/metrics"
)

func TestServers(t *testing.T) {
	one := func(*sio.Stats) int64 { return 1 }
	var l metrics.Servers
	count := func(wantAll, wantClustered int64) {
		t.Helper()
		numbers := []metrics.Number{{Of: one}, {Of: one, Cluster: true}}
		got := []int64{-1, -1}
		l.Read(numbers, func(i int, sum int64) { got[i] = sum })
		if got[0] != wantAll || got[1] != wantClustered {
			t.Errorf("%d servers, %d of them with an adapter, want %d and %d", got[0], got[1], wantAll, wantClustered)
		}
	}
	count(-1, -1) // not sent
	for _, o := range []*sio.Options{{}, {Adapter: adapter.NewMemory()}} {
		srv := sio.New(o)
		defer func() {
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		l.Add(srv)
	}
	count(2, 1)
	l.Forget()
	count(-1, -1) // not sent
}
