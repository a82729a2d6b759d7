package sio_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"unsafe"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// reused returns a name in memory that is used again when over is called, as
// those are that fasthttp's frameworks take from a request.
func reused(name string) (s string, over func()) {
	p := []byte(name)
	return unsafe.String(&p[0], len(p)), func() { copy(p, "XXXXXXXXXXXXXXXXXXXX") }
}

func TestRoomsWereRenamedWhenTheMemoryOfTheirNamesWasUsedAgain(t *testing.T) {
	for what, join := range map[string]func(srv *sio.Server, s *sio.Socket, room string) error{
		"Socket.Join":    func(_ *sio.Server, s *sio.Socket, room string) error { return s.Join(room) },
		"Broadcast.Join": func(srv *sio.Server, s *sio.Socket, room string) error { return srv.To(s.ID()).Join(room) },
	} {
		t.Run(what, func(t *testing.T) {
			srv, d := loopback(t, nil)
			cr := newCrowd(t, srv, d, "/", "a")
			s := cr.sockets["a"]
			room, over := reused("orders")
			must(t, join(srv, s, room))
			over()
			if got := s.Rooms(); !slices.Equal(got, []string{s.ID(), "a", "orders"}) {
				t.Errorf("rooms %q", got)
			}
			must(t, srv.To("orders").Emit("event"))
			cr.clients["a"].Want(`42["event"]`)
		})
	}
}

func TestMissedEventsWentAstrayWhenTheMemoryOfTheirRoomsWasUsedAgain(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OnConnect(func(c *sio.Ctx) error { return c.Join("orders") })
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		room, over := reused("orders")
		must(t, srv.To(room).Emit("for them"))
		over()
		room, over = reused("orders")
		must(t, srv.Except(room).Emit("for others"))
		over()
		if missed := v.connect(t, d.WebSocket(t)); !slices.Equal(missed, []string{`42["for them"]`}) {
			t.Errorf("missed %q", missed)
		}
	})
}

func TestNamespaceWasRenamedWhenTheMemoryOfItsNameWasUsedAgain(t *testing.T) {
	srv, d := loopback(t, nil)
	name, over := reused("/orders")
	srv.Of(name)
	over()
	d.WebSocket(t).Connect("/orders", "")
}
