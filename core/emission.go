package sio

import (
	"context"
	"iter"
)

// An Emission is a call that emits to many clients, or that waits for acknowledgements. See
// [Options.OnEmission].
type Emission struct {
	Kind      EmissionKind
	Namespace *Namespace // maybe a parent, which emits in all of its children
	Event     string
	Socket    *Socket // the client that is to acknowledge, or whose handler emits; nil if it is not known
}

// An EmissionKind says which call an [Emission] is.
type EmissionKind uint8

// The kinds of an [Emission].
const (
	EmissionBroadcast    EmissionKind = iota // [Broadcast.Emit], also by [Namespace.Emit]
	EmissionAck                              // [Socket.EmitWithAck]; [Answer.Wait]: only the waiting
	EmissionBroadcastAck                     // [BroadcastWithAck]: an iteration
)

// WithContext returns the set with a context for [Options.OnEmission], which only that
// function uses. Sets that a [Ctx] returns have the context of their handler already.
func (b Broadcast) WithContext(ctx context.Context) Broadcast {
	b.ctx = ctx
	return b
}

func (b Broadcast) context() context.Context {
	if b.ctx == nil {
		return context.Background()
	}
	return b.ctx
}

// To is [Socket.To], with the handler's context for [Options.OnEmission].
func (c *Ctx) To(rooms ...string) Broadcast { return c.withContext(c.Socket.To(rooms...)) }

// Except is [Socket.Except], with the handler's context for [Options.OnEmission].
func (c *Ctx) Except(rooms ...string) Broadcast { return c.withContext(c.Socket.Except(rooms...)) }

// Broadcast is [Socket.Broadcast], with the handler's context for [Options.OnEmission].
func (c *Ctx) Broadcast() Broadcast { return c.withContext(c.Socket.Broadcast()) }

// Self is [Socket.Self], with the handler's context for [Options.OnEmission].
func (c *Ctx) Self() Broadcast { return c.withContext(c.Socket.Self()) }

func (c *Ctx) withContext(b Broadcast) Broadcast {
	if c.ns.server.opts.OnEmission != nil { // otherwise a set that is kept would keep the packet
		b.ctx = c.Context()
	}
	return b
}

// beginEmission calls OnEmission. The caller calls the result when the emission has ended.
func (n *Namespace) beginEmission(ctx context.Context, kind EmissionKind, event string, s *Socket) (end func(error)) {
	begin := n.server.opts.OnEmission
	if begin == nil {
		return ignoreEnd
	}
	if t := taskOf(ctx); s == nil && t != nil {
		s = t.ctx.Socket
	}
	if end = begin(ctx, Emission{kind, n, event, s}); end == nil {
		return ignoreEnd
	}
	return end
}

func ignoreEnd(error) {}

// emitting is an iteration over acks as an emission.
func (n *Namespace) emitting(ctx context.Context, kind EmissionKind, event string, acks iter.Seq[Ack[Args]]) iter.Seq[Ack[Args]] {
	if n.server.opts.OnEmission == nil {
		return acks
	}
	return func(yield func(Ack[Args]) bool) {
		var first error
		end := n.beginEmission(ctx, kind, event, nil)
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
