package engine

import (
	"sync/atomic"

	"github.com/sioplug/sioplug/internal/frame"
)

// A dropIndex knows where the messages with a policy are in a long queue. Each of its
// operations takes constant time.
type dropIndex struct {
	all    dropList // in the order of the queue
	keys   map[dropName]*droppable
	events map[dropName]*dropList // of the messages with a limit
	holes  int                    // nil frames in the queue
	spare  *droppable             // for the next message
}

// A dropName is a key or an event, in its namespace.
type dropName struct{ namespace, name string }

// A droppable is a message with a policy.
type droppable struct {
	at     int // place of its first frame in the queue
	policy *frame.Policy
	inAll  dropLinks
	ofSame dropLinks // of the same event
}

type dropLinks struct{ older, newer *droppable }

// A dropList is a list of messages, the oldest first.
type dropList struct {
	oldest, newest *droppable
	n              int
	links          func(*droppable) *dropLinks
}

func linksInAll(d *droppable) *dropLinks  { return &d.inAll }
func linksOfSame(d *droppable) *dropLinks { return &d.ofSame }

func (l *dropList) push(d *droppable) {
	*l.links(d) = dropLinks{older: l.newest}
	if l.newest == nil {
		l.oldest = d
	} else {
		l.links(l.newest).newer = d
	}
	l.newest = d
	l.n++
}

func (l *dropList) remove(d *droppable) {
	at := *l.links(d)
	if at.older == nil {
		l.oldest = at.newer
	} else {
		l.links(at.older).newer = at.newer
	}
	if at.newer == nil {
		l.newest = at.older
	} else {
		l.links(at.newer).older = at.older
	}
	l.n--
}

// newDropIndex returns the index of a queue without holes.
func newDropIndex(frames []*frame.Frame) *dropIndex {
	x := &dropIndex{
		all:    dropList{links: linksInAll},
		keys:   make(map[dropName]*droppable),
		events: make(map[dropName]*dropList),
	}
	for i, f := range frames {
		if p := f.Policy(); p != nil {
			x.add(i, p)
		}
	}
	return x
}

// add adds a message, which is the newest.
func (x *dropIndex) add(at int, p *frame.Policy) {
	d := x.spare
	x.spare = nil
	if d == nil {
		d = new(droppable)
	}
	d.at, d.policy = at, p
	x.all.push(d)
	if p.Key != "" {
		x.keys[dropName{p.Namespace, p.Key}] = d
	}
	if p.MaxWaiting > 0 {
		name := dropName{p.Namespace, p.Event}
		l := x.events[name]
		if l == nil {
			l = &dropList{links: linksOfSame}
			x.events[name] = l
		}
		l.push(d)
	}
}

// supersede is [sendQueue.supersede].
func (x *dropIndex) supersede(q *sendQueue, p *frame.Policy) (n DropCount) {
	if p.Key != "" {
		if d := x.keys[dropName{p.Namespace, p.Key}]; d != nil {
			x.drop(q, d)
			n.Replaced++
		}
	}
	if p.MaxWaiting > 0 {
		l := x.events[dropName{p.Namespace, p.Event}]
		for l != nil && l.n >= p.MaxWaiting {
			x.drop(q, l.oldest)
			n.Dropped++
		}
	}
	return n
}

// dropUntil is [sendQueue.dropUntil].
func (x *dropIndex) dropUntil(q *sendQueue, limit int) (n DropCount) {
	for q.bytes >= limit {
		d := x.oldest()
		if d == nil {
			break
		}
		x.drop(q, d)
		n.Dropped++
	}
	return n
}

// oldest returns the oldest message with a limit, nil if there is none. An application
// has few events.
func (x *dropIndex) oldest() (first *droppable) {
	for _, l := range x.events {
		if l.oldest != nil && (first == nil || l.oldest.at < first.at) {
			first = l.oldest
		}
	}
	return first
}

// drop removes a message from the index and from the queue.
func (x *dropIndex) drop(q *sendQueue, d *droppable) {
	p := d.policy
	x.all.remove(d)
	if p.Key != "" {
		delete(x.keys, dropName{p.Namespace, p.Key})
	}
	if p.MaxWaiting > 0 {
		name := dropName{p.Namespace, p.Event}
		l := x.events[name]
		if l.remove(d); l.n == 0 {
			delete(x.events, name)
		}
	}
	frames := q.frames[d.at : d.at+p.Frames()]
	q.release(frames)
	clear(frames)
	if d.at+len(frames) == len(q.frames) {
		q.frames = q.frames[:d.at]
	} else {
		x.holes += len(frames)
	}
	*d = droppable{}
	x.spare = d
	if x.holes >= minHoles && x.holes > len(q.frames)/2 || x.holes == len(q.frames) {
		x.closeHoles(q)
	}
}

// closeHoles removes the holes from the queue, and gives the messages their new places.
func (x *dropIndex) closeHoles(q *sendQueue) {
	d, n := x.all.oldest, 0
	for i, f := range q.frames {
		if f == nil {
			continue
		}
		if d != nil && d.at == i {
			d.at = n
			d = d.inAll.newer
		}
		q.frames[n] = f
		n++
	}
	clear(q.frames[n:])
	q.frames = q.frames[:n]
	x.holes = 0
}

// dropCounters count for all sessions.
type dropCounters struct{ dropped, replaced atomic.Uint64 }

func (c *dropCounters) add(n DropCount) {
	if n.Dropped > 0 {
		c.dropped.Add(n.Dropped)
	}
	if n.Replaced > 0 {
		c.replaced.Add(n.Replaced)
	}
}

// Drops returns how many messages were left out of the queues of all sessions.
func (e *Server) Drops() DropCount {
	return DropCount{Dropped: e.drops.dropped.Load(), Replaced: e.drops.replaced.Load()}
}
