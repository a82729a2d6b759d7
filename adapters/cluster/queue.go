package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrQueueFull is the error of a message that was not sent to other servers, because too
// many bytes wait for the broker: see [Options.MaxQueueBytes].
var ErrQueueFull = errors.New("cluster: the queue to the broker is full")

// A queue holds the packets that wait for the broker, in order. Those of the type Relayed have an
// order of their own, and do not wait behind all others.
type queue struct {
	max        int
	dropOldest bool
	relayed    budget // bytes of packets of the type Relayed, which do not count in bytes

	mu      sync.Mutex
	packets []*Packet
	relays  []*Packet // of the type Relayed
	bytes   int       // of packets, and of those of them that were taken and are not done
	taken   int       // packets that were taken and are not done
	closed  bool
	since   time.Time     // when the queue was empty, or a packet was done, the last time
	wake    chan struct{} // has an element if there may be packets, or the queue was closed
	empty   chan struct{} // closed when it is closed and empty

	arrived map[*Packet]time.Time // when packets of the type Relayed came
}

func newQueue(limit int, dropOldest bool) *queue {
	return &queue{
		max: limit, dropOldest: dropOldest, wake: make(chan struct{}, 1), empty: make(chan struct{}),
		relayed: budget{max: limit / relayedShare}, arrived: make(map[*Packet]time.Time),
	}
}

// relayedShare is which part of MaxQueueBytes may be used by packets of the type Relayed, in
// addition to what others use.
const relayedShare = 4

// addRelayed waits until there is room for a packet of the type Relayed, and adds it. So such
// packets leave the others their room, however many there are.
func (q *queue) addRelayed(ctx context.Context, p *Packet) error {
	size := p.size()
	if err := q.relayed.acquire(ctx, size); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.relayed.release(size)
		return errClosed
	}
	q.arrived[p] = time.Now()
	q.relays = append(q.relays, p)
	q.appendedLocked()
	return nil
}

// isLate reports whether a packet of the type Relayed has waited too long.
func (q *queue) isLate(p *Packet) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.Since(q.arrived[p]) > RelayTimeout
}

// waitingLocked returns how many packets wait.
func (q *queue) waitingLocked() int { return len(q.packets) + len(q.relays) }

func (q *queue) appendedLocked() {
	if q.waitingLocked()+q.taken == 1 {
		q.since = time.Now()
	}
	q.signal()
}

// forgetLocked makes room for others, since a packet has left the queue.
func (q *queue) forgetLocked(p *Packet) {
	if p.Type == Relayed {
		delete(q.arrived, p)
		q.relayed.release(p.size())
		return
	}
	q.bytes -= p.size()
}

// makeRoomLocked drops what has waited longest until there is room. It returns how many packets
// it has dropped.
func (q *queue) makeRoomLocked(size int) (dropped int) {
	for q.bytes+size > q.max && len(q.packets) > 0 {
		q.bytes -= q.packets[0].size()
		q.packets[0] = nil
		q.packets = q.packets[1:]
		dropped++
	}
	return dropped
}

// add adds a packet. It returns how many others were dropped for it.
func (q *queue) add(p *Packet) (dropped int, err error) {
	size := p.size()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, errClosed
	}
	if q.dropOldest && size <= q.max {
		dropped = q.makeRoomLocked(size)
	}
	if q.bytes+size > q.max && (q.bytes > 0 || size > q.max) {
		return dropped, fmt.Errorf("%w: %d of %d bytes", ErrQueueFull, q.bytes, q.max)
	}
	q.packets = append(q.packets, p)
	q.bytes += size
	q.appendedLocked()
	return dropped, nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// nextLocked takes at most n packets, nil if there are none. Those of the type Relayed come first.
// If others wait as well, these get half of the places.
func (q *queue) nextLocked(n int) (batch []*Packet) {
	relays := min(len(q.relays), n-min(len(q.packets), n/2)) //nolint:mnd // half
	others := min(len(q.packets), n-relays)
	switch {
	case relays == 0:
		batch = q.packets[:others:others]
	case others == 0:
		batch = q.relays[:relays:relays]
	default:
		batch = append(append(make([]*Packet, 0, relays+others), q.relays[:relays]...), q.packets[:others]...)
	}
	q.relays, q.packets = without(q.relays, relays), without(q.packets, others)
	q.taken += len(batch)
	return batch
}

// without returns what follows the first n packets of a list.
func without(list []*Packet, n int) []*Packet {
	if n == len(list) {
		return nil // the array is not needed any more
	}
	return list[n:]
}

// take waits for packets and returns at most n of them. They count until done is called. It
// returns nil when the queue is closed and empty.
func (q *queue) take(n int, stop <-chan struct{}) []*Packet {
	for {
		q.mu.Lock()
		if batch := q.nextLocked(n); len(batch) > 0 {
			if q.waitingLocked() > 0 {
				q.signal()
			}
			q.mu.Unlock()
			return batch
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return nil
		}
		select {
		case <-q.wake:
		case <-stop:
			return nil
		}
	}
}

// done forgets packets that were taken.
func (q *queue) done(packets []*Packet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range packets {
		q.forgetLocked(p)
	}
	q.taken -= len(packets)
	q.since = time.Now()
	q.signalEmpty()
}

// close makes add fail. The packets that wait can still be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		q.signal()
		q.signalEmpty()
	}
}

func (q *queue) signalEmpty() {
	if q.closed && q.waitingLocked()+q.taken == 0 {
		select {
		case <-q.empty:
		default:
			close(q.empty)
		}
	}
}

// drop empties the queue and returns how many packets it had.
func (q *queue) drop() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.waitingLocked()
	for _, p := range slices.Concat(q.relays, q.packets) {
		q.forgetLocked(p)
	}
	q.packets, q.relays = nil, nil
	q.signalEmpty()
	return n
}

// length returns how much waits for the broker, and since when the broker has taken nothing
// of it.
func (q *queue) length() (packets, bytes int, since time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waitingLocked() + q.taken, q.bytes + q.relayed.inUse(), q.since
}
