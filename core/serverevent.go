package sio

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/serial"
)

// A ServerHandler handles an event that another server of the cluster emitted
// with [Namespace.ServerSideEmit]. What it returns is the answer, if the other
// server wants one; an error is logged, and the other server is told what
// clients would be told: see [Error].
//
// Handlers of one namespace run one at a time, in the order of each server's
// emits, except that those whose answer is wanted run on their own. While one runs, at
// most 10,000 events or 16 MiB wait for it. Those beyond that are dropped, since other
// servers cannot be slowed down; the log tells when that begins, and how many were
// dropped when the handlers have caught up.
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
			misuse(fmt.Sprintf("OnServerEvent(%q): namespace %s has a handler for it already: combine both in one handler", event, n.name))
		}
		r.onServer[event] = h
	})
}

// ServerSideEmit sends an event to the same namespace of all other servers of
// the cluster (SIO-CU-5). Without [Options.Adapter] there are none. On a parent it
// emits in all children; an error in one keeps it from none of the others.
func (n *Namespace) ServerSideEmit(event string, args ...any) error {
	m, err := n.serverMessage(event, args)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range n.members() {
		errs = append(errs, n.publish(m))
	}
	return errors.Join(errs...)
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
	c, err := n.server.wire.anyContent(event, args)
	if err != nil {
		return nil, encodingError(event, err)
	}
	return &adapter.Message{Kind: adapter.ServerEvent, Data: c.data, Attachments: c.attachments}, nil
}

func reservedForServers(event string) bool {
	return packet.Reserved(event) || event == "connection" || event == "new_namespace"
}

// serverEventLimits are how much waits for the handlers of server-side events.
func serverEventLimits() serial.Limits { return serial.Limits{Tasks: 10_000, Bytes: 16 << 20} }

// serverEvent has the handler of an event from another server called, after
// those of earlier ones.
func (n *Namespace) serverEvent(m *adapter.Message) {
	idle, err := n.serverEvents.Offer(serverTask{n, m}, serverEventLimits())
	switch {
	case errors.Is(err, serial.ErrFull) && n.dropped.Add(1) == 1:
		n.server.log().Error("server-side events are dropped: their handlers are too slow", slog.String("ns", n.name))
	case err == nil && idle:
		n.server.background(n.runServerEvents)
	}
}

func (n *Namespace) runServerEvents() {
	n.serverEvents.Run()
	if dropped := n.dropped.Swap(0); dropped > 0 {
		n.server.log().Error("server-side events were dropped, because their handlers were too slow",
			slog.String("ns", n.name), slog.Int64("dropped", dropped))
	}
}

// A serverTask is an event from another server.
type serverTask struct {
	ns *Namespace
	m  *adapter.Message
}

// Size implements [serial.Task].
func (t serverTask) Size() int {
	size := taskOverhead + len(t.m.Data)
	for _, a := range t.m.Attachments {
		size += len(a)
	}
	return size
}

// Run implements [serial.Task].
func (t serverTask) Run() error {
	_, err := t.ns.handleServerEvent(context.Background(), t.m)
	return err
}

// Done implements [serial.Task].
func (t serverTask) Done(err error) {
	if err != nil {
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
	attrs := append([]slog.Attr{slog.String("ns", n.name)}, errAttrs(err)...)
	n.server.log().LogAttrs(ctx, level, "handler of a server-side event failed", attrs...)
}

// askHandler calls the handler of an event from a server that waits for the
// answer.
func (n *Namespace) askHandler(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) {
	answer, err := n.handleServerEvent(ctx, m)
	var c content
	if err == nil {
		err = rescue.Apart(func() (err error) {
			c, err = n.server.wire.ackContent([]any{answer})
			return err
		})
	}
	ack := &adapter.Ack{Data: c.data, Attachments: c.attachments}
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
	err = rescue.Apart(func() (err error) {
		answer, err = h(ctx, Args{args: p.Args, codec: n.server.wire.codec})
		return err
	})
	return answer, err
}
