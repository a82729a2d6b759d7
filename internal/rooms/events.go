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

// A Kind tells what happened.
type Kind uint8

// The kinds of events (SIO section 11). A room is created by the first member's
// joining, before that, and deleted by the last one's leaving, after it.
const (
	Created Kind = iota + 1
	Joined
	Left
	Deleted
)

// opposite returns the kind that undoes k.
func (k Kind) opposite() Kind { return Created + Deleted - k }

// An Audience is somebody who is told of events. One that is slow does not hold
// up the other.
type Listener uint8

// The audiences.
const (
	Cluster  Listener = iota // the adapter that subscribes to rooms
	Handlers                 // the application's functions

	listeners
)

// manyEvents is how many events may wait before those that undo each other are
// left out.
const manyEvents = 1024

// news are the events that one audience was not told yet. It is guarded by the
// index's mu.
//
// However slow the audience is, news do not grow without bound. When many wait,
// an event and the one that undoes it are both left out. So no more events wait
// than it takes to get from the rooms that the audience knows to those that there
// are.
type pendingEvents struct {
	enabled    atomic.Bool // set under mu; whoever joins or leaves is not to lock twice if nobody listens
	delivering bool
	events     []Event
	indexOf    map[eventKey]int // the events by their places, when there are many
	removed    int              // how many of events are zero, because they were left out
}

// A place is what events undo each other at: a room, or a member in a room.
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

// addOrUndo leaves out e and the event that it undoes, if that one waits.
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

// compact begins anew with the events that wait.
func (n *pendingEvents) compact() {
	events := n.take()
	n.indexOf = make(map[eventKey]int, len(events))
	for _, e := range events {
		if e.Kind != 0 {
			n.addOrUndo(e)
		}
	}
}

// take empties news. Events that are zero were left out.
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

// Watch has the index note events from now on, for [Index.Tell].
func (x *Index[M]) Watch(a Listener) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pending[a].enabled.Store(true)
}

// Tell calls f for every event that was noted and that the audience was not told
// yet, in order. If another goroutine is telling already, it tells these, too. f
// may call the index. If it panics or ends the goroutine, the next call of Tell
// tells the rest.
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

// tell calls f for events, without mu, which the caller has and gets back.
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

// putBack takes events that were not told before those that were noted meanwhile.
func (n *pendingEvents) putBack(events []Event) {
	n.events = append(slices.Clip(events), n.events...)
	n.indexOf, n.removed = nil, 0
	for _, e := range n.events {
		if e.Kind == 0 {
			n.removed++
		}
	}
}
