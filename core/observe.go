package sio

import (
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

// OnAny adds a function that sees every event that comes from clients, known or
// not, before all middleware (SIO-PM-3). It cannot refuse an event; for that
// there is [Namespace.UseEvents].
func (n *Namespace) OnAny(f func(c *Ctx)) {
	if f == nil {
		misuse.Panic("sio: OnAny got a nil function")
	}
	n.register(func(r *routes) {
		r.onAny = append(r.onAny, f)
		for name, e := range r.events {
			r.events[name] = e.withOnAny(r.onAny)
		}
		r.unknown = r.unknown.withOnAny(r.onAny)
	})
}

// OnAnyOutgoing adds a function that sees every event that is emitted to a
// client, broadcasts included, once for each client, before it is sent
// (SIO-PM-4). It runs in the call that emits, so it must not wait. The arguments
// are as the client will get them. Acks are not events.
func (n *Namespace) OnAnyOutgoing(f func(s *Socket, event string, args Args)) {
	if f == nil {
		misuse.Panic("sio: OnAnyOutgoing got a nil function")
	}
	n.register(func(r *routes) { r.onOutgoing = append(r.onOutgoing, f) })
}

// observe calls the functions of OnAnyOutgoing for an event to one client.
func (n *Namespace) observe(s *Socket, event string, args []any) {
	if len(n.routes.Load().onOutgoing) == 0 {
		return
	}
	if c, err := n.server.wire.encodeEventForClients(event, args); err == nil { // otherwise nothing will be sent
		n.callOnOutgoing(c, s)
	}
}

// observeBroadcast calls the functions of OnAnyOutgoing for a broadcast.
func (n *Namespace) observeBroadcast(m *adapter.Message) {
	if len(n.routes.Load().onOutgoing) > 0 {
		n.callOnOutgoing(encoded{m.Data, m.Attachments}, n.index.List(target(m.Target))...)
	}
}

func (n *Namespace) callOnOutgoing(c encoded, sockets ...*Socket) {
	p, err := packet.Build(packet.Packet{Type: packet.Event}, c.data, c.attachments)
	if err != nil {
		return // it comes from another server, and will not be sent either
	}
	args := Args{args: p.Args, codec: n.server.wire.codec}
	fs := n.routes.Load().onOutgoing
	rescue.Each(len(sockets)*len(fs), func(i int) error {
		if s := sockets[i/len(fs)]; s.Connected() {
			fs[i%len(fs)](s, string(p.Name), args)
		}
		return nil
	}, func(_ int, err error) { n.logFailure("OnAnyOutgoing failed", err) })
}
