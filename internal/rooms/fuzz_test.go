package rooms_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/sioplug/sioplug/internal/rooms"
)

// A plain is an index as simple as it can be: who is in which rooms, and whether
// pinned.
type plain map[string]map[string]bool

// selects is what a target means, word by word.
func (p plain) selects(id string, t rooms.Target) bool {
	in := func(name string) bool { _, ok := p[id][name]; return ok || name == id }
	return (len(t.Rooms) == 0 || slices.ContainsFunc(t.Rooms, in)) && !slices.ContainsFunc(t.Except, in)
}

func (p plain) list(t rooms.Target) []string {
	list := []string{}
	for id := range p {
		if p.selects(id, t) {
			list = append(list, id)
		}
	}
	slices.Sort(list)
	return list
}

func (p plain) leave(id string, names []string, pinned bool) {
	for _, name := range names {
		if isPinned, ok := p[id][name]; ok && (pinned || !isPinned) {
			delete(p[id], name)
		}
	}
}

func (p plain) join(id string, names []string, pin bool) {
	for _, name := range names {
		if name != id {
			p[id][name] = p[id][name] || pin
		}
	}
}

// maxTape keeps the fuzzer from making what it has longer and longer.
const maxTape = 1 << 10

// A tape gives the values that the fuzzer chose.
type tape struct{ data []byte }

func (t *tape) next(n int) int {
	if len(t.data) == 0 {
		return 0
	}
	v := int(t.data[0]) % n
	t.data = t.data[1:]
	return v
}

func (t *tape) id() string { return fmt.Sprint("m", t.next(6)) }

// names are some rooms, ids among them, maybe the same ones again and again.
func (t *tape) names() []string {
	list := make([]string, t.next(14))
	for i := range list {
		if v := t.next(20); v < 6 {
			list[i] = fmt.Sprint("m", v)
		} else {
			list[i] = fmt.Sprint("r", v)
		}
	}
	if len(list) > 0 && t.next(8) == 0 {
		list = slices.Repeat(list, 1+t.next(20))
	}
	return list
}

// Whatever is done to sets of rooms, the index agrees with one that is as simple as
// it can be; and what an audience is told agrees with it, too.
func FuzzSets(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 3, 7, 8, 9, 0, 6, 2, 7, 8, 1, 9})
	f.Add([]byte("a client joins two rooms, another one leaves, and all of them are asked who is there"))
	f.Add(slices.Repeat([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, 20))
	f.Fuzz(func(t *testing.T, data []byte) {
		tape := &tape{data[:min(len(data), maxTape)]}
		x := rooms.NewIndex[string]()
		rooms.SetLimits(x, tape.next(10), tape.next(8))
		x.Watch(rooms.Handlers)
		heard := &mirror{t: t, rooms: map[string]map[string]bool{}}
		members, model := map[string]*member{}, plain{}
		for len(tape.data) > 0 {
			id := tape.id()
			m := members[id]
			op := tape.next(8)
			switch {
			case m == nil:
				m = new(member)
				members[id], model[id] = m, map[string]bool{}
				x.Add(m, id, id, func() bool { return true })
			case op == 0:
				x.Remove(m)
				delete(members, id)
				delete(model, id)
			case op < 5:
				list := tape.names()
				x.Join(m, list...)
				model.join(id, list, false)
			case op == 5:
				list := tape.names()
				x.Pin(m, list...)
				model.join(id, list, true)
			case op == 6:
				list := tape.names()
				x.Unpin(m, list...)
				model.leave(id, list, true)
			default:
				list := tape.names()
				x.Leave(m, list...)
				model.leave(id, list, false)
			}
			target := rooms.Target{Rooms: tape.names(), Except: tape.names()}
			if got, want := selected(x, target), model.list(target); !slices.Equal(got, want) {
				t.Fatalf("%+v: %v, want %v", target, got, want)
			}
			if tape.next(4) == 0 {
				x.Deliver(rooms.Handlers, heard.hear)
				compare(t, x, members, model, heard)
			}
		}
	})
}

// compare compares what can be asked of the index besides sets.
func compare(t *testing.T, x *rooms.Index[string], members map[string]*member, model plain, heard *mirror) {
	t.Helper()
	all := map[string]map[string]bool{} // what there is, ids included
	add := func(room, id string) {
		if all[room] == nil {
			all[room] = map[string]bool{}
		}
		all[room][id] = true
	}
	for id, in := range model {
		add(id, id)
		for room := range in {
			add(room, id)
		}
		want := append(slices.Collect(maps.Keys(in)), id)
		slices.Sort(want)
		if got := slices.Sorted(slices.Values(append(x.Rooms(members[id]), x.Pinned(members[id])...))); !slices.Equal(got, want) {
			t.Fatalf("%s is in %v, want %v", id, got, want)
		}
	}
	if got, want := fmt.Sprint(heard.rooms), fmt.Sprint(all); got != want {
		t.Fatalf("the audience knows %s, want %s", got, want)
	}
	if x.Len() != len(model) {
		t.Fatalf("%d members, want %d", x.Len(), len(model))
	}
}
