package rooms_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/internal/rooms"
)

type member = rooms.Member[string]

func add(x *rooms.Index[string], id string, names ...string) *member {
	m := new(member)
	x.Add(m, id, id, func() bool { return true })
	x.Join(m, names...)
	return m
}

func selected(x *rooms.Index[string], t rooms.Target) []string {
	got := []string{}
	x.Each(t, func(id string) { got = append(got, id) })
	slices.Sort(got)
	return got
}

func TestEach(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	add(x, "a", "red")
	add(x, "b", "red", "blue")
	add(x, "c", "blue", "c") // joining one's own id changes nothing
	add(x, "d", "b")         // a room that has the name of somebody's id
	for _, c := range []struct {
		name   string
		target rooms.Target
		want   []string
	}{
		{"SIO-BC-4 no room means everyone", rooms.Target{}, []string{"a", "b", "c", "d"}},
		{"one room", rooms.Target{Rooms: []string{"red"}}, []string{"a", "b"}},
		{"SIO-BC-2 union, once each", rooms.Target{Rooms: []string{"red", "blue"}}, []string{"a", "b", "c"}},
		{"SIO-BC-2 the same room twice", rooms.Target{Rooms: []string{"red", "red"}}, []string{"a", "b"}},
		{"SIO-BC-3 except a room", rooms.Target{Except: []string{"blue"}}, []string{"a", "d"}},
		{"SIO-BC-3 except an id", rooms.Target{Rooms: []string{"red"}, Except: []string{"a"}}, []string{"b"}},
		{"SIO-BC-4 unknown room", rooms.Target{Rooms: []string{"none"}}, []string{}},
		{"unknown exception", rooms.Target{Rooms: []string{"red"}, Except: []string{"none"}}, []string{"a", "b"}},
		{"an id is a room", rooms.Target{Rooms: []string{"c"}}, []string{"c"}},
		{"an id that is also a room", rooms.Target{Rooms: []string{"b"}}, []string{"b", "d"}},
		{"id and room of the same member", rooms.Target{Rooms: []string{"a", "red"}}, []string{"a", "b"}},
	} {
		if diff := cmp.Diff(c.want, selected(x, c.target)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestRoomsOfAMember(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	m := add(x, "a", "red", "blue", "red")
	if got := x.Rooms(m); !slices.Equal(got, []string{"a", "red", "blue"}) {
		t.Errorf("rooms %v", got)
	}
	x.Leave(m, "red", "none")
	if got := x.Rooms(m); !slices.Equal(got, []string{"a", "blue"}) {
		t.Errorf("after leaving: %v", got)
	}
	x.Remove(m)
	x.Remove(m)
	x.Add(m, "a", "a", func() bool { return false })
	x.Join(m, "red")
	if got := x.Rooms(m); got != nil {
		t.Errorf("after removal: %v", got)
	}
	if got := selected(x, rooms.Target{Rooms: []string{"red", "blue", "a"}}); len(got) != 0 || x.Len() != 0 {
		t.Errorf("left behind: %v, %d members", got, x.Len())
	}
}

func TestMembersAndRoomsThatThereAre(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	a := add(x, "a", "red", "blue", "b")
	add(x, "b", "red")
	want := func(want ...string) {
		t.Helper()
		var got []string
		x.EachRoom(func(name string) { got = append(got, name) })
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("rooms %v, want %v", got, want)
		}
	}
	want("b", "blue", "red")
	if v, ok := x.Member("a"); v != "a" || !ok {
		t.Errorf("member %q, %v", v, ok)
	}
	x.Remove(a)
	want("red")
	for _, id := range []string{"a", "red"} {
		if v, ok := x.Member(id); v != "" || ok {
			t.Errorf("%s: member %q", id, v)
		}
	}
}

func TestPinnedMembersStay(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	m := add(x, "a", "red", "blue")
	x.Pin(m, "red", "green")
	x.Pin(m, "red")
	x.Join(m, "red", "green") // which changes nothing
	x.Leave(m, "red", "blue", "green", "never joined")
	want := func(rooms string, pinned ...string) {
		t.Helper()
		if got := strings.Join(x.Rooms(m), " "); got != rooms || !slices.Equal(x.Pinned(m), pinned) {
			t.Errorf("rooms %v, pinned to %v; want %v, %v", got, x.Pinned(m), rooms, pinned)
		}
	}
	want("a", "red", "green")
	x.Unpin(m, "red", "never joined")
	x.Join(m, "red")
	want("a red", "green")
	x.Leave(m, "red")
	want("a", "green")
	x.Remove(m)
	if got := selected(x, rooms.Target{Rooms: []string{"green"}}); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

// A long random history agrees with two plain maps.
func TestIndexAgreesWithAModel(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	x := rooms.NewIndex[string]()
	members := map[string]*member{}
	model := map[string]map[string]bool{} // id to rooms
	for range 20_000 {
		id := fmt.Sprintf("m%d", rnd.IntN(12))
		name := fmt.Sprintf("r%d", rnd.IntN(30))
		switch m := members[id]; {
		case m == nil:
			members[id], model[id] = add(x, id), map[string]bool{}
		case rnd.IntN(40) == 0:
			x.Remove(m)
			delete(members, id)
			delete(model, id)
		case rnd.IntN(3) == 0:
			x.Leave(m, name)
			delete(model[id], name)
		default:
			x.Join(m, name)
			model[id][name] = true
		}
		want := []string{}
		for id, in := range model {
			if in[name] && !in["r0"] {
				want = append(want, id)
			}
		}
		slices.Sort(want)
		got := selected(x, rooms.Target{Rooms: []string{name}, Except: []string{"r0"}})
		if !slices.Equal(got, want) {
			t.Fatalf("room %s: got %v, want %v", name, got, want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 200 {
				m := add(x, fmt.Sprintf("m%d", i), "red", fmt.Sprintf("r%d", n%5))
				selected(x, rooms.Target{Rooms: []string{"red"}})
				x.Leave(m, "red")
				x.Rooms(m)
				x.Remove(m)
			}
		})
	}
	wg.Wait()
	if x.Len() != 0 {
		t.Errorf("%d members left", x.Len())
	}
}

func BenchmarkEach(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		x := crowd(n)
		for name, t := range map[string]rooms.Target{
			"all":         {},
			"room":        {Rooms: []string{"red"}},
			"room but me": {Rooms: []string{"red"}, Except: []string{"m0"}},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					x.Each(t, func(string) {})
				}
			})
		}
	}
}

