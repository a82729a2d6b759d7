package rooms

import (
	"slices"
	"sync/atomic"
)

// An Event is something that happened to a room.
type Event struct {
	Kind   Kind
	Room   string
	Member string // its id; "" for Created and Deleted
}

// A Kind is the kind of an event.
type Kind uint8

// The kinds of events (SIO section 11). Created comes before the Joined of the first
// member, Deleted after the Left of the last one.
const (
	Created Kind = iota + 1
	Joined
	Left
	Deleted
)

// opposite returns the kind that undoes k.
func (k Kind) opposite() Kind { return Created + Deleted - k }

// A Listener receives events. A slow listener does not delay the other one.
type Listener uint8

// The listeners.
const (
	Cluster  Listener = iota // the adapter that subscribes to rooms
	Handlers                 // the application's functions

	listeners
)

// manyEvents is the number of waiting events from which on an event and its opposite
// cancel each other.
const manyEvents = 1024

// A pendingEvents has the events that one listener has yet to receive. It is guarded by
// the index's mu.
//
// It is bounded, also if the listener is slow. When many events wait, an event and its
// opposite are both removed. So the number of waiting events is at most the difference
// between the rooms that the listener knows and the rooms that exist.
type pendingEvents struct {
	enabled    atomic.Bool // set under mu; without a listener, joining and leaving take no second lock
	delivering bool
	events     []Event
	indexOf    map[eventKey]int // the events by their keys, when there are many
	removed    int              // how many of events are zero, because they were removed
}

// An eventKey is the same for events that can cancel each other: a room, or a member in
// a room.
type eventKey struct{ room, member string }

func (n *pendingEvents) add(e Event) {
	if n.indexOf == nil && len(n.events) < manyEvents {
		n.events = append(n.events, e)
		return
	}
	if n.indexOf == nil || n.removed > len(n.events)/2 {
		n.compact()
	}
	n.addOrUndo(e)
}

// addOrUndo adds e, or removes its opposite if that waits.
func (n *pendingEvents) addOrUndo(e Event) {
	at := eventKey{e.Room, e.Member}
	i, waits := n.indexOf[at]
	if waits && n.events[i].Kind == e.Kind.opposite() {
		n.events[i] = Event{}
		n.removed++
		delete(n.indexOf, at)
		return
	}
	n.indexOf[at] = len(n.events)
	n.events = append(n.events, e)
}

// compact removes the zero events and rebuilds the map.
func (n *pendingEvents) compact() {
	events := n.take()
	n.indexOf = make(map[eventKey]int, len(events))
	for _, e := range events {
		if e.Kind != 0 {
			n.addOrUndo(e)
		}
	}
}

// take returns all events and leaves none. Zero events were removed.
func (n *pendingEvents) take() []Event {
	events := n.events
	n.events, n.indexOf, n.removed = nil, nil, 0
	return events
}

func (x *Index[M]) noteJoinedLocked(room, member string, first bool) {
	for i := range x.pending {
		n := &x.pending[i]
		if !n.enabled.Load() {
			continue
		}
		if first {
			n.add(Event{Kind: Created, Room: room})
		}
		n.add(Event{Joined, room, member})
	}
}

func (x *Index[M]) noteLeftLocked(room, member string, last bool) {
	for i := range x.pending {
		n := &x.pending[i]
		if !n.enabled.Load() {
			continue
		}
		n.add(Event{Left, room, member})
		if last {
			n.add(Event{Kind: Deleted, Room: room})
		}
	}
}

// Watch makes the index note events for a listener from now on: see [Index.Deliver].
func (x *Index[M]) Watch(a Listener) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pending[a].enabled.Store(true)
}

// Deliver calls f, in order, for every event that the listener has yet to receive. If
// another goroutine delivers already, Deliver leaves the events to it and returns. f may
// call the index. If f panics or ends the goroutine, the next call of Deliver delivers
// the rest.
func (x *Index[M]) Deliver(a Listener, f func(Event)) {
	n := &x.pending[a]
	if !n.enabled.Load() {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if n.delivering {
		return
	}
	n.delivering = true
	defer func() { n.delivering = false }()
	for len(n.events) > n.removed {
		x.deliverUnlocked(n, n.take(), f)
	}
	n.take()
}

// deliverUnlocked calls f for events. The caller holds mu; it is released meanwhile.
func (x *Index[M]) deliverUnlocked(n *pendingEvents, events []Event, f func(Event)) {
	told := 0
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		if told < len(events) {
			n.putBack(events[told:])
		}
	}()
	for _, e := range events {
		told++
		if e.Kind != 0 {
			f(e)
		}
	}
}

// putBack puts events that were not delivered in front of the newer ones.
func (n *pendingEvents) putBack(events []Event) {
	n.events = append(slices.Clip(events), n.events...)
	n.indexOf, n.removed = nil, 0
	for _, e := range n.events {
		if e.Kind == 0 {
			n.removed++
		}
	}
}
