package rooms

import (
	"slices"
	"sync"
)

// A Stay is the time that a member spends in a room, between two positions: it was
// there for what came after From, up to and including To.
type Stay struct {
	Room   string
	From   string
	To     string // "" while it lasts
	Pinned bool
}

// A trail notes at which positions members join and leave, for indexes that
// [Index.Start] was called of. A position is that of the last thing that all members
// were told in order. The trail is guarded by the index's mu.
type trail[M any] struct {
	position position
	now      *string // the position, for those who joined or left there; nil if nobody did
	past     map[*Member[M]]*past
}

// A position is where the index is. It changes while others read the index.
type position struct {
	mu sync.Mutex
	at string
}

func (p *position) get() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

func (p *position) set(at string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = at
}

// here returns the position, nil without [Index.Start].
func (t *trail[M]) here() *string {
	if t.past == nil {
		return nil
	}
	if at := t.position.get(); t.now == nil || *t.now != at {
		t.now = &at
	}
	return t.now
}

// A past is where a member was before.
type past struct {
	stays    []Stay
	complete string // where the stays begin to be complete; "" for always
}

// maxPast is how many stays in rooms that a member has left are known, at least: it
// may join and leave as often as it likes.
const maxPast = 32

// joined returns the position of a member that joins.
func (t *trail[M]) joined(m *Member[M], room string) *string {
	at := t.here()
	if at == nil {
		return nil
	}
	if p := t.past[m]; p != nil {
		// Nothing has come since it left: it has been there all the time.
		i := slices.IndexFunc(p.stays, func(s Stay) bool { return s.Room == room && s.To == *at })
		if i >= 0 {
			from := p.stays[i].From
			p.stays = slices.Delete(p.stays, i, i+1)
			return &from
		}
	}
	return at
}

// left notes that a member leaves.
func (t *trail[M]) left(s *seat[M]) {
	at := t.here()
	if at == nil || s.since == nil || *s.since == *at {
		return // nothing came while it was there
	}
	p := t.past[s.member]
	if p == nil {
		p = new(past)
		t.past[s.member] = p
	}
	p.add(Stay{Room: s.room.name, From: *s.since, To: *at})
}

func (p *past) add(s Stay) {
	if len(p.stays) >= 2*maxPast { // in the order in which they ended
		n := len(p.stays) - maxPast
		p.complete = p.stays[n-1].To
		p.stays = slices.Delete(p.stays, 0, n)
	}
	p.stays = append(p.stays, s)
}

// Start has the index note positions, from this one on. Members that are there
// already have none.
func (x *Index[M]) Start(at string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.trail.past = make(map[*Member[M]]*past)
	x.trail.position.set(at)
}

// EachAt is [Index.Each] for what has a position, unless that is "". Calls must be in
// the order of their positions, and must not overlap. f must not wait either.
func (x *Index[M]) EachAt(at string, t Target, f func(M)) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.trail.advance(at)
	x.each(t, func(m *Member[M]) { f(m.value) })
}

// JoinEach puts all members that t selects into the rooms, at once. The position is
// as for [Index.EachAt], and pin as for [Index.Pin].
func (x *Index[M]) JoinEach(at string, t Target, names []string, pin bool) {
	x.change(at, t, func(m *Member[M]) { x.joinLocked(m, names, pin) })
}

// LeaveEach takes all members that t selects out of the rooms, at once. The position
// is as for [Index.EachAt], and pinned as for [Index.Unpin].
func (x *Index[M]) LeaveEach(at string, t Target, names []string, pinned bool) {
	x.change(at, t, func(m *Member[M]) { x.leaveLocked(m, names, pinned) })
}

func (x *Index[M]) change(at string, t Target, f func(*Member[M])) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.trail.advance(at)
	var all []*Member[M]
	x.each(t, func(m *Member[M]) { all = append(all, m) })
	for _, m := range all {
		f(m)
	}
}

func (t *trail[M]) advance(at string) {
	if at != "" && t.past != nil {
		t.position.set(at)
	}
}

// Position returns the position that has been reached, "" without [Index.Start]. It may
// be called by the functions that the index calls.
func (x *Index[M]) Position() string { return x.trail.position.get() }

// A Visit is what is known of the time that a member was there.
type Visit struct {
	Stays    []Stay // but for its own room; those that it has left before come last, in that order
	Complete string // where Stays begin to be complete; "" for always
	Left     string // the position of leaving
}

// AddAgain is [Index.Add] for a member with stays that another one had.
func (x *Index[M]) AddAgain(m *Member[M], value M, id string, v Visit, ready func() bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.add(m, value, id, ready) {
		return
	}
	for i := range v.Stays {
		s := &v.Stays[i]
		if s.To != "" {
			continue
		}
		x.joinLocked(m, []string{s.Room}, s.Pinned)
		if r := x.rooms[s.Room]; r != nil && m.seat(r) != nil { // unless it is its own room
			m.seat(r).since = &s.From
		}
	}
	i := slices.IndexFunc(v.Stays, func(s Stay) bool { return s.To != "" })
	if i >= 0 {
		x.trail.past[m] = &past{slices.Clone(v.Stays[i:]), v.Complete}
	} else if v.Complete != "" {
		x.trail.past[m] = &past{complete: v.Complete}
	}
}

// RemoveVisit is [Index.Remove] for an index with positions, and returns what the
// member's visit was. It is the zero Visit if it was not a member.
func (x *Index[M]) RemoveVisit(m *Member[M]) (v Visit) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ids[m.id] != m {
		return v
	}
	v.Left = x.Position()
	for _, s := range m.seats {
		v.Stays = append(v.Stays, Stay{Room: s.room.name, From: *s.since, Pinned: s.pinned})
	}
	if p := x.trail.past[m]; p != nil {
		v.Stays, v.Complete = append(v.Stays, p.stays...), p.complete
	}
	x.remove(m)
	return v
}