// crowd returns an index with n members, all in one room.
func crowd(n int) *rooms.Index[string] {
	x := rooms.NewIndex[string]()
	for i := range n {
		add(x, fmt.Sprintf("m%d", i), "red")
	}
	return x
}

// What clients cost that come and go, and how long others wait for each.
func BenchmarkAddRemove(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := crowd(n)
			b.ReportAllocs()
			for b.Loop() {
				var m rooms.Member[string]
				x.Add(&m, "new", "new", func() bool { return true })
				x.Remove(&m)
			}
		})
	}
}

func BenchmarkJoinLeave(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := crowd(n)
			m := add(x, "new")
			b.ReportAllocs()
			for b.Loop() {
				x.Join(m, "red")
				x.Leave(m, "red")
			}
		})
	}
}

// A function that panics or ends its goroutine while it is told of events must leave
// the index in use, and the rest to the next one.
func TestTellSurvivesItsFunction(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(){"panic": func() { panic("told") }, "goexit": runtime.Goexit} {
		x := rooms.NewIndex[string]()
		x.Watch(rooms.Handlers)
		m := add(x, "a", "red")
		over := make(chan struct{})
		go func() {
			defer close(over)
			defer func() { _ = recover() }()
			x.Deliver(rooms.Handlers, func(rooms.Event) { fail() })
		}()
		<-over
		x.Leave(m, "red")
		var got []rooms.Kind
		x.Deliver(rooms.Handlers, func(e rooms.Event) { got = append(got, e.Kind) })
		want := []rooms.Kind{rooms.Joined, rooms.Created, rooms.Joined, rooms.Left, rooms.Deleted}
		if !slices.Equal(got, want) {
			t.Errorf("%s: told %v, want %v", name, got, want)
		}
	}
}
