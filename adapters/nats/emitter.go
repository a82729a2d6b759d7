package natsadapter

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// An Emitter sends to the clients of a cluster from a process that is no server, such as a
// job or a command: see [cluster.Emitter]. It is made by [NewEmitter].
type Emitter = cluster.Emitter

// NewEmitter returns an [Emitter] for servers with the adapter [New]. It uses nc and does not
// close it. While nc is not connected, calls fail at once. NewEmitter panics if an option is
// wrong.
func NewEmitter(nc *nats.Conn, opts ...EmitterOptions) Emitter {
	o := one("NewEmitter", opts)
	checkConn("NewEmitter", nc)
	s := sender{nc: nc, subjects: newSubjects("NewEmitter", o.SubjectPrefix, o.SubscriptionMode)}
	var mu sync.Mutex
	return cluster.NewEmitter(func(ctx context.Context, p *cluster.Packet) error {
		if nc.Status() != nats.CONNECTED {
			return errNotConnected
		}
		at := s.position()
		mu.Lock()
		err := s.publish(p)
		mu.Unlock()
		if err != nil {
			return err
		}
		return s.confirm(ctx, at)
	})
}
