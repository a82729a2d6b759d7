package sio_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func roomNames(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint("r", i)
	}
	return list
}

// Handlers let clients name rooms. None of this ends in reasonable time if its cost
// is in proportion to a product of what they name.
func TestLongListsOfRoomsHeldUpTheNamespace(t *testing.T) {
	srv, d := loopback(t, nil)
	cr := newCrowd(t, srv, d, "/", "a", "b", "c")
	const n = 30_000
	list := roomNames(n)
	must(t, cr.sockets["a"].Join(list[:n/2]...))
	must(t, cr.sockets["b"].Join(list[n/2:]...))
	for name, set := range map[string]sio.Broadcast{
		"a list":                 srv.To(list...),
		"except a list":          srv.Except("c").Except(slices.Repeat([]string{"nobody"}, n)...),
		"the same room":          srv.To("a", "b").To(slices.Repeat([]string{"r7"}, n)...),
		"a list, except another": srv.To(list...).Except(slices.Repeat([]string{"c"}, n)...),
	} {
		count, err := set.Count(t.Context())
		if err != nil || count != 2 || len(set.Sockets()) != 2 {
			t.Errorf("%s: %d clients, %d sockets, %v", name, count, len(set.Sockets()), err)
		}
		cr.want(t, name, func() error { return set.Emit("e") }, "a", "b")
		fetched, err := set.Fetch(t.Context())
		if err != nil || len(fetched) != 2 {
			t.Errorf("%s: fetched %d, %v", name, len(fetched), err)
		}
	}
	all := srv.To(list...)
	must(t, all.Join(list[:100]...))
	must(t, all.Leave(list...))
	if rooms := srv.Rooms(); !slices.Equal(rooms, []string{"a", "b", "c"}) {
		t.Errorf("%d rooms are left", len(rooms))
	}
	must(t, cr.sockets["a"].Join(list...))
	must(t, cr.sockets["a"].Disconnect())
	eventually(t, "the rooms of a client that has gone are gone, too", func() bool {
		return slices.Equal(srv.Rooms(), []string{"b", "c"})
	})
}

// A broadcast may be put together room by room, by several goroutines that begin
// with the same one.
func TestAddingOneRoomAfterTheOtherCopiedThemAllEachTime(t *testing.T) {
	srv, d := loopback(t, nil)
	cr := newCrowd(t, srv, d, "/", "a", "b", "c", "d")
	b := srv.To("nobody")
	for _, name := range roomNames(100_000) {
		b = b.To(name).Except(name)
	}
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		all.Go(func() {
			mine := b.To(name)
			for range 100 {
				mine = mine.To("d").Except("d")
			}
			for _, set := range []sio.Broadcast{b.To(name), mine} {
				if got := set.Local().Sockets(); len(got) != 1 || got[0] != cr.sockets[name] {
					t.Errorf("%d sockets", len(got))
				}
			}
		})
	}
	all.Wait()
	if got := b.Sockets(); len(got) != 0 {
		t.Errorf("others' rooms are in a set that was made before")
	}
}

// A client that comes back may have been in many rooms.
func TestManyRoomsOfARecoveredClientCostNoMoreThanTheirNumber(t *testing.T) {
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{MaxBytes: 1 << 30}} // which names of rooms count for
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		list := roomNames(10_000)
		srv.OnConnect(func(c *sio.Ctx) error { return c.Join(list...) })
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		for i := range 100 {
			must(t, srv.Except(list[i:]...).Emit("others"))
		}
		must(t, srv.To(list...).Emit("missed"))
		if missed := v.connect(t, d.WebSocket(t)); !slices.Equal(missed, []string{`42["missed"]`}) {
			t.Errorf("missed %q", missed)
		}
	})
}

// It may also have been taken out of them, again and again, while it was away.
func TestManyRoomsThatAClientWasTakenOutOfCostNoMoreThanTheirNumber(t *testing.T) {
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{MaxBytes: 1 << 30}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		list := roomNames(20_000)
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		for range 3 {
			must(t, srv.To(v.id).Join(list...))
			must(t, srv.To(list...).Emit("missed"))
			must(t, srv.To(v.id).Leave(list...))
		}
		for range 10 {
			must(t, srv.To(list...).Emit("others"))
		}
		if missed, want := v.connect(t, d.WebSocket(t)), `42["missed"]`; !slices.Equal(missed, []string{want, want, want}) {
			t.Errorf("missed %q", missed)
		}
	})
}
