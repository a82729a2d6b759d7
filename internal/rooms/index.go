// Package rooms keeps track of who is in which room.
package rooms

import (
	"slices"
	"strings"
	"sync"
)

// An Index knows the members of one namespace and of its rooms. Joining and
// leaving cost the same in rooms of any size. Whatever takes many steps is done in
// pieces, between which others use the index: see [piece]. It is safe for
// concurrent use.
type Index[M any] struct {
	mu      sync.RWMutex
	ids     map[string]*Member[M]
	rooms   map[string]*room[M]
	members []*Member[M]
	pending [listeners]pendingEvents
	limits  limits
	tracker positionTracker[M]

	// The collections that are under way. It is changed with mu held for reading
	// and collecting held, and read with mu held for writing.
	collecting  sync.Mutex
	collections []*collection[M]
}

// A Member is embedded in what joins rooms. Its fields belong to the index. It is
// added to one index, once.
type Member[M any] struct {
	value       M
	id          string
	pos         int // in Index.all; -1 when it is leaving, and cannot join any more
	memberships []*membership[M]
	byRoom      map[*room[M]]*membership[M] // the same as seats, once they are many
}

// manySeats is the number of rooms beyond which a member looks its seats up in
// a map.
const manyRooms = 8

type room[M any] struct {
	name        string
	memberships []*membership[M]
}

// A seat is the place of one member in one room.
type membership[M any] struct {
	room        *room[M]
	member      *Member[M]
	roomIndex   int // index in room.seats
	memberIndex int // index in member.seats
	pinned      bool
	since       *string // the position of joining; see trail
}

// NewIndex returns an empty index.
func NewIndex[M any]() *Index[M] {
	return &Index[M]{
		ids:    make(map[string]*Member[M]),
		rooms:  make(map[string]*room[M]),
		limits: limits{fewNames, fewMembers},
	}
}

// Add makes m, with a value and an id of its own, a member, if ready returns
// true. Nobody sees the member before ready has returned; ready must not call
// the index.
func (x *Index[M]) Add(m *Member[M], value M, id string, ready func() bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.addLocked(m, value, id, ready)
}

// add is Add with mu held. It reports whether m is a member now.
func (x *Index[M]) addLocked(m *Member[M], value M, id string, ready func() bool) bool {
	if !ready() {
		return false
	}
	m.value, m.id, m.pos = value, id, len(x.members)
	x.ids[id] = m
	x.members = append(x.members, m)
	x.noteJoinedLocked(id, id, x.rooms[id] == nil)
	return true
}

// Remove takes m out of all rooms and of the index.
func (x *Index[M]) Remove(m *Member[M]) {
	p := lockPiece(&x.mu)
	defer p.unlock()
	if x.isMemberLocked(m) {
		x.removeLocked(m, &p, func(*membership[M]) {})
	}
}

// here reports whether m is a member that may join rooms.
func (x *Index[M]) isMemberLocked(m *Member[M]) bool { return x.ids[m.id] == m && m.pos >= 0 }

// remove takes a member out of its rooms and of the index. It calls f for each of its
// seats before that is given up, and returns which rooms it was in before.
func (x *Index[M]) removeLocked(m *Member[M], p *piece, f func(*membership[M])) *pastStays {
	last := x.members[len(x.members)-1]
	x.members[m.pos], last.pos = last, m.pos
	x.members[len(x.members)-1] = nil
	x.members = x.members[:len(x.members)-1]
	m.pos = -1
	for ; len(m.memberships) > 0; p.step() {
		s := m.memberships[len(m.memberships)-1]
		f(s)
		x.leaveRoomLocked(s)
	}
	m.memberships, m.byRoom = nil, nil
	delete(x.ids, m.id)
	x.noteLeftLocked(m.id, m.id, x.rooms[m.id] == nil)
	was := x.tracker.past[m]
	delete(x.tracker.past, m)
	return was
}

// Join puts m into the rooms; it does nothing if m is not a member. Others may see
// it in some of many rooms before it is in all.
func (x *Index[M]) Join(m *Member[M], names ...string) { x.join(m, names, false) }

// Pin is Join for rooms that Leave does not take m out of, only Unpin.
func (x *Index[M]) Pin(m *Member[M], names ...string) { x.join(m, names, true) }

func (x *Index[M]) join(m *Member[M], names []string, pin bool) {
	p := lockPiece(&x.mu)
	defer p.unlock()
	for _, name := range names {
		p.step()
		if !x.isMemberLocked(m) {
			return
		}
		if s := x.joinRoomLocked(m, name, pin); s != nil {
			s.since = x.tracker.joined(m, s.room.name)
		}
	}
}

