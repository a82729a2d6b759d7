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
	mu    sync.RWMutex
	ids   map[string]*Member[M]
	rooms map[string]*room[M]
	all   []*Member[M]
	news  [audiences]news
	few   limits
	trail trail[M]

	// The collections that are under way. It is changed with mu held for reading
	// and collecting held, and read with mu held for writing.
	collecting  sync.Mutex
	collections []*collection[M]
}

// A Member is embedded in what joins rooms. Its fields belong to the index. It is
// added to one index, once.
type Member[M any] struct {
	value M
	id    string
	pos   int // in Index.all; -1 when it is leaving, and cannot join any more
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

// NewIndex returns an empty index.
func NewIndex[M any]() *Index[M] {
	return &Index[M]{
		ids:   make(map[string]*Member[M]),
		rooms: make(map[string]*room[M]),
		few:   limits{fewNames, fewMembers},
	}
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
	x.joined(id, id, x.rooms[id] == nil)
	return true
}

// Remove takes m out of all rooms and of the index.
func (x *Index[M]) Remove(m *Member[M]) {
	p := begin(&x.mu)
	defer p.end()
	if x.here(m) {
		x.remove(m, &p, func(*seat[M]) {})
	}
}

// here reports whether m is a member that may join rooms.
func (x *Index[M]) here(m *Member[M]) bool { return x.ids[m.id] == m && m.pos >= 0 }

// remove takes a member out of its rooms and of the index. It calls f for each of its
// seats before that is given up, and returns which rooms it was in before.
func (x *Index[M]) remove(m *Member[M], p *piece, f func(*seat[M])) *past {
	last := x.all[len(x.all)-1]
	x.all[m.pos], last.pos = last, m.pos
	x.all[len(x.all)-1] = nil
	x.all = x.all[:len(x.all)-1]
	m.pos = -1
	for ; len(m.seats) > 0; p.step() {
		s := m.seats[len(m.seats)-1]
		f(s)
		x.leave(s)
	}
	m.seats, m.byKey = nil, nil
	delete(x.ids, m.id)
	x.left(m.id, m.id, x.rooms[m.id] == nil)
	was := x.trail.past[m]
	delete(x.trail.past, m)
	return was
}

// Join puts m into the rooms; it does nothing if m is not a member. Others may see
// it in some of many rooms before it is in all.
func (x *Index[M]) Join(m *Member[M], names ...string) { x.join(m, names, false) }

// Pin is Join for rooms that Leave does not take m out of, only Unpin.
func (x *Index[M]) Pin(m *Member[M], names ...string) { x.join(m, names, true) }

func (x *Index[M]) join(m *Member[M], names []string, pin bool) {
	p := begin(&x.mu)
	defer p.end()
	for _, name := range names {
		p.step()
		if !x.here(m) {
			return
		}
		if s := x.take(m, name, pin); s != nil {
			s.since = x.trail.joined(m, s.room.name)
		}
	}
}

// take gives m a seat in a room, and returns it if it is new.
func (x *Index[M]) take(m *Member[M], name string, pin bool) *seat[M] {
	if name == m.id {
		return nil
	}
	r := x.rooms[name]
	if r == nil {
		r = &room[M]{name: strings.Clone(name)} // a framework may use its memory again
		x.rooms[r.name] = r
	}
	if s := m.seat(r); s != nil {
		s.pinned = s.pinned || pin
		return nil
	}
	s := m.sit(r)
	s.pinned = pin
	x.joined(r.name, m.id, len(r.seats) == 1 && x.ids[name] == nil)
	return s
}

// Leave takes m out of the rooms it is in, except where it is pinned.
func (x *Index[M]) Leave(m *Member[M], names ...string) { x.leaveRooms(m, names, false) }

// Unpin takes m out of the rooms it is in.
func (x *Index[M]) Unpin(m *Member[M], names ...string) { x.leaveRooms(m, names, true) }

func (x *Index[M]) leaveRooms(m *Member[M], names []string, pinned bool) {
	p := begin(&x.mu)
	defer p.end()
	for _, name := range names {
		p.step()
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
	seats, ok := x.seatsOf(m)
	if !ok {
		return nil
	}
	names := append(make([]string, 0, 1+len(seats)), m.id)
	for _, s := range seats { // a seat's room and that room's name never change
		names = append(names, s.room.name)
	}
	return names
}

func (x *Index[M]) seatsOf(m *Member[M]) (seats []*seat[M], ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Clone(m.seats), x.ids[m.id] == m
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
	p := begin(x.mu.RLocker())
	defer p.end()
	for name := range x.rooms { // which may change between two pieces
		f(name)
		p.step()
	}
}

// Len returns the number of members.
func (x *Index[M]) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.all)
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
	for _, c := range x.collections {
		c.left(r, m)
	}
	last := r.seats[len(r.seats)-1]
	r.seats[s.inRoom], last.inRoom = last, s.inRoom
	r.seats[len(r.seats)-1] = nil
	r.seats = r.seats[:len(r.seats)-1]
	if len(r.seats) == 0 {
		delete(x.rooms, r.name)
	}
	x.left(r.name, m.id, len(r.seats) == 0 && x.ids[r.name] == nil)
	last = m.seats[len(m.seats)-1]
	m.seats[s.inOwner], last.inOwner = last, s.inOwner
	m.seats[len(m.seats)-1] = nil
	m.seats = m.seats[:len(m.seats)-1]
	delete(m.byKey, r)
}
