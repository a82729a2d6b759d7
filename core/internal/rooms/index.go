// Package rooms keeps track of who is in which room.
package rooms

import (
	"slices"
	"strings"
	"sync"
)

// An Index knows the members of one namespace and of its rooms. Joining and
// leaving cost the same in rooms of any size, and members are visited without
// a list being built. It is safe for concurrent use.
type Index[M any] struct {
	mu    sync.RWMutex
	ids   map[string]*Member[M]
	rooms map[string]*room[M]
	all   []*Member[M]
	news  news
	trail trail[M]
}

// A Member is embedded in what joins rooms. Its fields belong to the index.
type Member[M any] struct {
	value M
	id    string
	pos   int // in Index.all
	seats []*seat[M]
	byKey map[*room[M]]*seat[M] // the same as seats, once they are many
}

// manySeats is the number of rooms beyond which a member looks its seats up in
// a map.
const manySeats = 8

type room[M any] struct {
	name  string
	seats []*seat[M]
}

// A seat is the place of one member in one room.
type seat[M any] struct {
	room    *room[M]
	member  *Member[M]
	inRoom  int // index in room.seats
	inOwner int // index in member.seats
	pinned  bool
	since   *string // the position of joining; see trail
}

// A Target selects members: those in any of Rooms (all if there are none)
// that are in none of Except. A member's id counts as a room that it is alone
// in.
type Target struct {
	Rooms  []string
	Except []string
}

// NewIndex returns an empty index.
func NewIndex[M any]() *Index[M] {
	return &Index[M]{ids: make(map[string]*Member[M]), rooms: make(map[string]*room[M])}
}

// Add makes m, with a value and an id of its own, a member, if ready returns
// true. Nobody sees the member before ready has returned; ready must not call
// the index.
func (x *Index[M]) Add(m *Member[M], value M, id string, ready func() bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.add(m, value, id, ready)
}

// add is Add with mu held. It reports whether m is a member now.
func (x *Index[M]) add(m *Member[M], value M, id string, ready func() bool) bool {
	if !ready() {
		return false
	}
	m.value, m.id, m.pos = value, id, len(x.all)
	x.ids[id] = m
	x.all = append(x.all, m)
	x.news.joined(id, id, x.rooms[id] == nil)
	return true
}

// Remove takes m out of all rooms and of the index.
func (x *Index[M]) Remove(m *Member[M]) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(m)
}

// remove is Remove with mu held.
func (x *Index[M]) remove(m *Member[M]) {
	if x.ids[m.id] != m {
		return
	}
	for len(m.seats) > 0 {
		x.leave(m.seats[len(m.seats)-1])
	}
	m.seats, m.byKey = nil, nil
	delete(x.ids, m.id)
	delete(x.trail.past, m)
	x.news.left(m.id, m.id, x.rooms[m.id] == nil)
	last := x.all[len(x.all)-1]
	x.all[m.pos], last.pos = last, m.pos
	x.all[len(x.all)-1] = nil
	x.all = x.all[:len(x.all)-1]
}

// Join puts m into the rooms; it does nothing if m is not a member.
func (x *Index[M]) Join(m *Member[M], names ...string) { x.join(m, names, false) }

// Pin is Join for rooms that Leave does not take m out of, only Unpin.
func (x *Index[M]) Pin(m *Member[M], names ...string) { x.join(m, names, true) }

func (x *Index[M]) join(m *Member[M], names []string, pin bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.joinLocked(m, names, pin)
}

func (x *Index[M]) joinLocked(m *Member[M], names []string, pin bool) {
	if x.ids[m.id] != m {
		return
	}
	for _, name := range names {
		if name == m.id {
			continue
		}
		r := x.rooms[name]
		if r == nil {
			r = &room[M]{name: strings.Clone(name)} // a framework may use its memory again
			x.rooms[r.name] = r
		}
		s := m.seat(r)
		if s == nil {
			s = m.sit(r)
			s.since = x.trail.joined(m, r.name)
			x.news.joined(r.name, m.id, len(r.seats) == 1 && x.ids[name] == nil)
		}
		s.pinned = s.pinned || pin
	}
}

// Leave takes m out of the rooms it is in, except where it is pinned.
func (x *Index[M]) Leave(m *Member[M], names ...string) { x.leaveRooms(m, names, false) }

// Unpin takes m out of the rooms it is in.
func (x *Index[M]) Unpin(m *Member[M], names ...string) { x.leaveRooms(m, names, true) }

