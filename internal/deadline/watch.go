package deadline

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Watch is a [List] for waits that begin thousands of times a second and almost always
// end long before their deadline. It costs the runtime no timer for each wait, which
// would wake a sleeping thread twice. In return, it may find a deadline late: it looks
// at intervals. If it finds an item that waits, it looks again at the item's deadline.
//
// Its items are spread over as many lists as there are processors, because every
// message needs one of their locks. A Watch is safe for concurrent use. While nothing
// waits, it has no timer.
type Watch[T any] struct {
	every time.Duration
	lists []watchList[T]
	armed atomic.Bool // the timer runs

	mu    sync.Mutex
	at    time.Duration // when the timer fires
	timer *time.Timer
}

type watchList[T any] struct {
	List[T]

	_ [64]byte // keeps the locks of two lists out of one cache line
}

// NewWatch returns a Watch whose deadlines lie after in the future when set, and are
// found at most every later. Otherwise it is like [NewList].
func NewWatch[T any](epoch time.Time, after, every time.Duration, expire func(T)) *Watch[T] {
	w := &Watch[T]{every: every, lists: make([]watchList[T], runtime.GOMAXPROCS(0))}
	for i := range w.lists {
		w.lists[i].epoch, w.lists[i].after, w.lists[i].expire = epoch, after, expire
	}
	return w
}

// Set starts the deadline of it, or starts it anew. The key selects the list.
func (w *Watch[T]) Set(key uint32, it *Item[T], value T) {
	l := &w.lists[key%uint32(len(w.lists))].List //nolint:gosec // the number of processors fits
	it.Stop()
	l.mu.Lock()
	l.addLocked(it, value)
	l.mu.Unlock()
	if !w.armed.Load() { // after the item is listed: see fire
		w.arm(it.at - l.after + w.every)
	}
}

// arm makes the timer fire at that time, unless it fires earlier.
func (w *Watch[T]) arm(at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.armed.Load() && w.at <= at {
		return
	}
	w.armed.Store(true)
	w.at = at
	d := at - time.Since(w.lists[0].epoch)
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.fire)
		return
	}
	w.timer.Reset(d)
}

// fire expires what is due, and arms the timer again if anything waits. An item that
// joins a list after fire has looked there finds the timer unarmed.
func (w *Watch[T]) fire() {
	w.mu.Lock()
	w.armed.Store(false)
	w.mu.Unlock()
	var next time.Duration
	for i := range w.lists {
		if at, waits := w.lists[i].expireDue(); waits && (next == 0 || at < next) {
			next = at
		}
	}
	if next != 0 {
		w.arm(next)
	}
}
