// Package deadline keeps many deadlines of the same length with one runtime
// timer.
package deadline

import (
	"sync"
	"time"
)

// A List calls a function for every item whose time has come. All deadlines of
// one list are equally far away when they are set, so they expire in the order
// in which they were set: a linked list and a single timer serve any number of
// connections exactly, where a timer each would cost memory and a timing wheel
// would cost precision.
//
// A List is safe for concurrent use.
type List[T any] struct {
	after  time.Duration
	expire func(T)
	epoch  time.Time // deadlines are kept as durations since then: 8 bytes, monotonic

	mu    sync.Mutex
	head  *Item[T]
	tail  *Item[T]
	timer *time.Timer
	armed bool
	keep  bool          // the timer is left to find nothing
	early time.Duration // by how much an item may expire early, together with another one
}

// An Item is one deadline. It is a field of its owner, so it costs no allocation. It is
// in at most one list at a time. The owner must not call [List.Set] and [Item.Stop] on it
// concurrently.
type Item[T any] struct {
	list       *List[T] // the last one it was in; only the owner writes it
	prev, next *Item[T]
	at         time.Duration
	value      T
	listed     bool // it is in list; guarded by the mu of that
}

// NewList returns a list whose deadlines lie after in the future when set.
// When one passes, expire is called with its value, on a goroutine of its own
// and without a lock held, so expire must check that the value still waits:
// it may have been stopped or set again a moment ago. Lists between which items
// move must have the same epoch, a time in the past.
func NewList[T any](epoch time.Time, after time.Duration, expire func(T)) *List[T] {
	return &List[T]{epoch: epoch, after: after, expire: expire}
}

// KeepTimer leaves the timer running when the list becomes empty, to find nothing. It is for
// many stays that are shorter than their deadlines: starting and stopping the timer for each
// of them would cost more. It must be called before the first Set.
func (l *List[T]) KeepTimer() { l.keep = true }

// AllowEarly lets items expire up to d before their time, together with one whose time has
// come. So the timer runs once for all of them. An item that is alone expires on time. It
// must be called before the first Set.
func (l *List[T]) AllowEarly(d time.Duration) { l.early = d }

// Set starts the deadline of it, or starts it anew, moving it here from
// whichever list it was in.
func (l *List[T]) Set(it *Item[T], value T) {
	now := time.Since(l.epoch)
	it.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setLocked(it, value, now)
}

// SetAndTake is [List.Set]. It also takes an item out of the list that was set more than d
// ago, if there is one, and returns its value. The deadline of that does not pass any more.
func (l *List[T]) SetAndTake(it *Item[T], value T, d time.Duration) (late T, found bool) {
	now := time.Since(l.epoch)
	it.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setLocked(it, value, now)
	first := l.head
	if now-(first.at-l.after) <= d {
		return late, false
	}
	late = first.value
	l.removeLocked(first)
	return late, true
}

func (l *List[T]) setLocked(it *Item[T], value T, now time.Duration) {
	it.list, it.value, it.listed = l, value, true
	it.at = now + l.after
	it.prev = l.tail
	if l.tail == nil {
		l.head = it
	} else {
		l.tail.next = it
	}
	l.tail = it
	if !l.armed {
		l.armLocked(it.at - time.Since(l.epoch))
	}
}

// At returns when the deadline passes, since the lists' epoch.
func (it *Item[T]) At() time.Duration { return it.at }

// SetAt returns when the item, which waits, was set: the time since the lists' epoch.
func (it *Item[T]) SetAt() time.Duration { return it.at - it.list.after }

// Passed reports whether the deadline of it, which was last set in l, has
// passed, even if expire has not been called yet.
func (l *List[T]) Passed(it *Item[T]) bool {
	return it.list == l && time.Since(l.epoch) >= it.at
}

// Stop ends the wait of the item; it may be called on one that does not wait.
func (it *Item[T]) Stop() {
	l := it.list
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if it.listed {
		l.removeLocked(it)
	}
	it.list = nil
	if l.head == nil && l.armed && !l.keep {
		l.armed = false
		l.timer.Stop()
	}
}

func (l *List[T]) removeLocked(it *Item[T]) {
	if it.prev == nil {
		l.head = it.next
	} else {
		it.prev.next = it.next
	}
	if it.next == nil {
		l.tail = it.prev
	} else {
		it.next.prev = it.prev
	}
	it.prev, it.next, it.listed = nil, nil, false
}

func (l *List[T]) armLocked(d time.Duration) {
	l.armed = true
	if l.timer == nil {
		l.timer = time.AfterFunc(d, l.fire)
		return
	}
	l.timer.Reset(d)
}

func (l *List[T]) fire() {
	for early := time.Duration(0); ; early = l.early {
		l.mu.Lock()
		it := l.head
		if it == nil {
			l.armed = false
			l.mu.Unlock()
			return
		}
		if wait := it.at - time.Since(l.epoch); wait > early {
			l.armLocked(wait)
			l.mu.Unlock()
			return
		}
		value := it.value
		l.removeLocked(it)
		l.mu.Unlock()
		l.expire(value)
	}
}
