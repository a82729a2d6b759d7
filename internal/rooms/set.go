package rooms

import "slices"

// A Target selects the members that are in any of Rooms and in none of Except. Without
// Rooms, it selects all members that are in none of Except. A member's id counts as a
// room with that one member.
type Target struct {
	Rooms  []string
	Except []string
}

// limits say which sets are small. A small set is visited while the index is locked,
// without allocating.
type limits struct {
	// names is the largest number of rooms of a small set: each member is looked up
	// in all of them. Beyond it, the members are collected in a map first.
	names int
	// members is the largest number of members of a small set. Beyond it, the list of
	// members is copied first.
	members int
}

const (
	fewNames   = 8
	fewMembers = 4096
)

// Each calls f once for every member that t selects. The cost is in proportion to the
// number of names and of members in these rooms, also if they overlap. A small set is
// selected at one moment. Otherwise, f is called for each member that is selected from
// the beginning of Each to its end. It may be called for a member that is selected for
// a part of that time.
//
// f must neither block nor call the index.
func (x *Index[M]) Each(t Target, f func(M)) {
	x.each("", t, func(m *Member[M]) { f(m.value) }) // which never changes
}

// each is Each for members. If at is not "", the index reaches that position when it
// selects the members: at that moment, or when selecting begins.
func (x *Index[M]) each(at string, t Target, f func(*Member[M])) {
	if max(len(t.Rooms), len(t.Except)) <= x.limits.names && x.eachOfFew(at, t, f) {
		return
	}
	var except map[*Member[M]]struct{}
	if len(t.Except) > 0 {
		except = x.collect(at, t.Except)
	}
	visit := func(m *Member[M]) {
		if _, skip := except[m]; !skip {
			f(m)
		}
	}
	switch len(t.Rooms) {
	case 0:
		for _, m := range x.allMembers(at) {
			visit(m)
		}
	case 1:
		memberships, m := x.membersOf(at, t.Rooms[0])
		for _, s := range memberships {
			visit(s.member) // which never changes
		}
		if m != nil {
			visit(m)
		}
	default:
		for m := range x.collect(at, t.Rooms) {
			visit(m)
		}
	}
}

// List returns the members that t selects, each once: see [Index.Each].
func (x *Index[M]) List(t Target) []M {
	var list []M
	x.Each(t, func(m M) { list = append(list, m) })
	return list
}

func (x *Index[M]) allMembers(at string) []*Member[M] {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.tracker.advance(at)
	return slices.Clone(x.members)
}

// membersOf returns the memberships of a room, and the member whose id is the name. No
// member is in both.
func (x *Index[M]) membersOf(at, name string) ([]*membership[M], *Member[M]) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.tracker.advance(at)
	if r := x.rooms[name]; r != nil {
		return slices.Clone(r.memberships), x.ids[name]
	}
	return nil, x.ids[name]
}

// eachOfFew is each for few names. If there are many members, it does nothing and
// reports false.
func (x *Index[M]) eachOfFew(at string, t Target, f func(*Member[M])) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(t.Rooms) == 0 {
		if len(x.members) > x.limits.members {
			return false
		}
		x.tracker.advance(at)
		except := x.resolveLocked(t.Except)
		for _, m := range x.members {
			if !except.has(m) {
				f(m)
			}
		}
		return true
	}
	in, except := x.resolveLocked(t.Rooms), x.resolveLocked(t.Except)
	if in.size() > x.limits.members {
		return false
	}
	x.tracker.advance(at)
	// A member in several of the rooms is visited in the first one only.
	var before resolved[M]
	for i, r := range in.rooms {
		before.rooms = in.rooms[:i]
		for _, s := range r.memberships {
			if !before.has(s.member) && !except.has(s.member) {
				f(s.member)
			}
		}
	}
	before.rooms = in.rooms
	for i, m := range in.members {
		before.members = in.members[:i]
		if !before.has(m) && !except.has(m) {
			f(m)
		}
	}
	return true
}

// A resolved has the rooms and the members that a few names stand for. A name can be
// that of a room, the id of a member, or both.
type resolved[M any] struct {
	rooms   []*room[M]
	members []*Member[M]
}

func (x *Index[M]) resolveLocked(names []string) (p resolved[M]) {
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

// size returns the number of memberships of the rooms.
func (p resolved[M]) size() int {
	n := 0
	for _, r := range p.rooms {
		n += len(r.memberships)
	}
	return n
}

func (p resolved[M]) has(m *Member[M]) bool {
	if slices.Contains(p.members, m) {
		return true
	}
	for _, r := range p.rooms {
		if m.membership(r) != nil {
			return true
		}
	}
	return false
}

// A collection is the set of members of many rooms. It is collected in pieces.
type collection[M any] struct {
	names   map[string]struct{} // of the rooms
	members map[*Member[M]]struct{}
}

// left adds a member that leaves a room. A member that moves from room to room can be in
// one of the collection's rooms all the time, but never in the room that is visited
// just then.
func (c *collection[M]) left(r *room[M], m *Member[M]) {
	if _, wanted := c.names[r.name]; wanted {
		c.members[m] = struct{}{}
	}
}

// collect returns the members of any of these rooms. The members that leave one of them
// after the index has reached the position are included.
func (x *Index[M]) collect(at string, names []string) map[*Member[M]]struct{} {
	c := &collection[M]{names: make(map[string]struct{}, len(names)), members: make(map[*Member[M]]struct{})}
	for _, name := range names {
		c.names[name] = struct{}{} // each once, however often it is named
	}
	p := lockPiece(x.mu.RLocker())
	defer p.unlock()
	x.tracker.advance(at)
	x.beginCollection(c)
	defer x.endCollection(c)
	for name := range c.names {
		if m := x.ids[name]; m != nil {
			c.members[m] = struct{}{}
		}
		r := x.rooms[name]
		p.step()
		if r == nil {
			continue
		}
		// From the last to the first: when a membership is removed, the last one
		// takes its place. So no member that stays is missed.
		for i := len(r.memberships); i > 0; i = min(i-1, len(r.memberships)) {
			c.members[r.memberships[i-1].member] = struct{}{}
			p.step()
		}
	}
	return c.members
}

func (x *Index[M]) beginCollection(c *collection[M]) {
	x.collecting.Lock()
	defer x.collecting.Unlock()
	x.collections = append(x.collections, c)
}

func (x *Index[M]) endCollection(c *collection[M]) {
	x.collecting.Lock()
	defer x.collecting.Unlock()
	x.collections = slices.DeleteFunc(x.collections, func(o *collection[M]) bool { return o == c })
}
