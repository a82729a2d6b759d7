package sio

import (
	"context"
	"iter"
)

// An EmissionInfo is about a call that emits to many clients, or that waits for
// acknowledgements.
type EmissionInfo struct {
	Kind      EmissionKind
	Namespace *Namespace // maybe a parent, which emits in all of its children
	Event     string
	Socket    *Socket // the client that is to acknowledge, or whose handler emits; nil if it is not known
	Rooms     int     // how many rooms a broadcast has; 0 is all clients, but for those of Except
}

// An EmissionKind says which call an [EmissionInfo] is about.
type EmissionKind uint8

// The kinds of an [EmissionInfo].
const (
	EmissionBroadcast    EmissionKind = iota // [Broadcast.Emit], also by [Namespace.Emit]
	EmissionAck                              // [Socket.EmitWithAck]; [Answer.Wait]: only the waiting
	EmissionBroadcastAck                     // [BroadcastWithAck]: an iteration
)

// WithContext returns the set with a context for [Observer].EmissionStarted, which only
// that function uses. Sets that a [Ctx] returns have the context of their handler already.
func (b Broadcast) WithContext(ctx context.Context) Broadcast {
	b.ctx = ctx
	return b
}

// To is [Socket.To], with the handler's context for observers.
func (c *Ctx) To(rooms ...string) Broadcast { return c.withContext(c.Socket.To(rooms...)) }

// Except is [Socket.Except], with the handler's context for observers.
func (c *Ctx) Except(rooms ...string) Broadcast { return c.withContext(c.Socket.Except(rooms...)) }

// Broadcast is [Socket.Broadcast], with the handler's context for observers.
func (c *Ctx) Broadcast() Broadcast { return c.withContext(c.Socket.Broadcast()) }

// Self is [Socket.Self], with the handler's context for observers.
func (c *Ctx) Self() Broadcast { return c.withContext(c.Socket.Self()) }

func (c *Ctx) withContext(b Broadcast) Broadcast {
	if c.ns.server.observesEmissions() { // otherwise a set that is kept would keep the packet
		b.ctx = c.Context()
	}
	return b
}

func (s *Server) observesEmissions() bool { return len(s.observers.Load().emissionStarted) > 0 }

// observeEmission tells observers that a broadcast begins. The caller calls the result when
// it has ended.
//
//nolint:contextcheck // Emit takes no context: see WithContext
func (b Broadcast) observeEmission(event string) (end func(error)) {
	ctx := b.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	return b.ns.server.observeEmission(ctx, EmissionInfo{EmissionBroadcast, b.ns, event, nil, len(b.rooms.names)})
}

// observeAckWait tells observers that a call waits for the ack of s. The caller calls the
// result when it has ended.
func (s *Socket) observeAckWait(ctx context.Context, event string) (end func(error)) {
	if !s.ns.server.observesEmissions() {
		return ignoreEnd
	}
	return s.ns.server.observeEmission(ctx, EmissionInfo{EmissionAck, s.ns, event, s, 0})
}

func ignoreEnd(error) {}

func (s *Server) observeEmission(ctx context.Context, info EmissionInfo) (end func(error)) {
	if t := taskOf(ctx); info.Socket == nil && t != nil {
		info.Socket = t.ctx.Socket
	}
	const moment = "EmissionStarted"
	var ends []func(error)
	for _, f := range s.observers.Load().emissionStarted {
		observeHere(s, moment, []func(EmissionInfo){func(info EmissionInfo) {
			if end := f(ctx, info); end != nil {
				ends = append(ends, end)
			}
		}}, info)
	}
	if len(ends) == 0 {
		return ignoreEnd
	}
	return func(err error) { observeHere(s, moment, ends, err) } //nolint:contextcheck // it logs without one
}

// observing is an iteration over acks as an emission.
func (b Broadcast) observing(ctx context.Context, event string, acks iter.Seq[Ack[Args]]) iter.Seq[Ack[Args]] {
	if !b.ns.server.observesEmissions() {
		return acks
	}
	return func(yield func(Ack[Args]) bool) {
		var first error
		end := b.ns.server.observeEmission(ctx, EmissionInfo{EmissionBroadcastAck, b.ns, event, nil, len(b.rooms.names)})
		defer func() { end(first) }()
		for a := range acks {
			if first == nil {
				first = a.Err
			}
			if !yield(a) {
				return
			}
		}
	}
}
