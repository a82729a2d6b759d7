package rooms_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sioplug/sioplug/internal/rooms"
)

// A mirror is what an audience can know of the rooms.
type mirror struct {
	t     *testing.T
	rooms map[string]map[string]bool
	told  int
}

func (m *mirror) hear(e rooms.Event) {
	m.told++
	in, exists := m.rooms[e.Room]
	ok := false
	switch e.Kind {
	case rooms.Created:
		ok = !exists
		m.rooms[e.Room] = map[string]bool{}
	case rooms.Joined:
		ok = exists && !in[e.Member]
		in[e.Member] = true
	case rooms.Left:
		ok = in[e.Member]
		delete(in, e.Member)
	case rooms.Deleted:
		ok = exists && len(in) == 0
		delete(m.rooms, e.Room)
	}
	if !ok {
		m.t.Fatalf("%+v does not follow from what was told before", e)
	}
}

// An audience that hangs while clients join and leave rooms is told afterwards what
// it takes to know the truth. What waits for it has a bound.
func TestNewsThatUndoEachOtherDoNotWaitForASlowAudience(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	x.Watch(rooms.Handlers)
	m := &mirror{t: t, rooms: map[string]map[string]bool{}}
	tell := func() { x.Deliver(rooms.Handlers, m.hear) }
	stay, leave := add(x, "stay", "lobby"), add(x, "leave", "lobby", "old")
	tell()
	known := m.told
	var inside func(rooms.Event)
	inside = func(e rooms.Event) { // the audience hangs in this event
		m.hear(e)
		if inside == nil {
			return
		}
		inside = nil
		for i := range 100_000 {
			x.Join(stay, fmt.Sprint("r", i%7))
			x.Leave(stay, fmt.Sprint("r", i%7))
			guest := add(x, fmt.Sprint("guest", i), "lobby", "guests")
			x.Remove(guest)
		}
		x.Remove(leave)
		x.Join(stay, "end")
	}
	x.Join(stay, "begin")
	x.Deliver(rooms.Handlers, func(e rooms.Event) {
		if inside != nil {
			inside(e)
		} else {
			m.hear(e)
		}
	})
	want := map[string]map[string]bool{
		"stay": {"stay": true}, "lobby": {"stay": true}, "begin": {"stay": true}, "end": {"stay": true},
	}
	if fmt.Sprint(m.rooms) != fmt.Sprint(want) {
		t.Errorf("rooms %v, want %v", m.rooms, want)
	}
	if n := m.told - known; n > 10_000 {
		t.Errorf("%d events waited for an audience that hung", n)
	}
}

// One audience that hangs does not keep the other one waiting.
func TestAudiencesAreToldApart(t *testing.T) {
	t.Parallel()
	x := rooms.NewIndex[string]()
	x.Watch(rooms.Handlers)
	x.Watch(rooms.Cluster)
	m := add(x, "a")
	tellCluster := func() (told []string) {
		x.Deliver(rooms.Cluster, func(e rooms.Event) { told = append(told, e.Room) })
		return told
	}
	tellCluster()
	hung := 0
	x.Deliver(rooms.Handlers, func(rooms.Event) {
		if hung++; hung > 1 {
			return
		}
		x.Join(m, "red")
		if told := tellCluster(); !slices.Equal(told, []string{"red", "red"}) { // created, joined
			t.Errorf("the cluster is told of %q while a function of the application hangs", told)
		}
	})
	if hung != 4 {
		t.Errorf("handlers were told of %d events", hung)
	}
}
