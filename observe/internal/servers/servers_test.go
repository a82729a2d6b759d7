package servers_test

import (
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/observe/internal/servers"
)

func TestList(t *testing.T) {
	var l servers.List
	count := func(wantAll, wantClustered int) {
		t.Helper()
		if all, clustered := l.Stats(); len(all) != wantAll || len(clustered) != wantClustered {
			t.Errorf("%d servers, %d of them with an adapter, want %d and %d", len(all), len(clustered), wantAll, wantClustered)
		}
	}
	count(0, 0)
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
	count(0, 0)
}
