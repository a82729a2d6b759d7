package rooms_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sioplug/sioplug/internal/rooms"
)

func names(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = prefix + strconv.Itoa(i)
	}
	return list
}

// None of these ends in reasonable time if its cost is in proportion to a product.
func TestLongListsOfRoomsCostNoMoreThanTheirLength(t *testing.T) {
	t.Parallel()
	const n = 60_000
	x := rooms.NewIndex[string]()
	many, same := names("r", n), slices.Repeat([]string{"r0"}, n)
	a, b := add(x, "a", many[:n/2]...), add(x, "b", many[n/2:]...)
	add(x, "c", "r0")
	ids := make([]string, 0, 2000)
	for i := range 2000 {
		ids = append(ids, fmt.Sprint("m", i))
		add(x, ids[i], "r0")
	}
	for _, c := range []struct {
		name   string
		target rooms.Target
		want   int
	}{
		{"to many rooms", rooms.Target{Rooms: many}, 2003},
		{"to the same room many times", rooms.Target{Rooms: same}, 2002},
		{"except many rooms", rooms.Target{Except: many}, 0},
		{"except the same room many times", rooms.Target{Except: same}, 1},
		{"to many, except many", rooms.Target{Rooms: many, Except: many[1 : n/2+1]}, 2001},
		{"to many ids", rooms.Target{Rooms: slices.Concat(ids, ids)}, 2000},
		{"to one room, except many ids", rooms.Target{Rooms: []string{"r0"}, Except: ids}, 2},
		{"to nobody", rooms.Target{Rooms: names("none", n)}, 0},
	} {
		if got := len(x.List(c.target)); got != c.want {
			t.Errorf("%s: %d members, want %d", c.name, got, c.want)
		}
	}
	if got := len(x.Rooms(a)); got != n/2+1 {
		t.Errorf("in %d rooms", got)
	}
	x.Join(a, same...)
	x.Leave(a, slices.Concat(many, same, many)...)
	x.Remove(b)
	if got := x.Rooms(a); len(got) != 1 {
		t.Errorf("still in %d rooms", len(got))
	}
}

// What is called for members of a large set may use the index, so nobody waits for
// it.
func TestTheIndexIsNotHeldWhileManyAreVisited(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	rooms.SetLimits(x, 1, 1)
	members := map[string]*member{}
	for _, id := range []string{"a", "b", "c"} {
		members[id] = add(x, id, "red", "blue")
	}
	for _, target := range []rooms.Target{
		{},
		{Rooms: []string{"red"}},
		{Rooms: []string{"red", "blue"}},
		{Except: []string{"none", "nobody"}},
	} {
		visited := 0
		x.Each(target, func(id string) {
			visited++
			x.Leave(members[id], "red")
			x.Join(members[id], "red")
		})
		if visited != 3 {
			t.Errorf("%v: %d visits", target, visited)
		}
	}
}

// Some members move from one room of a set to the next all the time. They never
// leave the set, so they are visited each time, and once.
func TestMembersWhoMoveWithinASetAreVisitedOnce(t *testing.T) {
	t.Parallel()
	const movers, crowd = 4, 3000
	x := rooms.NewIndex[string]()
	in, out := names("in", 12), names("out", 12)
	for i := range crowd { // to need several pieces
		add(x, fmt.Sprint("m", i), in[i%len(in)])
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	for i := range movers {
		to, except := add(x, fmt.Sprint("in", i, "x"), in[i]), add(x, fmt.Sprint("out", i, "x"), in[0], out[i])
		wg.Go(func() {
			for n := i; !stop.Load(); n++ {
				x.Join(to, in[(n+1)%len(in)])
				x.Leave(to, in[n%len(in)])
				x.Join(except, out[(n+1)%len(out)])
				x.Leave(except, out[n%len(out)])
			}
		})
	}
	for range 200 {
		list := x.List(rooms.Target{Rooms: in, Except: out})
		slices.Sort(list)
		if twice := len(list) - len(slices.Compact(list)); twice > 0 {
			t.Errorf("%d members were visited twice", twice)
		}
		if len(list) != crowd+movers {
			t.Errorf("%d members, want %d", len(list), crowd+movers)
		}
	}
	stop.Store(true)
	wg.Wait()
}
