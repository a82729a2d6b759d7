package rooms_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"github.com/sioplug/sioplug/core/internal/rooms"
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
	x.Start("0")
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
	v := x.RemoveVisit(m)
	wantStays(t, v.Stays, stay{"blue", "0", "2", false}, stay{"blue", "3", "", false}, stay{"green", "1", "", true})
	if v.Left != "3" || v.Complete != "" || x.Position() != "3" {
		t.Errorf("left at %q, complete since %q, position %q", v.Left, v.Complete, x.Position())
	}
	if again := x.RemoveVisit(m); again.Left != "" {
		t.Errorf("removed twice: %v", again)
	}

	pass(x, "4") // while it is away
	slices.SortFunc(v.Stays, func(a, b stay) int { return cmp.Compare(a.To, b.To) })
	n := new(member)
	x.AddAgain(n, "m", "m", v, func() bool { return true })
	x.Leave(n, "green", "blue")
	v = x.RemoveVisit(n)
	wantStays(t, v.Stays, stay{"blue", "0", "2", false}, stay{"blue", "3", "4", false}, stay{"green", "1", "", true})
	x.AddAgain(n, "m", "m", v, func() bool { return false })
	if x.Len() != 0 {
		t.Error("added although it was not ready")
	}
}

// However often a member leaves, what is known of that is bounded, and it is said since
// when all is known.
func TestVisitOfARestlessMember(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	x.Start("0")
	m := add(x, "m")
	const n = 1000
	for i := range n {
		name := fmt.Sprint(i)
		x.Join(m, name)
		pass(x, fmt.Sprint(i+1))
		x.Leave(m, name)
	}
	v := x.RemoveVisit(m)
	if len(v.Stays) < 32 || len(v.Stays) > 100 || v.Complete != fmt.Sprint(n-len(v.Stays)) {
		t.Errorf("%d stays are known, complete since %s", len(v.Stays), v.Complete)
	}
	again := new(member)
	x.AddAgain(again, "m", "m", rooms.Visit{Complete: v.Complete}, func() bool { return true })
	if got := x.RemoveVisit(again).Complete; got != v.Complete {
		t.Errorf("complete since %q, want %q", got, v.Complete)
	}
}

func TestJoinAndLeaveOfMany(t *testing.T) {
	t.Parallel()
	for _, start := range []bool{false, true} {
		x := rooms.NewIndex[string]()
		if start {
			x.Start("0")
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
