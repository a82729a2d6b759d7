package interop_test

import (
	"sync/atomic"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/idempotency"
)

// attempts counts how often handlers ran, also before a restart of the server.
type attempts struct {
	paid, lost, refused atomic.Int64
}

// register has what clients send again. The scenario runs once for each server.
func (a *attempts) register(ns *sio.Namespace) {
	once := idempotency.New(nil)
	ns.On("pay", idempotency.Reply(once, func(*sio.Ctx, int) (int64, error) {
		n := a.paid.Add(1)
		<-time.After(300 * time.Millisecond) // longer than the client waits
		return n, nil
	}))
	ns.On("lose the answer", sio.Reply(func(c *sio.Ctx, _ struct{}) (int64, error) {
		n := a.lost.Add(1)
		if n == 1 {
			<-c.Context().Done() // the server stops
		}
		return n, nil
	}))
	ns.On("begun", sio.Reply(func(*sio.Ctx, struct{}) (bool, error) { return a.lost.Load() > 0, nil }))
	ns.On("never answered", func(*sio.Ctx) error {
		a.refused.Add(1)
		return nil
	})
	ns.On("attempts", sio.Reply(func(*sio.Ctx, struct{}) ([]int64, error) {
		return []int64{a.paid.Load(), a.lost.Load(), a.refused.Load()}, nil
	}))
}
