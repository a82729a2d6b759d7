package sio

import (
	"context"
	"errors"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/own"
	"github.com/sioplug/sioplug/internal/packet"
)

// A server knows only the children that its own clients have brought about. What concerns
// all children of a parent goes to the same parent of the other servers, over the root
// namespace. Servers agree on a parent by its name, which counts parents in the order of
// their creation, and by its pattern.

// ownKey is what servers recognize a parent by.
func (n *Namespace) ownKey() string { return n.name + " " + n.pattern.text }

// emitToParents sends an event to the same parent of the other servers, whose handlers
// stand for all children. The arguments have no binary values.
func (n *Namespace) emitToParents(event own.Event, args []any) error {
	if !n.Clustered() {
		return nil
	}
	m, err := n.serverMessage(string(event), args)
	if err != nil {
		return err
	}
	return n.server.serverSideEmit(string(own.Parent), []any{n.ownKey(), string(m.Data)})
}

// OwnEnd emits an event to the sockets of a room, and disconnects them, in those children of
// a parent that exist only on other servers. Others may be concerned as well. It is for
// package auth.
func (n *Namespace) OwnEnd(room, event string, arg any) error {
	return n.emitToParents(own.End, []any{room, event, arg})
}

// onParentEvent is the handler of events for a parent of this server.
func (s *Server) onParentEvent(ctx context.Context, args Args) (answer any, err error) {
	var key, data string
	if err := args.Bind(&key, &data); err != nil {
		return nil, err
	}
	for _, p := range s.parentList() {
		if p.ownKey() != key {
			continue
		}
		m := &adapter.Message{Kind: adapter.ServerEvent, Data: []byte(data)}
		k, err := packet.Build(packet.Packet{Type: packet.Event}, m.Data, nil)
		switch {
		case err != nil:
			return nil, &Error{Message: "invalid event for a parent", Err: err}
		case string(k.Name) == string(own.End):
			return nil, p.endHere(Args{args: k.Args, codec: s.wire.codec})
		case own.Is(string(k.Name)): // events of applications go to each child
			return p.handleServerEvent(ctx, m)
		}
	}
	return nil, nil //nolint:nilnil // no answer
}

// endHere does what [Namespace.OwnEnd] of another server asks for.
func (n *Namespace) endHere(args Args) error {
	var room, event string
	var arg any
	if err := args.Bind(&room, &event, &arg); err != nil {
		return err
	}
	if room == "" {
		return &Error{Message: "invalid event for a parent"}
	}
	sockets := n.To(room).Local()
	return errors.Join(sockets.Emit(event, arg), sockets.Disconnect())
}
