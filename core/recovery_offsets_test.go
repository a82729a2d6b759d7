package sio_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// mayJoin lets clients join and leave rooms.
func mayJoin(srv *sio.Server) {
	srv.On("join", sio.Reply(func(c *sio.Ctx, room string) (int, error) { return 0, c.Join(room) }))
	srv.On("leave", sio.Reply(func(c *sio.Ctx, room string) (int, error) { return 0, c.Leave(room) }))
}

func (v *visitor) ask(t *testing.T, event, room string) {
	t.Helper()
	v.Send(fmt.Sprintf(`420[%q,%q]`, event, room))
	v.Want("430[0]")
}

// firstOffset returns that of the first event of a server, which anybody can make up
// who knows a later one.
func firstOffset(offset string) string {
	prefix, _, _ := strings.Cut(offset, ".")
	return prefix + ".0"
}

// mustMiss has the client lose its connection and come back, with an offset unless that
// is "".
func (v *visitor) mustMiss(t *testing.T, d siotest.Dialer, offset string, want ...string) {
	t.Helper()
	v.Abort()
	synctest.Wait()
	if offset != "" {
		v.offset = offset
	}
	id := v.id
	if missed := v.connect(t, d.WebSocket(t)); !slices.Equal(missed, want) || v.id != id {
		t.Errorf("missed %q, want %q; same id: %v", missed, want, v.id == id)
	}
}

func TestNothingFromBeforeTheClientConnectedIsReplayed(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		must(t, srv.Emit("to all", "the secret of before"))
		v := arrive(t, srv, d.WebSocket(t))
		v.mustMiss(t, d, firstOffset(v.offset), `42["hi"]`)
		other := arrive(t, srv, d.WebSocket(t))
		must(t, srv.Except(other.id).Emit("e"))
		v.want(t, `42["e"]`)
		other.mustMiss(t, d, firstOffset(v.offset), `42["hi"]`)
	})
}

func TestNothingFromBeforeTheClientJoinedIsReplayed(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		mayJoin(srv)
		v := arrive(t, srv, d.WebSocket(t))
		connected := v.offset
		must(t, srv.To("a").Emit("said", "before"))
		v.ask(t, "join", "a")
		must(t, srv.To("a").Emit("said", "first"))
		v.want(t, `42["said","first"]`)
		v.ask(t, "leave", "a")
		must(t, srv.To("a").Emit("said", "without"))
		v.ask(t, "join", "a")
		must(t, srv.To("a").Emit("said", "last"))
		v.want(t, `42["said","last"]`)
		last := v.offset
		// The second time, too; then it has said how far it has come.
		v.mustMiss(t, d, connected, `42["said","first"]`, `42["said","last"]`)
		must(t, srv.To("a").Emit("said", "away"))
		v.want(t, `42["said","away"]`)
		v.mustMiss(t, d, last, `42["said","away"]`)
		v.mustMiss(t, d, "")
	})
}

// Whoever was among those that an event was not for does not get it later.
func TestWhatWasNotForAClientIsNotReplayedWhenThatHasChanged(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		mayJoin(srv)
		v := arrive(t, srv, d.WebSocket(t))
		connected := v.offset
		v.ask(t, "join", "guests")
		must(t, srv.Except("guests").Emit("said", "no guests"))
		must(t, srv.Except(v.id).Emit("said", "not you"))
		must(t, srv.To("guests", "a").Except("b").Emit("said", "guests"))
		v.want(t, `42["said","guests"]`)
		v.ask(t, "leave", "guests")
		v.ask(t, "join", "b")
		must(t, srv.Except("guests").Emit("said", "no guests, again"))
		v.want(t, `42["said","no guests, again"]`)
		v.mustMiss(t, d, connected, `42["said","guests"]`, `42["said","no guests, again"]`)
	})
}

// An offset is what somebody says: nothing that it could be is too much.
func TestOffsetsThatWereMadeUp(t *testing.T) {
	for name, change := range map[string]func(offset string) string{
		"future":         func(o string) string { return o + "zz" },
		"leading zeros":  func(o string) string { return strings.Replace(o, ".", ".000", 1) },
		"a sign":         func(o string) string { return strings.Replace(o, ".", ".+", 1) },
		"capitals":       func(o string) string { return strings.ToUpper(o) + "A" },
		"another server": func(o string) string { return "ABCDEF" + o[6:] },
		"very long":      func(o string) string { return o + strings.Repeat("0", 100_000) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				v := arrive(t, srv, d.WebSocket(t))
				v.Abort()
				synctest.Wait()
				must(t, srv.Emit("missed"))
				id := v.id
				v.offset = change(v.offset)
				if missed := v.connect(t, d.WebSocket(t)); len(missed) > 0 || v.id == id {
					t.Errorf("missed %q, same id: %v", missed, v.id == id)
				}
			})
		})
	}
}

// A client may join and leave as often as it likes. What is known of that is bounded,
// and nothing is replayed that it should not get.
func TestAClientThatLeavesManyRooms(t *testing.T) {
	for _, n := range []int{64, 1000} {
		bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
			sockets := make(chan *sio.Socket, 2)
			srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
			v := arrive(t, srv, d.WebSocket(t))
			s, id := <-sockets, v.id
			for i := range n {
				must(t, s.Join(fmt.Sprint(i)))
				must(t, srv.To("somebody else").Emit("e"))
				must(t, s.Leave(fmt.Sprint(i)))
				must(t, srv.To(fmt.Sprint(i)).Emit("said", "afterwards"))
			}
			v.Abort()
			synctest.Wait()
			missed := v.connect(t, d.WebSocket(t))
			if len(missed) > 0 || (n == 64) != (v.id == id) {
				t.Errorf("%d rooms: missed %q, same id: %v", n, missed, v.id == id)
			}
		})
	}
}

// In a room where nothing is said, coming and going leaves no trace.
func TestAClientThatJoinsAndLeavesInSilence(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		sockets := make(chan *sio.Socket, 2)
		srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
		v := arrive(t, srv, d.WebSocket(t))
		s := <-sockets
		must(t, s.Join("a"))
		must(t, srv.To("a").Emit("said", 1))
		for range 1000 {
			must(t, s.Leave("a"))
			must(t, s.Join("a"))
		}
		must(t, srv.To("a").Emit("said", 2))
		v.mustMiss(t, d, "", `42["said",1]`, `42["said",2]`)
	})
}
