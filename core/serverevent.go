package sio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/own"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/serial"
)

// A ServerHandler handles an event that another server of the cluster emitted with
// [Namespace.ServerSideEmit]. If the other server wants an answer, it gets the returned
// value. An error is logged, and the other server gets the same as a client would: see
// [Error].
//
// Handlers of one namespace run one at a time, in the order in which each server
// emitted. Handlers whose answer is wanted run concurrently. While a handler runs, at
// most 10,000 events or 16 MiB wait for it. Further events are dropped, since other
// servers cannot be slowed down. The log tells when that begins, and how many were
// dropped when the handlers have caught up.
type ServerHandler func(ctx context.Context, args Args) (answer any, err error)

// OnServerEvent sets the handler of an event between servers. It panics if the
// name is reserved or has a handler already. Names that begin with "sioplug:" are
// reserved for packages of this module.
func (n *Namespace) OnServerEvent(event string, h ServerHandler) {
	if h == nil {
		misuse.Panic(fmt.Sprintf("sio: OnServerEvent(%q) got a nil handler", event))
	}
	if reservedForServers(event) {
		misuse.Panic(fmt.Sprintf("sio: OnServerEvent(%q): the name is reserved: use another one", event))
	}
	n.onServerEvent(event, h)
}

func (n *Namespace) onServerEvent(event string, h ServerHandler) {
	n.register(func(r *routes) {
		if _, taken := r.onServer[event]; taken {
			misuse.Panic(fmt.Sprintf("sio: OnServerEvent(%q): namespace %s has a handler for it already: combine both in one handler", event, n.name))
		}
		r.onServer[event] = h
	})
}

// ServerSideEmit sends an event to the same namespace of all other servers of
// the cluster (SIO-CU-5). Without [Options.Adapter] there are none. On a parent it
// emits in all children; an error in one keeps it from none of the others.
func (n *Namespace) ServerSideEmit(event string, args ...any) error {
	if reservedForServers(event) {
		return reservedEvent(event)
	}
	return n.serverSideEmit(event, args)
}

func (n *Namespace) serverSideEmit(event string, args []any) error {
	m, err := n.serverMessage(event, args)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range n.selfOrChildren() {
		errs = append(errs, n.publish(m))
	}
	return errors.Join(errs...)
}

// ServerSideEmitWithAck is like [Namespace.ServerSideEmit] and yields the other
// servers' answers as they come, until all have answered or ctx ends
// (SIO-CU-6). An element with Err and no Server says that some did not answer.
func ServerSideEmitWithAck[T any](ctx context.Context, n *Namespace, event string, args ...any) iter.Seq[Ack[T]] {
	return decodeAcks[T](func(yield func(Ack[Args]) bool) {
		if reservedForServers(event) {
			yield(Ack[Args]{Err: reservedEvent(event)})
			return
		}
		m, err := n.serverMessage(event, args) // once for all namespaces, before any request
		if err != nil {
			yield(Ack[Args]{Err: err})
			return
		}
		r := newClusterRequest(ctx, n.server.wire.codec)
		for _, n := range n.selfOrChildren() {
			r.askOthers(n, m)
		}
		r.yieldAcks(ctx, yield)
	})
}

func (n *Namespace) serverMessage(event string, args []any) (*adapter.Message, error) {
	c, err := n.server.wire.encodeEvent(event, args)
	if err != nil {
		return nil, encodingError(event, err)
	}
	return &adapter.Message{Kind: adapter.ServerEvent, Data: c.data, Attachments: c.attachments}, nil
}

func reservedForServers(event string) bool {
	return packet.Reserved(event) || event == "connection" || event == "new_namespace" || own.Is(event)
}

// serverEventLimits are how much waits for the handlers of server-side events.
func serverEventLimits() serial.Limits { return serial.Limits{Tasks: 10_000, Bytes: 16 << 20} }

// queueServerEvent queues an event from another server for its handler.
func (n *Namespace) queueServerEvent(m *adapter.Message) {
	q := &n.serverEvents
	if bytes.HasPrefix(m.Data, []byte(`["`+own.Prefix)) {
		q = &n.ownServerEvents // do not wait for handlers of the application
	}
	idle, err := q.Offer(serverEventTask{n, m}, serverEventLimits())
	switch {
	case errors.Is(err, serial.ErrFull) && n.droppedServerEvents.Add(1) == 1:
		n.server.log().Error("server-side events are dropped: their handlers are too slow", slog.String("ns", n.name))
	case err == nil && idle:
		n.server.background(func() { n.runServerEvents(q) })
	}
}

func (n *Namespace) runServerEvents(q *serial.Queue[serverEventTask]) {
	q.Run()
	if dropped := n.droppedServerEvents.Swap(0); dropped > 0 {
		n.server.log().Error("server-side events were dropped, because their handlers were too slow",
			slog.String("ns", n.name), slog.Int64("dropped", dropped))
	}
}

// A serverEventTask is an event from another server.
type serverEventTask struct {
	ns *Namespace
	m  *adapter.Message
}

// Size implements [serial.Task].
func (t serverEventTask) Size() int {
	size := taskOverhead + len(t.m.Data)
	for _, a := range t.m.Attachments {
		size += len(a)
	}
	return size
}

// Run implements [serial.Task].
func (t serverEventTask) Run() error {
	_, err := t.ns.handleServerEvent(context.Background(), t.m)
	return err
}

// Done implements [serial.Task].
func (t serverEventTask) Done(err error) {
	if err != nil {
		t.ns.logServerEvent(context.Background(), err)
	}
}

// logServerEvent logs the error of a handler: at Debug if it is an *Error, which the
// other server is told, otherwise at Error.
func (n *Namespace) logServerEvent(ctx context.Context, err error) {
	level := slog.LevelError
	if _, meant := toWire(err); meant {
		level = slog.LevelDebug
	}
	attrs := append([]slog.Attr{slog.String("ns", n.name)}, errAttrs(err)...)
	n.server.log().LogAttrs(ctx, level, "handler of a server-side event failed", attrs...)
}

// askHandler calls the handler of an event from another server, and replies with the
// result.
func (n *Namespace) askHandler(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) {
	answer, err := n.handleServerEvent(ctx, m)
	var c encoded
	if err == nil {
		err = rescue.Apart(func() (err error) {
			c, err = n.server.wire.encodeAck([]any{answer})
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
	switch {
	case h != nil:
	case own.Is(string(p.Name)): // other servers use a package that this one does not
		return nil, nil //nolint:nilnil // no answer
	default:
		return nil, &Error{Message: fmt.Sprintf("no handler for server-side event %q", p.Name)}
	}
	err = rescue.Apart(func() (err error) {
		answer, err = h(ctx, Args{args: p.Args, codec: n.server.wire.codec})
		return err
	})
	return answer, err
}
