package sio

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A clusterRequest is a request to this server, other servers, or both. It collects
// their replies.
type clusterRequest struct {
	ctx       context.Context //nolint:containedctx // lives as long as the call that has it
	cancel    context.CancelFunc
	codec     packet.Codec
	running   sync.WaitGroup
	replies   chan *adapter.Reply
	errs      chan error
	abandoned chan struct{}  // closed when the caller wants no more replies
	pending   map[ackKey]int // the number of acks that have not come, by client
	timedOut  atomic.Bool    // ctx has ended before other servers were done
}

// An ackKey names a client whose ack is awaited.
type ackKey struct{ server, socket string }

func newClusterRequest(ctx context.Context, codec packet.Codec) *clusterRequest {
	r := &clusterRequest{
		codec:     codec,
		replies:   make(chan *adapter.Reply),
		errs:      make(chan error),
		abandoned: make(chan struct{}),
		pending:   make(map[ackKey]int),
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// askLocal sends the request to a namespace on this server.
func (r *clusterRequest) askLocal(n *Namespace, m *adapter.Message) {
	r.running.Go(func() { node{n}.Answer(r.ctx, m, r.addReply) }) // ends with the request
}

// askOthers sends the request to the namespace on all other servers.
func (r *clusterRequest) askOthers(n *Namespace, m *adapter.Message) {
	if !n.joined.Load() || n.adapter == nil {
		return
	}
	r.running.Go(func() { // ends with the request
		err := rescue.Apart(func() error {
			if err := n.adapter.Ask(r.ctx, m, r.addReply); !n.endedMeanwhile(err) {
				return err
			}
			return nil
		})
		if err == nil {
			return
		}
		if r.ctx.Err() != nil {
			r.timedOut.Store(true)
			return
		}
		select {
		case r.errs <- err:
		case <-r.abandoned:
		}
	})
}

func (r *clusterRequest) addReply(reply *adapter.Reply) {
	select {
	case r.replies <- reply:
	case <-r.abandoned:
	}
}

// eachReply yields replies and errors until all servers are done.
func (r *clusterRequest) eachReply() iter.Seq2[*adapter.Reply, error] {
	return func(yield func(*adapter.Reply, error) bool) {
		done := make(chan struct{})
		go func() { // ends with the request
			r.running.Wait()
			close(done)
		}()
		defer func() {
			close(r.abandoned)
			r.cancel()
			<-done
		}()
		for {
			var reply *adapter.Reply
			var err error
			select {
			case reply = <-r.replies:
			case err = <-r.errs:
			case <-done:
				return
			}
			if !yield(reply, err) {
				return
			}
		}
	}
}

// yieldAcks yields acks until all servers are done. Then it yields an error for each ack
// that is missing.
func (r *clusterRequest) yieldAcks(ctx context.Context, yield func(Ack[Args]) bool) {
	taskOf(ctx).yield()
	for reply, err := range r.eachReply() {
		switch {
		case err != nil:
			if !yield(Ack[Args]{Err: err}) {
				return
			}
		case reply.Ack != nil:
			if !yield(r.toAck(reply.Server, reply.Ack)) {
				return
			}
		default:
			for _, id := range reply.Expected {
				r.pending[ackKey{reply.Server, id}]++
			}
		}
	}
	missing := errNoAnswer
	if err := ctx.Err(); err != nil {
		missing = fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	for key, n := range r.pending {
		for range n {
			if !yield(Ack[Args]{Server: key.server, Socket: key.socket, Err: missing}) {
				return
			}
		}
	}
	if len(r.pending) == 0 && r.timedOut.Load() { // it is not known which client
		yield(Ack[Args]{Err: missing})
	}
}

// toAck removes an ack from those that are pending, and returns it in the form for the
// application.
func (r *clusterRequest) toAck(server string, a *adapter.Ack) Ack[Args] {
	key := ackKey{server, a.Socket}
	if r.pending[key]--; r.pending[key] <= 0 {
		delete(r.pending, key)
	}
	ack := Ack[Args]{Server: server, Socket: a.Socket}
	switch {
	case a.Gone:
		ack.Err = ErrDisconnected
	case a.Dropped:
		ack.Err = ErrNotReady
	case a.Blocked:
		ack.Err = ErrAckBlocked
	case a.Error != "":
		ack.Err = &Error{Message: a.Error}
	default:
		list, err := packet.NewArgs(packet.Ack, a.Data, a.Attachments)
		ack.Value, ack.Err = Args{args: list, codec: r.codec}, err
	}
	return ack
}
