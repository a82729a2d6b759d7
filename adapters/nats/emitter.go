package natsadapter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/internal/misuse"
)

// An Emitter sends to the clients of a cluster from a process that is no server, such as a
// job or a command: see [cluster.Emitter]. It is made by [NewEmitter].
type Emitter = cluster.Emitter

// NewEmitter returns an [Emitter] for servers with the adapter [New]. It uses nc and does not
// close it. While nc is not connected, calls fail at once. NewEmitter panics if an option is
// wrong.
func NewEmitter(nc *nats.Conn, opts ...EmitterOptions) Emitter {
	o := misuse.One("natsadapter", "NewEmitter", opts)
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

// NewJetStreamEmitter is [NewEmitter] for servers with the adapter [NewJetStream]. A call waits
// until the stream has the message. While JetStream does not take messages, calls fail.
func NewJetStreamEmitter(nc *nats.Conn, opts ...JetStreamEmitterOptions) Emitter {
	const function = "NewJetStreamEmitter"
	o := misuse.One("natsadapter", function, opts)
	checkConn(function, nc)
	s := newSubjects(function, o.SubjectPrefix, Static)
	stream := streamName(function, o.StreamName, s)
	return cluster.NewEmitter(func(ctx context.Context, p *cluster.Packet) error {
		if nc.Status() != nats.CONNECTED {
			return errNotConnected
		}
		e := sender{nc: nc, subjects: s}
		if err := e.encode(p); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, emitTimeout)
		defer cancel()
		m, err := nc.RequestWithContext(ctx, s.stored(p.Namespace), e.scratch)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			err = errNoAnswer
		case err == nil:
			err = ackErrorOf(m, stream)
		}
		if err != nil {
			return fmt.Errorf("natsadapter: JetStream does not take the message: %w", err)
		}
		return nil
	})
}

// emitTimeout is how long JetStream may take to store a message of an emitter, if the context of
// the call does not end before.
const emitTimeout = 5 * time.Second
