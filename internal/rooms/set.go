package rooms

import "slices"

// A Target selects members: those in any of Rooms (all if there are none)
// that are in none of Except. A member's id counts as a room that it is alone
// in.
type Target struct {
	Rooms  []string
	Except []string
}

// limits say what few is: what is done while the index is held, without memory.
type limits struct {
	// names is the number of rooms up to which each member is looked up in all of
	// them. Beyond it a set of members is made.
	names int
	// members is the number of members up to which they are visited while the index
	// is held. Beyond it they are copied before.
	members int
}

const (
	fewNames   = 8
	fewMembers = 4096
)

// Each calls f once for every member that t selects. The cost is in proportion
// to the number of names and of members in these rooms, whatever overlaps. If
// both are few, it is decided at one moment who is selected. Otherwise f is called
// for those that are selected from the beginning of Each to its end, and may be
// called for those that are selected for a part of that time.
//
// f must neither block nor call the index.
func (x *Index[M]) Each(t Target, f func(M)) {
	x.each("", t, func(m *Member[M]) { f(m.value) }) // which never changes
}

// each is Each for members. If at is a position, the index gets there at the moment
// when it is decided who is selected, or when that begins.
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

// inRoom returns who is in a room: the seats there, and the member whose id it is.
// No member is both.
func (x *Index[M]) membersOf(at, name string) ([]*membership[M], *Member[M]) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.tracker.advance(at)
	if r := x.rooms[name]; r != nil {
		return slices.Clone(r.memberships), x.ids[name]
	}
	return nil, x.ids[name]
}

// eachOfFew is each for few names. It reports false, and does nothing, if there
// are many members.
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
	// A member in several of the rooms must be visited once: skip it where it
	// is in one that came before.
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

// places are what few room names stand for: rooms, and members by their ids.
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

// seats returns how many seats the rooms have.
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

// A collection is the set of members of many rooms, put together in pieces.
type collection[M any] struct {
	names   map[string]struct{} // of the rooms
	members map[*Member[M]]struct{}
}

// left notes that a member leaves a room. It may have been in one of the
// collection's rooms all the time, but in another one at each moment when the
// collection looks.
func (c *collection[M]) left(r *room[M], m *Member[M]) {
	if _, wanted := c.names[r.name]; wanted {
		c.members[m] = struct{}{}
	}
}

// collect returns the members of any of these rooms. Who leaves one of them after the
// index has got to the position is among them.
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
		// From the last seat to the first: when a seat is given up, the last one
		// takes its place, so nobody who stays is missed.
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
