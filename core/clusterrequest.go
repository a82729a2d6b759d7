package sio

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A clusterRequest is a request to this server, other servers, or both. It collects
// their replies.
type clusterRequest struct {
	caller    context.Context //nolint:containedctx // that of the call
	ctx       context.Context //nolint:containedctx // ends with caller, or when the caller wants no more replies
	cancel    context.CancelFunc
	codec     packet.Codec
	running   sync.WaitGroup
	replies   chan *adapter.Reply
	errs      chan error
	abandoned chan struct{}   // closed when the caller wants no more replies
	pending   map[ackKey]int  // the number of acks that have not come, by client
	heard     map[string]bool // servers that have said whom they asked
	failures  []error         // that did not prevent other replies

	mu      sync.Mutex
	late    bool                  // ctx has ended before other servers were done
	missing *adapter.MissingError // who is missing; nil if nobody, or if it is not known
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
		heard:     make(map[string]bool),
	}
	r.caller = ctx
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
		if err == nil || r.noteMissing(err) {
			return
		}
		select {
		case r.errs <- err:
		case <-r.abandoned:
		}
	})
}

// noteMissing notes that servers have not answered. It returns false if that is not what
// the error means.
func (r *clusterRequest) noteMissing(err error) bool {
	missing := rescue.As[*adapter.MissingError](err)
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := r.ctx.Err() != nil
	r.late = r.late || ended
	if missing == nil {
		return ended
	}
	if r.missing == nil {
		r.missing = &adapter.MissingError{Err: missing.Err}
	}
	// All children of a parent ask the same servers.
	r.missing.Unknown = max(r.missing.Unknown, missing.Unknown)
	for _, id := range missing.Servers {
		if at, found := slices.BinarySearch(r.missing.Servers, id); !found {
			r.missing.Servers = slices.Insert(r.missing.Servers, at, id)
		}
	}
	return true
}

// missingError returns the error for servers that have not answered. It is a MissingError
// if the adapter knows which ones, and matches the error of the context if that has ended.
// It is called when all servers are done.
func (r *clusterRequest) missingError() error {
	ended := r.caller.Err()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.missing == nil {
		return ended
	}
	if ended != nil {
		r.missing.Err = ended
	}
	return r.missing
}

// fail notes an error that does not prevent other replies.
func (r *clusterRequest) fail(err error) { r.failures = append(r.failures, err) }

// failure returns the errors of a request, nil if there is none. That of servers which have
// not answered has this format. It is called when all servers are done.
func (r *clusterRequest) failure(format string) error {
	if err := r.missingError(); err != nil {
		r.fail(fmt.Errorf(format, err))
	}
	return errors.Join(r.failures...)
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
			r.heard[reply.Server] = true
			for _, id := range reply.Expected {
				r.pending[ackKey{reply.Server, id}]++
			}
		}
	}
	missing := errNoAnswer
	if err := r.missingError(); err != nil {
		missing = fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	for key, n := range r.pending {
		for range n {
			if !yield(Ack[Args]{Server: key.server, Socket: key.socket, Err: missing}) {
				return
			}
		}
	}
	if r.silent() { // it is not known which clients they have
		yield(Ack[Args]{Err: missing})
	}
}

// silent reports whether servers are missing that no missing ack stands for.
func (r *clusterRequest) silent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.missing != nil && slices.ContainsFunc(r.missing.Servers, func(id string) bool { return !r.heard[id] }) {
		return true
	}
	return len(r.pending) == 0 && (r.late || r.missing != nil)
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
