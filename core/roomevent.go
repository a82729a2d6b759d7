package sio

import (
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/rooms"
)

// A RoomEvent is a change of a room on this server (SIO section 11). The id of a socket
// is a room as well.
type RoomEvent struct {
	Kind   RoomEventKind
	Room   string
	Socket string // the id of the socket that joined or left; "" for other kinds
}

// A RoomEventKind is the kind of a [RoomEvent].
type RoomEventKind uint8

// The kinds of room events.
const (
	RoomCreated RoomEventKind = iota + 1 // it is about to get its first member
	RoomJoined
	RoomLeft
	RoomDeleted // the last member has left
)

// String returns the name that the JavaScript server has for the event.
func (k RoomEventKind) String() string {
	switch k {
	case RoomCreated:
		return "create-room"
	case RoomJoined:
		return "join-room"
	case RoomLeft:
		return "leave-room"
	case RoomDeleted:
		return "delete-room"
	default:
		return "unknown"
	}
}

// OnRoom adds a function that gets the events of the namespace's rooms, in order and one
// at a time. It runs soon after the event, and may delay other sockets that join or
// leave, so it must not wait.
//
// If it is slow, events wait for it. When more than 1,024 wait, pairs of events that
// undo each other are left out: a join and its leave, or the creation and the deletion
// of a room. So a slow function may miss short changes, and memory is bounded by the
// number of rooms. When it has caught up, it knows the current state.
func (n *Namespace) OnRoom(f func(e RoomEvent)) {
	if f == nil {
		misuse.Panic("sio: OnRoom got a nil function")
	}
	n.register(func(r *routes) { r.onRoom = append(r.onRoom, f) })
	for _, n := range n.selfOrChildren() {
		n.index.Watch(rooms.Handlers)
	}
}

// deliverRoomEvents passes the index's room events on: to the cluster first. So when an
// OnRoom function publishes something, the cluster knows the rooms already.
func (n *Namespace) deliverRoomEvents() {
	n.index.Deliver(rooms.Cluster, n.roomEventToCluster)
	n.index.Deliver(rooms.Handlers, n.roomEventToHandlers)
}

func (n *Namespace) roomEventToCluster(e rooms.Event) {
	w, ok := n.adapter.(adapter.RoomWatcher)
	if !ok {
		return
	}
	var tell func(room string)
	switch e.Kind {
	case rooms.Created:
		tell = w.RoomCreated
	case rooms.Deleted:
		tell = w.RoomDeleted
	case rooms.Joined, rooms.Left:
		return // an adapter needs only rooms
	}
	err := rescue.Apart(func() error {
		tell(e.Room)
		return nil
	})
	if err != nil {
		n.logFailure("telling the adapter of a room failed", err)
	}
}

func (n *Namespace) roomEventToHandlers(e rooms.Event) {
	fs := n.routes.Load().onRoom
	rescue.Each(len(fs), func(i int) error {
		fs[i](RoomEvent{RoomEventKind(e.Kind), e.Room, e.Member})
		return nil
	}, func(_ int, err error) { n.logFailure("OnRoom failed", err) })
}
