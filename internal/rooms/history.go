package rooms

import (
	"slices"
	"sync"
)

// A Stay is the time that a member spends in a room. It was in the room for the
// messages at positions after From, up to and including To.
type Stay struct {
	Room   string
	From   string
	To     string // "" while it lasts
	Pinned bool
}

// A positionTracker notes the positions at which members join and leave. It does nothing
// before [Index.TrackPositions]. The position of an index is that of the last message
// that was applied to all members. The tracker is guarded by the index's mu.
type positionTracker[M any] struct {
	position position
	shared   *string // the position, shared by all memberships that began there; nil if none did
	past     map[*Member[M]]*pastStays
	change   *change[M] // the running one; nil if there is none
}

// A position has a lock of its own, because it changes while the index is only locked
// for reading.
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

// current returns the position, nil without [Index.TrackPositions].
func (t *positionTracker[M]) current() *string {
	if t.past == nil {
		return nil
	}
	if at := t.position.get(); t.shared == nil || *t.shared != at {
		t.shared = &at
	}
	return t.shared
}

// A pastStays has the stays of a member that have ended.
type pastStays struct {
	stays    []Stay
	complete string // the position from which on the stays are complete; "" if they always were
}

// maxPastStays is the number of ended stays that are kept at least. A member may join
// and leave any number of times, so older ones are forgotten.
const maxPastStays = 32

// joined returns the position at which a member joins a room.
func (t *positionTracker[M]) joined(m *Member[M], room string) *string {
	at := t.current()
	if at == nil {
		return nil
	}
	if p := t.past[m]; p != nil {
		// No message was applied since it left: the stay goes on.
		i := slices.IndexFunc(p.stays, func(s Stay) bool { return s.Room == room && s.To == *at })
		if i >= 0 {
			from := p.stays[i].From
			p.stays = slices.Delete(p.stays, i, i+1)
			return &from
		}
	}
	return at
}

// left notes that a member leaves a room.
func (t *positionTracker[M]) left(s *membership[M]) {
	at := t.current()
	if at == nil || s.since == nil || *s.since == *at {
		return // no message was applied during the stay
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

// trim forgets the oldest stays if there are too many.
func (p *pastStays) trim() {
	if len(p.stays) >= 2*maxPastStays { // they are in the order in which they ended
		n := len(p.stays) - maxPastStays
		p.complete = p.stays[n-1].To
		p.stays = slices.Delete(p.stays, 0, n)
	}
}

// TrackPositions makes the index note positions, from this one on. Stays of members that
// have joined before have no positions.
func (x *Index[M]) TrackPositions(at string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tracker.past = make(map[*Member[M]]*pastStays)
	x.tracker.position.set(at)
}

// EachAt is [Index.Each] for a message at a position; "" means that it has none. Calls
// of EachAt, ChangeEach, JoinEach, LeaveEach and PassEmpty with a position must be in
// the order of the positions, and must not overlap. A member that joins a room after
// the index has reached the position has a stay that begins there. A member that leaves
// then has a stay that includes it.
func (x *Index[M]) EachAt(at string, t Target, f func(M)) {
	x.each(at, t, func(m *Member[M]) { f(m.value) })
}

// PassEmpty moves the index to a position if there are no members. It reports whether
// it did.
func (x *Index[M]) PassEmpty(at string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.members) > 0 {
		return false
	}
	x.tracker.advance(at)
	return true
}

// A change is a call of ChangeEach, JoinEach or LeaveEach: it is applied to one member
// after the other.
type change[M any] struct {
	before string                  // the position before the change
	known  bool                    // todo is complete
	todo   map[*Member[M]]struct{} // the members to which it has yet to be applied
}

// ChangeEach calls f for all members that t selects. f may use the index. The position
// is as for [Index.EachAt]. A member that is removed from the index before f has
// returned for it leaves at the position before this one: see [History].
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
	if at == "" || !x.beginChange(at) { // positions are not tracked
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

// beginChange moves the index to a position. Without [Index.TrackPositions] it does
// nothing and returns false.
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

// leavePosition returns the position at which a member leaves the index.
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

// Position returns the position that the index has reached, "" without
// [Index.TrackPositions]. The functions that the index calls may call it.
func (x *Index[M]) Position() string { return x.tracker.position.get() }

// A History has the stays of a member that was removed from the index.
type History struct {
	Stays    []Stay // without the room of its id; the stays that had ended come last, in the order in which they ended
	Complete string // the position from which on Stays are complete; "" if they always were
	Left     string // the position of leaving; a later change may have been applied to the member, or not
}

// Restore is [Index.Add] for a member that continues the stays of an earlier one.
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

// RemoveWithHistory is [Index.Remove] for an index that tracks positions. It returns the
// history of the member, or the zero History if m is not a member.
func (x *Index[M]) RemoveWithHistory(m *Member[M]) (v History) {
	p := lockPiece(&x.mu)
	defer p.unlock()
	if !x.isMemberLocked(m) {
		return v
	}
	v.Left = x.tracker.leavePosition(m)
	was := x.removeLocked(m, &p, func(s *membership[M]) {
		v.Stays = append(v.Stays, Stay{Room: s.room.name, From: *s.since, Pinned: s.pinned.Load()})
	})
	slices.Reverse(v.Stays) // into the order of joining
	if was != nil {
		v.Stays, v.Complete = append(v.Stays, was.stays...), was.complete
	}
	return v
}
