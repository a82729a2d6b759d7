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

// An answer of which the queue did not take all parts is not complete.
func TestAnswersThatDoNotFitAreMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		asks, answers := join(t, h, cluster.Options{}), join(t, h, cluster.Options{MaxQueueBytes: 3 << 20})
		answers.answer = func(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			sockets := make([]adapter.Socket, 6)
			for i := range sockets {
				sockets[i].Data = make([]byte, 1<<20)
			}
			h.do(func() { reply(&adapter.Reply{Sockets: sockets}) }) // the broker takes nothing meanwhile
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		got := 0
		err := asks.Ask(t.Context(), &adapter.Message{Kind: adapter.Fetch}, func(r *adapter.Reply) { got += len(r.Sockets) })
		missing, ok := errors.AsType[*adapter.MissingError](err)
		if !ok || len(missing.Servers) != 1 {
			t.Errorf("%d of 6 sockets, error %v, want a MissingError with the server", got, err)
		}
		if lost := answers.cluster.Status().Lost; lost == 0 || got == 6 {
			t.Errorf("%d of 6 sockets, %d lost", got, lost)
		}
	})
}
