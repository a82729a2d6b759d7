package sio

import (
	"maps"
	"slices"
)

// Socket returns the socket of that id, nil if no such client is connected to
// this server. A client of another server of the cluster has no Socket here; to
// do something to it, use its id as a room: [Namespace.To].
func (n *Namespace) Socket(id string) *Socket {
	for _, n := range n.selfOrChildren() {
		if s, ok := n.index.Member(id); ok && s.Connected() {
			return s
		}
	}
	return nil
}

// Rooms returns the names of the rooms that clients of this server have joined or are
// pinned to, sorted. The ids of sockets, which are rooms as well, are not among them.
func (n *Namespace) Rooms() []string {
	names := make(map[string]bool)
	for _, n := range n.selfOrChildren() {
		n.index.EachRoom(func(name string) { names[name] = true })
	}
	return slices.Sorted(maps.Keys(names))
}

// Sockets returns the clients in the set that are connected to this server, in no
// particular order. For the clients of all servers, see [Broadcast.Fetch].
func (b Broadcast) Sockets() []*Socket {
	var list []*Socket
	b.each(func(s *Socket) { list = append(list, s) })
	return list
}

// each calls f for every connected client of this server in the set. The index is locked
// meanwhile.
func (b Broadcast) each(f func(*Socket)) {
	for _, n := range b.ns.selfOrChildren() {
		n.index.Each(target(b.target()), func(s *Socket) {
			if s.Connected() {
				f(s)
			}
		})
	}
}
