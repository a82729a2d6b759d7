package sio

import (
	"context"
	"fmt"
	"iter"
	"log/slog"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/internal/packet"
	"github.com/sioplug/sioplug/core/internal/rescue"
)

// A ServerHandler handles an event that another server of the cluster emitted
// with [Namespace.ServerSideEmit]. What it returns is the answer, if the other
// server wants one; an error is logged, and the other server is told what
// clients would be told: see [Error].
//
// Handlers of one namespace run one at a time, in the order of each server's
// emits, except that those whose answer is wanted run on their own.
type ServerHandler func(ctx context.Context, args Args) (answer any, err error)

// OnServerEvent sets the handler of an event between servers. It panics if the
// name is reserved or has a handler already.
func (n *Namespace) OnServerEvent(event string, h ServerHandler) {
	if h == nil {
		misuse(fmt.Sprintf("OnServerEvent(%q) got a nil handler", event))
	}
	if reservedForServers(event) {
		misuse(fmt.Sprintf("OnServerEvent(%q): the name is reserved: use another one", event))
	}
	n.register(func(r *routes) {
		if _, taken := r.onServer[event]; taken {
			misuse(fmt.Sprintf("OnServerEvent(%q): namespace %s has a handler for it already: put what both do into one", event, n.name))
		}
		r.onServer[event] = h
	})
}

// ServerSideEmit sends an event to the same namespace of all other servers of
// the cluster (SIO-CU-5). Without [Options.Adapter] there are none.
func (n *Namespace) ServerSideEmit(event string, args ...any) error {
	for _, n := range n.members() {
		m, err := n.serverMessage(event, args)
		if err != nil {
			return err
		}
		if err := n.publish(m); err != nil {
			return err
		}
	}
	return nil
}

// ServerSideEmitWithAck is like [Namespace.ServerSideEmit] and yields the other
// servers' answers as they come, until all have answered or ctx ends
// (SIO-CU-6). An element with Err and no Server says that some did not answer.
func ServerSideEmitWithAck[T any](ctx context.Context, n *Namespace, event string, args ...any) iter.Seq[Ack[T]] {
	return decodeAcks[T](func(yield func(Ack[Args]) bool) {
		m, err := n.serverMessage(event, args) // one for all, before anybody is asked
		if err != nil {
			yield(Ack[Args]{Err: err})
			return
		}
		q := newQuestion(ctx, n.server.wire.codec)
		for _, n := range n.members() {
			q.putToOthers(n, m)
		}
		q.answers(ctx, yield)
	})
}

func (n *Namespace) serverMessage(event string, args []any) (*adapter.Message, error) {
	if reservedForServers(event) {
		return nil, reservedEvent(event)
	}
	c, err := n.server.wire.eventContent(event, args)
	if err != nil {
		return nil, err
	}
	return &adapter.Message{Kind: adapter.ServerEvent, Data: c.data, Attachments: c.attachments}, nil
}

func reservedForServers(event string) bool {
	return packet.Reserved(event) || event == "connection" || event == "new_namespace"
}

// serverEvent has the handler of an event from another server called, after
// those of earlier ones.
func (n *Namespace) serverEvent(m *adapter.Message) {
	idle, err := n.serverEvents.Push(serverTask{n, m})
	if err == nil && idle {
		n.server.background(n.serverEvents.Run)
	}
}

// A serverTask is an event from another server.
type serverTask struct {
	ns *Namespace
	m  *adapter.Message
}

// Size implements [serial.Task].
func (t serverTask) Size() int { return len(t.m.Data) }

// Run implements [serial.Task].
func (t serverTask) Run() {
	if _, err := t.ns.handleServerEvent(context.Background(), t.m); err != nil {
		t.ns.logServerEvent(context.Background(), err)
	}
}

// logServerEvent logs the error of a handler, at Debug if the other server is
// meant to know it: it may even be that there is no handler.
func (n *Namespace) logServerEvent(ctx context.Context, err error) {
	level := slog.LevelError
	if _, meant := toWire(err); meant {
		level = slog.LevelDebug
	}
	n.server.log().LogAttrs(ctx, level, "handler of a server-side event failed",
		slog.String("ns", n.name), errAttr(err))
}

// askHandler calls the handler of an event from a server that waits for the
// answer.
func (n *Namespace) askHandler(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) {
	answer, err := n.handleServerEvent(ctx, m)
	ack := &adapter.Ack{}
	if err == nil {
		var c content
		c, err = n.server.wire.ackContent([]any{answer})
		ack.Data, ack.Attachments = c.data, c.attachments
	}
	if err != nil {
		n.logServerEvent(ctx, err)
		w, _ := toWire(err)
		ack.Error = w.Message
	}
	reply(&adapter.Reply{Ack: ack})
}

func (n *Namespace) handleServerEvent(ctx context.Context, m *adapter.Message) (answer any, err error) {
	p, err := packet.Build(packet.Packet{Type: packet.Event}, m.Data, m.Attachments)
	if err != nil {
		return nil, fmt.Errorf("decoding a server-side event: %w", err)
	}
	h := n.routes.Load().onServer[string(p.Name)]
	if h == nil {
		return nil, &Error{Message: fmt.Sprintf("no handler for server-side event %q", p.Name)}
	}
	err = rescue.Call(func() error {
		answer, err = h(ctx, Args{p.Args, n.server.wire.codec})
		return err
	})
	return answer, err
}