// take gives m a seat in a room, and returns it if it is new.
func (x *Index[M]) joinRoomLocked(m *Member[M], name string, pin bool) *membership[M] {
	if name == m.id {
		return nil
	}
	r := x.rooms[name]
	if r == nil {
		r = &room[M]{name: strings.Clone(name)} // a framework may use its memory again
		x.rooms[r.name] = r
	}
	if s := m.membership(r); s != nil {
		s.pinned = s.pinned || pin
		return nil
	}
	s := m.addMembership(r)
	s.pinned = pin
	x.noteJoinedLocked(r.name, m.id, len(r.memberships) == 1 && x.ids[name] == nil)
	return s
}

// Leave takes m out of the rooms it is in, except where it is pinned.
func (x *Index[M]) Leave(m *Member[M], names ...string) { x.leaveRooms(m, names, false) }

// Unpin takes m out of the rooms it is in.
func (x *Index[M]) Unpin(m *Member[M], names ...string) { x.leaveRooms(m, names, true) }

func (x *Index[M]) leaveRooms(m *Member[M], names []string, pinned bool) {
	p := lockPiece(&x.mu)
	defer p.unlock()
	for _, name := range names {
		p.step()
		if r := x.rooms[name]; r != nil {
			if s := m.membership(r); s != nil && (pinned || !s.pinned) {
				x.tracker.left(s)
				x.leaveRoomLocked(s)
			}
		}
	}
}

// Rooms returns the names of the rooms that m is in, its id first; nil if it
// is not a member.
func (x *Index[M]) Rooms(m *Member[M]) []string {
	memberships, ok := x.membershipsOf(m)
	if !ok {
		return nil
	}
	names := append(make([]string, 0, 1+len(memberships)), m.id)
	for _, s := range memberships { // a seat's room and that room's name never change
		names = append(names, s.room.name)
	}
	return names
}

func (x *Index[M]) membershipsOf(m *Member[M]) (memberships []*membership[M], ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(m.memberships), x.ids[m.id] == m
}

// Member returns the member of that id.
func (x *Index[M]) Member(id string) (value M, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	m, ok := x.ids[id]
	if ok {
		value = m.value
	}
	return value, ok
}

// EachRoom calls f for every room that has members, but not for those that ids
// are. Rooms that come or go meanwhile may be missing. f must neither block nor
// call the index.
func (x *Index[M]) EachRoom(f func(name string)) {
	p := lockPiece(x.mu.RLocker())
	defer p.unlock()
	for name := range x.rooms { // which may change between two pieces
		f(name)
		p.step()
	}
}

// Len returns the number of members.
func (x *Index[M]) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.members)
}

func (m *Member[M]) membership(r *room[M]) *membership[M] {
	if m.byRoom != nil {
		return m.byRoom[r]
	}
	for _, s := range m.memberships {
		if s.room == r {
			return s
		}
	}
	return nil
}

func (m *Member[M]) addMembership(r *room[M]) *membership[M] {
	s := &membership[M]{room: r, member: m, roomIndex: len(r.memberships), memberIndex: len(m.memberships)}
	r.memberships = append(r.memberships, s)
	m.memberships = append(m.memberships, s)
	switch {
	case m.byRoom != nil:
		m.byRoom[r] = s
	case len(m.memberships) > manyRooms:
		m.byRoom = make(map[*room[M]]*membership[M], 2*manyRooms)
		for _, s := range m.memberships {
			m.byRoom[s.room] = s
		}
	}
	return s
}

// leave gives up a seat; the last one in each list moves into the gap.
func (x *Index[M]) leaveRoomLocked(s *membership[M]) {
	r, m := s.room, s.member
	for _, c := range x.collections {
		c.left(r, m)
	}
	last := r.memberships[len(r.memberships)-1]
	r.memberships[s.roomIndex], last.roomIndex = last, s.roomIndex
	r.memberships[len(r.memberships)-1] = nil
	r.memberships = r.memberships[:len(r.memberships)-1]
	if len(r.memberships) == 0 {
		delete(x.rooms, r.name)
	}
	x.noteLeftLocked(r.name, m.id, len(r.memberships) == 0 && x.ids[r.name] == nil)
	last = m.memberships[len(m.memberships)-1]
	m.memberships[s.memberIndex], last.memberIndex = last, s.memberIndex
	m.memberships[len(m.memberships)-1] = nil
	m.memberships = m.memberships[:len(m.memberships)-1]
	delete(m.byRoom, r)
}
