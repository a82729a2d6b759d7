package rooms

import "sync/atomic"

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

// news are the events that were not told yet. It is guarded by the index's mu.
type news struct {
	watched atomic.Bool // set under mu; whoever joins or leaves is not to lock twice if nobody listens
	telling bool
	events  []Event
}

func (n *news) joined(room, member string, first bool) {
	if !n.watched.Load() {
		return
	}
	if first {
		n.events = append(n.events, Event{Kind: Created, Room: room})
	}
	n.events = append(n.events, Event{Joined, room, member})
}

func (n *news) left(room, member string, last bool) {
	if !n.watched.Load() {
		return
	}
	n.events = append(n.events, Event{Left, room, member})
	if last {
		n.events = append(n.events, Event{Kind: Deleted, Room: room})
	}
}

// Watch has the index note events from now on, for [Index.Tell].
func (x *Index[M]) Watch() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.news.watched.Store(true)
}

// Tell calls f for every event that was noted and not told yet, in order. If
// another goroutine is telling already, it tells these, too. f may call the
// index. If it panics or ends the goroutine, the next call of Tell tells the rest.
func (x *Index[M]) Tell(f func(Event)) {
	if !x.news.watched.Load() {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.news.telling {
		return
	}
	x.news.telling = true
	defer func() { x.news.telling = false }()
	for len(x.news.events) > 0 {
		e := x.news.events[0]
		x.news.events = x.news.events[1:]
		x.unlocked(func() { f(e) })
	}
	x.news.events = nil
}

// unlocked calls f without mu, which the caller has and gets back, whatever f does.
func (x *Index[M]) unlocked(f func()) {
	x.mu.Unlock()
	defer x.mu.Lock()
	f()
}

// List returns the members that t selects, each once.
func (x *Index[M]) List(t Target) []M {
	var list []M
	x.Each(t, func(m M) { list = append(list, m) })
	return list
}
