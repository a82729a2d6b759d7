// Package rooms keeps track of who is in which room.
package rooms

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// An Index holds the members of one namespace and the members of its rooms. Joining
// and leaving cost the same in rooms of any size. A long operation is done in pieces,
// and other goroutines use the index between two pieces: see [piece]. An Index is safe
// for concurrent use.
//
// M is the type of the values of members. In package core it is *Socket, a type that
// this package cannot import.
type Index[M any] struct {
	mu      sync.RWMutex
	ids     map[string]*Member[M]
	rooms   map[string]*room[M]
	members []*Member[M]
	pending [listeners]pendingEvents
	limits  limits
	tracker positionTracker[M]

	// The running collections. The list is changed with mu held for reading and
	// collecting held. It is read with mu held for writing.
	collecting  sync.Mutex
	collections []*collection[M]
}

// A Member is embedded in a value that joins rooms. Its fields belong to the index. It
// is added to one index, once.
type Member[M any] struct {
	value       M
	id          string
	pos         int // in Index.members; -1 while it is being removed, when it cannot join any more
	memberships []*membership[M]
	byRoom      map[*room[M]]*membership[M] // the same memberships, beyond manyRooms of them
}

// manyRooms is the number of rooms beyond which a member finds its memberships by a
// map.
const manyRooms = 8

type room[M any] struct {
	name        string
	memberships []*membership[M]
}

// A membership is one member in one room. It is in the list of both.
type membership[M any] struct {
	room        *room[M]
	member      *Member[M]
	roomIndex   int         // in room.memberships
	memberIndex int         // in member.memberships
	pinned      atomic.Bool // set with the index's mu held
	since       *string     // the position of joining; see positionTracker
}

// NewIndex returns an empty index.
func NewIndex[M any]() *Index[M] {
	return &Index[M]{
		ids:    make(map[string]*Member[M]),
		rooms:  make(map[string]*room[M]),
		limits: limits{fewNames, fewMembers},
	}
}

// Add makes m a member, with a value and an id of its own, if ready returns true.
// Before ready has returned, no call finds the member. ready must not call the index.
func (x *Index[M]) Add(m *Member[M], value M, id string, ready func() bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.addLocked(m, value, id, ready)
}

// addLocked is Add with mu held. It reports whether m is a member now.
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

// isMemberLocked reports whether m is a member that may join rooms.
func (x *Index[M]) isMemberLocked(m *Member[M]) bool { return x.ids[m.id] == m && m.pos >= 0 }

// removeLocked takes a member out of its rooms and of the index. It calls f for each
// membership before it removes it. It returns the stays that had ended before.
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

// Join puts m into the rooms. It does nothing if m is not a member. If there are many
// rooms, other calls may find m in some of them before it is in all.
func (x *Index[M]) Join(m *Member[M], names ...string) { x.join(m, names, false) }

// Pin is Join with pinned memberships: only Unpin takes m out of such a room, not
// Leave.
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

// joinRoomLocked puts m into a room. It returns the membership if it is new.
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
		if pin {
			s.pinned.Store(true)
		}
		return nil
	}
	s := m.addMembership(r)
	s.pinned.Store(pin)
	x.noteJoinedLocked(r.name, m.id, len(r.memberships) == 1 && x.ids[name] == nil)
	return s
}

// Leave takes m out of the rooms, except out of those where it is pinned.
func (x *Index[M]) Leave(m *Member[M], names ...string) { x.leaveRooms(m, names, false) }

// Unpin takes m out of the rooms, pinned or not.
func (x *Index[M]) Unpin(m *Member[M], names ...string) { x.leaveRooms(m, names, true) }

func (x *Index[M]) leaveRooms(m *Member[M], names []string, pinned bool) {
	p := lockPiece(&x.mu)
	defer p.unlock()
	for _, name := range names {
		p.step()
		if r := x.rooms[name]; r != nil {
			if s := m.membership(r); s != nil && (pinned || !s.pinned.Load()) {
				x.tracker.left(s)
				x.leaveRoomLocked(s)
			}
		}
	}
}

// Rooms returns the names of m's rooms, its id first, without those where it is pinned.
// It returns nil if m is not a member.
func (x *Index[M]) Rooms(m *Member[M]) []string {
	memberships, ok := x.membershipsOf(m)
	if !ok {
		return nil
	}
	return appendNames(append(make([]string, 0, 1+len(memberships)), m.id), memberships, false)
}

// Pinned returns the names of the rooms where m is pinned.
func (x *Index[M]) Pinned(m *Member[M]) []string {
	memberships, _ := x.membershipsOf(m)
	return appendNames(nil, memberships, true)
}

// appendNames appends the names of the rooms where a member is pinned, or not pinned.
func appendNames[M any](names []string, memberships []*membership[M], pinned bool) []string {
	for _, s := range memberships { // the room of a membership and the name of a room never change
		if s.pinned.Load() == pinned {
			names = append(names, s.room.name)
		}
	}
	return names
}

func (x *Index[M]) membershipsOf(m *Member[M]) (memberships []*membership[M], ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(m.memberships), x.ids[m.id] == m
}

// Member returns the value of the member with that id.
func (x *Index[M]) Member(id string) (value M, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	m, ok := x.ids[id]
	if ok {
		value = m.value
	}
	return value, ok
}

// EachRoom calls f for every room that has members. The rooms of ids are left out.
// Rooms that are created or deleted meanwhile may be missing. f must neither block nor
// call the index.
func (x *Index[M]) EachRoom(f func(name string)) {
	p := lockPiece(x.mu.RLocker())
	defer p.unlock()
	for name := range x.rooms { // the map may change between two pieces
		f(name)
		p.step()
	}
}

// Sizes returns the number of members, and of rooms that have some. The rooms of ids are
// left out.
func (x *Index[M]) Sizes() (members, rooms int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.members), len(x.rooms)
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

// leaveRoomLocked removes a membership. In each list, the last one moves into the gap.
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