func (x *Index[M]) leaveRooms(m *Member[M], names []string, pinned bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.leaveLocked(m, names, pinned)
}

func (x *Index[M]) leaveLocked(m *Member[M], names []string, pinned bool) {
	for _, name := range names {
		if r := x.rooms[name]; r != nil {
			if s := m.seat(r); s != nil && (pinned || !s.pinned) {
				x.trail.left(s)
				x.leave(s)
			}
		}
	}
}

// Rooms returns the names of the rooms that m is in, its id first; nil if it
// is not a member.
func (x *Index[M]) Rooms(m *Member[M]) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.ids[m.id] != m {
		return nil
	}
	names := append(make([]string, 0, 1+len(m.seats)), m.id)
	for _, s := range m.seats {
		names = append(names, s.room.name)
	}
	return names
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
// are. f must neither block nor call the index.
func (x *Index[M]) EachRoom(f func(name string)) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for name := range x.rooms {
		f(name)
	}
}

// Len returns the number of members.
func (x *Index[M]) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.all)
}

// Each calls f once for every member that t selects. f must neither block nor
// call the index.
func (x *Index[M]) Each(t Target, f func(M)) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.each(t, func(m *Member[M]) { f(m.value) })
}

// each is Each with mu held.
func (x *Index[M]) each(t Target, f func(*Member[M])) {
	except := x.resolve(t.Except)
	if len(t.Rooms) == 0 {
		for _, m := range x.all {
			if !except.has(m) {
				f(m)
			}
		}
		return
	}
	// A member in several of the rooms must be visited once: skip it where it
	// is in one that came before.
	var before places[M]
	for _, name := range t.Rooms {
		here := x.resolve([]string{name})
		here.each(func(m *Member[M]) {
			if !before.has(m) && !except.has(m) {
				f(m)
			}
		})
		if len(t.Rooms) > 1 {
			before.rooms = append(before.rooms, here.rooms...)
			before.members = append(before.members, here.members...)
		}
	}
}

// places are what room names stand for: rooms, and members by their ids.
type places[M any] struct {
	rooms   []*room[M]
	members []*Member[M]
}

func (x *Index[M]) resolve(names []string) (p places[M]) {
	for _, name := range names {
		if r := x.rooms[name]; r != nil {
			p.rooms = append(p.rooms, r)
		}
		if m := x.ids[name]; m != nil {
			p.members = append(p.members, m)
		}
	}
	return p
}

func (p places[M]) has(m *Member[M]) bool {
	if slices.Contains(p.members, m) {
		return true
	}
	for _, r := range p.rooms {
		if m.seat(r) != nil {
			return true
		}
	}
	return false
}

// each visits a single resolved name, which no member can be at twice: it does
// not take a seat in the room of its own id.
func (p places[M]) each(f func(*Member[M])) {
	for _, r := range p.rooms {
		for _, s := range r.seats {
			f(s.member)
		}
	}
	for _, m := range p.members {
		f(m)
	}
}

func (m *Member[M]) seat(r *room[M]) *seat[M] {
	if m.byKey != nil {
		return m.byKey[r]
	}
	for _, s := range m.seats {
		if s.room == r {
			return s
		}
	}
	return nil
}

func (m *Member[M]) sit(r *room[M]) *seat[M] {
	s := &seat[M]{room: r, member: m, inRoom: len(r.seats), inOwner: len(m.seats)}
	r.seats = append(r.seats, s)
	m.seats = append(m.seats, s)
	switch {
	case m.byKey != nil:
		m.byKey[r] = s
	case len(m.seats) > manySeats:
		m.byKey = make(map[*room[M]]*seat[M], 2*manySeats)
		for _, s := range m.seats {
			m.byKey[s.room] = s
		}
	}
	return s
}

// leave gives up a seat; the last one in each list moves into the gap.
func (x *Index[M]) leave(s *seat[M]) {
	r, m := s.room, s.member
	last := r.seats[len(r.seats)-1]
	r.seats[s.inRoom], last.inRoom = last, s.inRoom
	r.seats[len(r.seats)-1] = nil
	r.seats = r.seats[:len(r.seats)-1]
	if len(r.seats) == 0 {
		delete(x.rooms, r.name)
	}
	x.news.left(r.name, m.id, len(r.seats) == 0 && x.ids[r.name] == nil)
	last = m.seats[len(m.seats)-1]
	m.seats[s.inOwner], last.inOwner = last, s.inOwner
	m.seats[len(m.seats)-1] = nil
	m.seats = m.seats[:len(m.seats)-1]
	delete(m.byKey, r)
}
