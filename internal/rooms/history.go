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
type positionTracker[M any] struct {
	position position
	shared   *string // the position, for those who joined or left there; nil if nobody did
	past     map[*Member[M]]*pastStays
	change   *change[M] // that is under way; nil if there is none
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
func (t *positionTracker[M]) current() *string {
	if t.past == nil {
		return nil
	}
	if at := t.position.get(); t.shared == nil || *t.shared != at {
		t.shared = &at
	}
	return t.shared
}

// A past is where a member was before.
type pastStays struct {
	stays    []Stay
	complete string // where the stays begin to be complete; "" for always
}

// maxPast is how many stays in rooms that a member has left are known, at least: it
// may join and leave as often as it likes.
const maxPastStays = 32

// joined returns the position of a member that joins.
func (t *positionTracker[M]) joined(m *Member[M], room string) *string {
	at := t.current()
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
func (t *positionTracker[M]) left(s *membership[M]) {
	at := t.current()
	if at == nil || s.since == nil || *s.since == *at {
		return // nothing came while it was there
	}
	p := t.past[s.member]
	if p == nil {
		p = new(pastStays)
		t.past[s.member] = p
	}
	p.add(Stay{Room: s.room.name, From: *s.since, To: *at})
}

func (p *pastStays) add(s Stay) {
	p.trim()
	p.stays = append(p.stays, s)
}

// trim forgets the oldest stays if they are too many.
func (p *pastStays) trim() {
	if len(p.stays) >= 2*maxPastStays { // in the order in which they ended
		n := len(p.stays) - maxPastStays
		p.complete = p.stays[n-1].To
		p.stays = slices.Delete(p.stays, 0, n)
	}
}

// Start has the index note positions, from this one on. Members that are there
// already have none.
func (x *Index[M]) TrackPositions(at string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tracker.past = make(map[*Member[M]]*pastStays)
	x.tracker.position.set(at)
}

// EachAt is [Index.Each] for what has a position, unless that is "". Calls of EachAt,
// ChangeEach, JoinEach, LeaveEach and PassEmpty with a position must be in the order
// of these, and must not overlap. Who joins a room after the position is noted as one
// who came later, and who leaves it as one who was there.
func (x *Index[M]) EachAt(at string, t Target, f func(M)) {
	x.each(at, t, func(m *Member[M]) { f(m.value) })
}

// PassEmpty gets to a position if there are no members. It reports whether that is so.
func (x *Index[M]) PassEmpty(at string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.members) > 0 {
		return false
	}
	x.tracker.advance(at)
	return true
}

// A change is something that is done to members, one after the other.
type change[M any] struct {
	before string                  // the position before it
	known  bool                    // all is complete
	todo   map[*Member[M]]struct{} // to whom it has yet to be done
}

// ChangeEach calls f, which may use the index, for all members that t selects. The
// position is as for [Index.EachAt]. A member that leaves the index before f has
// returned for it leaves at the position before this one: see [Visit].
func (x *Index[M]) ChangeEach(at string, t Target, f func(M)) {
	x.changeEach(at, t, func(m *Member[M]) { f(m.value) })
}

// JoinEach puts all members that t selects into the rooms. The position is as for
// [Index.ChangeEach], and pin as for [Index.Pin].
func (x *Index[M]) JoinEach(at string, t Target, names []string, pin bool) {
	x.changeEach(at, t, func(m *Member[M]) { x.join(m, names, pin) })
}

// LeaveEach takes all members that t selects out of the rooms. The position is as for
// [Index.ChangeEach], and pinned as for [Index.Unpin].
func (x *Index[M]) LeaveEach(at string, t Target, names []string, pinned bool) {
	x.changeEach(at, t, func(m *Member[M]) { x.leaveRooms(m, names, pinned) })
}

func (x *Index[M]) changeEach(at string, t Target, f func(*Member[M])) {
	var members []*Member[M]
	add := func(m *Member[M]) { members = append(members, m) }
	if at == "" || !x.beginChange(at) { // nobody will ask who left when
		x.each(at, t, add)
		for _, m := range members {
			f(m)
		}
		return
	}
	defer x.endChange()
	x.each(at, t, add)
	todo := make(map[*Member[M]]struct{}, len(members))
	for _, m := range members {
		todo[m] = struct{}{}
	}
	x.setTodo(todo)
	for _, m := range members {
		f(m)
		x.changed(m)
	}
}

// beginChange gets to a position. It does nothing, and returns false, without
// [Index.Start].
func (x *Index[M]) beginChange(at string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tracker.past == nil {
		return false
	}
	x.tracker.change = &change[M]{before: x.tracker.position.get()}
	x.tracker.advance(at)
	return true
}

func (x *Index[M]) setTodo(todo map[*Member[M]]struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tracker.change.known, x.tracker.change.todo = true, todo
}

func (x *Index[M]) changed(m *Member[M]) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.tracker.change.todo, m)
}

func (x *Index[M]) endChange() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tracker.change = nil
}

// leaves returns the position of a member that leaves the index.
func (t *positionTracker[M]) leavePosition(m *Member[M]) string {
	if c := t.change; c != nil {
		if _, todo := c.todo[m]; todo || !c.known {
			return c.before
		}
	}
	return t.position.get()
}

func (t *positionTracker[M]) advance(at string) {
	if at != "" && t.past != nil {
		t.position.set(at)
	}
}

// Position returns the position that has been reached, "" without [Index.Start]. It may
// be called by the functions that the index calls.
func (x *Index[M]) Position() string { return x.tracker.position.get() }

// A Visit is what is known of the time that a member was there.
type History struct {
	Stays    []Stay // but for its own room; those that it has left before come last, in that order
	Complete string // where Stays begin to be complete; "" for always
	Left     string // the position of leaving; what was done later may have been done to it, or not
}

// AddAgain is [Index.Add] for a member with stays that another one had.
func (x *Index[M]) Restore(m *Member[M], value M, id string, v History, ready func() bool) {
	p := lockPiece(&x.mu)
	defer p.unlock()
	if !x.addLocked(m, value, id, ready) {
		return
	}
	i := slices.IndexFunc(v.Stays, func(s Stay) bool { return s.To != "" })
	if i < 0 {
		i = len(v.Stays)
	}
	if i < len(v.Stays) || v.Complete != "" {
		was := &pastStays{slices.Clone(v.Stays[i:]), v.Complete}
		was.trim()
		x.tracker.past[m] = was
	}
	for _, stay := range v.Stays {
		if stay.To != "" {
			continue
		}
		if s := x.joinRoomLocked(m, stay.Room, stay.Pinned); s != nil {
			from := stay.From
			s.since = &from
		}
		p.step()
	}
}

// RemoveVisit is [Index.Remove] for an index with positions, and returns what the
// member's visit was. It is the zero Visit if it was not a member.
func (x *Index[M]) RemoveWithHistory(m *Member[M]) (v History) {
	p := lockPiece(&x.mu)
	defer p.unlock()
	if !x.isMemberLocked(m) {
		return v
	}
	v.Left = x.tracker.leavePosition(m)
	was := x.removeLocked(m, &p, func(s *membership[M]) {
		v.Stays = append(v.Stays, Stay{Room: s.room.name, From: *s.since, Pinned: s.pinned})
	})
	slices.Reverse(v.Stays) // in the order in which it has joined
	if was != nil {
		v.Stays, v.Complete = append(v.Stays, was.stays...), was.complete
	}
	return v
}
