package rooms_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/sioplug/sioplug/internal/rooms"
)

type stay = rooms.Stay

// pass has everybody be told something at a position.
func pass(x *rooms.Index[string], at string) { x.EachAt(at, rooms.Target{}, func(string) {}) }

func wantStays(t *testing.T, got []stay, want ...stay) {
	t.Helper()
	byRoom := func(a, b stay) int { return cmp.Or(cmp.Compare(a.Room, b.Room), cmp.Compare(a.From, b.From)) }
	if slices.SortFunc(got, byRoom); !slices.Equal(got, want) {
		t.Errorf("stays %v, want %v", got, want)
	}
}

func TestVisit(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	x.TrackPositions("0")
	m := add(x, "m", "red")
	x.Leave(m, "red") // nothing has come
	x.Join(m, "blue", "m")
	pass(x, "1")
	x.Pin(m, "green")
	x.Leave(m, "blue")
	x.Join(m, "blue") // likewise: it was there all the time
	pass(x, "2")
	x.Leave(m, "blue", "green")
	pass(x, "3")
	x.Join(m, "blue")
	v := x.RemoveWithHistory(m)
	wantStays(t, v.Stays, stay{"blue", "0", "2", false}, stay{"blue", "3", "", false}, stay{"green", "1", "", true})
	if v.Left != "3" || v.Complete != "" || x.Position() != "3" {
		t.Errorf("left at %q, complete since %q, position %q", v.Left, v.Complete, x.Position())
	}
	if again := x.RemoveWithHistory(m); again.Left != "" {
		t.Errorf("removed twice: %v", again)
	}

	pass(x, "4") // while it is away
	slices.SortFunc(v.Stays, func(a, b stay) int { return cmp.Compare(a.To, b.To) })
	n := new(member)
	x.Restore(n, "m", "m", v, func() bool { return true })
	x.Leave(n, "green", "blue")
	v = x.RemoveWithHistory(n)
	wantStays(t, v.Stays, stay{"blue", "0", "2", false}, stay{"blue", "3", "4", false}, stay{"green", "1", "", true})
	x.Restore(n, "m", "m", v, func() bool { return false })
	if x.Len() != 0 {
		t.Error("added although it was not ready")
	}
}

// However often a member leaves, what is known of that is bounded, and it is said since
// when all is known.
func TestVisitOfARestlessMember(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	x.TrackPositions("0")
	m := add(x, "m")
	const n = 1000
	for i := range n {
		name := fmt.Sprint(i)
		x.Join(m, name)
		pass(x, fmt.Sprint(i+1))
		x.Leave(m, name)
	}
	v := x.RemoveWithHistory(m)
	if len(v.Stays) < 32 || len(v.Stays) > 100 || v.Complete != fmt.Sprint(n-len(v.Stays)) {
		t.Errorf("%d stays are known, complete since %s", len(v.Stays), v.Complete)
	}
	again := new(member)
	x.Restore(again, "m", "m", rooms.History{Complete: v.Complete}, func() bool { return true })
	if got := x.RemoveWithHistory(again).Complete; got != v.Complete {
		t.Errorf("complete since %q, want %q", got, v.Complete)
	}
	var long rooms.History // as it may be of one that was taken out of many while it was away
	for i := range n {
		long.Stays = append(long.Stays, stay{fmt.Sprint(i), "0", fmt.Sprint(i + 1), false})
	}
	x.Restore(again, "m", "m", long, func() bool { return true })
	if v := x.RemoveWithHistory(again); len(v.Stays) < 32 || len(v.Stays) > 100 || v.Complete != fmt.Sprint(n-len(v.Stays)) {
		t.Errorf("%d stays are known, complete since %s", len(v.Stays), v.Complete)
	}
}

func TestJoinAndLeaveOfMany(t *testing.T) {
	t.Parallel()
	for _, start := range []bool{false, true} {
		x := rooms.NewIndex[string]()
		if start {
			x.TrackPositions("0")
		}
		add(x, "a", "red")
		add(x, "b", "red", "blue")
		pinned := add(x, "c")
		want := func(room string, ids ...string) {
			t.Helper()
			if got := selected(x, rooms.Target{Rooms: []string{room}}); !slices.Equal(got, ids) {
				t.Errorf("in %s: %q, want %q", room, got, ids)
			}
		}
		red := rooms.Target{Rooms: []string{"red"}}
		x.JoinEach("1", red, []string{"green", "red"}, false)
		want("green", "a", "b")
		x.JoinEach("2", rooms.Target{Rooms: []string{"c"}}, []string{"green"}, true)
		x.LeaveEach("3", rooms.Target{Except: []string{"blue"}}, []string{"green", "red"}, false)
		want("green", "b", "c")
		want("red", "b")
		x.LeaveEach("4", rooms.Target{}, []string{"green"}, true)
		want("green")
		if got := x.Position(); start && got != "4" || !start && got != "" {
			t.Errorf("position %q", got)
		}
		x.Remove(pinned)
	}
}

// A change is done to one member after the other. One that leaves the index before it
// was its turn says that it left before the change, so that it is done to it later. So
// nobody escapes by leaving.
func TestWhoLeavesDuringAChangeLeavesBeforeIt(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	x.TrackPositions("0")
	members, left := map[string]*member{}, map[string]string{}
	for _, id := range []string{"a", "b", "c"} {
		members[id] = add(x, id, "red")
	}
	pass(x, "1")
	leave := func(id string) { left[id] = x.RemoveWithHistory(members[id]).Left }
	var seen []string
	x.ChangeEach("2", rooms.Target{Rooms: []string{"red"}}, func(id string) {
		if seen = append(seen, id); len(seen) == 1 {
			late := add(x, "late", "red")
			left["late"] = x.RemoveWithHistory(late).Left
			return
		}
		for _, other := range []string{"a", "b", "c"} { // one is done, one is not, and one is in between
			if _, gone := left[other]; !gone {
				leave(other)
			}
		}
	})
	want := map[string]string{"late": "2", seen[0]: "2", seen[1]: "1", seen[2]: "1"}
	if len(seen) != 3 || !maps.Equal(left, want) {
		t.Errorf("told %q, left at %v, want %v", seen, left, want)
	}
	last := add(x, "last")
	if at := x.RemoveWithHistory(last).Left; at != "2" {
		t.Errorf("left at %s afterwards", at)
	}
}

// Events are not changes: who leaves after the position was reached has left there.
func TestPassEmpty(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	x.TrackPositions("0")
	if !x.PassEmpty("1") || x.Position() != "1" {
		t.Errorf("an empty index is at %s", x.Position())
	}
	add(x, "m")
	if x.PassEmpty("2") || x.Position() != "1" {
		t.Errorf("an index that is not empty is at %s", x.Position())
	}
}
