package sio_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A crowd is some clients, by name, each in the rooms whose names are in its
// own: "ab" is in the rooms a and b.
type crowd struct {
	srv     *sio.Server
	clients map[string]*siotest.Client
	sockets map[string]*sio.Socket
}

func newCrowd(t *testing.T, srv *sio.Server, d siotest.Dialer, namespace string, names ...string) *crowd {
	t.Helper()
	cr := &crowd{srv, map[string]*siotest.Client{}, map[string]*sio.Socket{}}
	got := make(chan *sio.Socket, 1)
	srv.Of(namespace).OnConnect(func(c *sio.Ctx) error {
		got <- c.Socket
		return nil
	})
	for _, name := range names {
		c := d.WebSocket(t)
		c.Connect(namespace, "")
		s := <-got
		must(t, s.Join(strings.Split(name, "")...))
		cr.clients[name], cr.sockets[name] = c, s
	}
	return cr
}

// want fails unless exactly those received what send sends, each once.
func (cr *crowd) want(t *testing.T, what string, send func() error, names ...string) {
	t.Helper()
	must(t, send())
	for name, c := range cr.clients {
		s := cr.sockets[name]
		head := "42"
		if ns := s.Namespace().Name(); ns != "/" {
			head += ns + ","
		}
		must(t, s.Emit("end"))
		received := 0
		for {
			got := c.Next()
			if got == head+`["end"]` {
				break
			}
			if !strings.HasPrefix(got, "b") { // which belongs to the packet before
				received++
			}
		}
		want := 0
		if slices.Contains(names, name) {
			want = 1
		}
		if received != want {
			t.Errorf("%s: %q received %d, want %d", what, name, received, want)
		}
	}
}

func TestSIO_BC_2_BC_3_BC_4_BC_5_BC_8_Targets(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		cr := newCrowd(t, srv, d, "/", "a", "b", "ab", "abc", "c")
		id := func(name string) string { return cr.sockets[name].ID() }
		for what, tt := range map[string]struct {
			to   sio.Broadcast
			want []string
		}{
			"all":             {srv.To(), []string{"a", "b", "ab", "abc", "c"}},
			"empty list":      {srv.To([]string{}...), []string{"a", "b", "ab", "abc", "c"}},
			"one room":        {srv.To("a"), []string{"a", "ab", "abc"}},
			"union":           {srv.To("a", "b"), []string{"a", "b", "ab", "abc"}},
			"union by calls":  {srv.To("a").To("b").To("a"), []string{"a", "b", "ab", "abc"}},
			"room and none":   {srv.To("a").To(), []string{"a", "ab", "abc"}},
			"nobody's room":   {srv.To("x"), nil},
			"by id":           {srv.To(id("a")), []string{"a"}},
			"by id and room":  {srv.To(id("a"), "a", id("c")), []string{"a", "ab", "abc", "c"}},
			"except room":     {srv.Except("b"), []string{"a", "c"}},
			"except rooms":    {srv.Except("b").Except("c"), []string{"a"}},
			"except id":       {srv.Except(id("abc")), []string{"a", "b", "ab", "c"}},
			"room except":     {srv.To("a").Except("b"), []string{"a"}},
			"except first":    {srv.Except("c").To("b"), []string{"b", "ab"}},
			"except nobody":   {srv.To("c").Except("x"), []string{"abc", "c"}},
			"local":           {srv.To("c").Local(), []string{"abc", "c"}}, // SIO-BC-8
			"but me":          {cr.sockets["ab"].Broadcast(), []string{"a", "b", "abc", "c"}},
			"my room but me":  {cr.sockets["ab"].To("a"), []string{"a", "abc"}}, // SIO-BC-5
			"my id but me":    {cr.sockets["ab"].To(id("ab")), nil},
			"except and me":   {cr.sockets["ab"].Except("c"), []string{"a", "b"}},
			"but me, but him": {cr.sockets["ab"].Broadcast().Except(id("a")), []string{"b", "abc", "c"}},
		} {
			cr.want(t, what, func() error { return tt.to.Emit("event", 1) }, tt.want...)
			cr.want(t, what+" without arguments", func() error { return tt.to.Emit("event") }, tt.want...)
			cr.want(t, what+" with binary", func() error { return tt.to.Emit("event", []byte{1, 2, 3}) }, tt.want...)
		}
		cr.want(t, "server", func() error { return srv.Emit("event") }, "a", "b", "ab", "abc", "c")
	})
}

func TestSIO_BC_6_BC_11_NamespacesAreApart(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		root := newCrowd(t, srv, d, "/", "a")
		chat := newCrowd(t, srv, d, "/chat", "a", "b")
		for what, send := range map[string]func() error{
			"server":      func() error { return srv.Emit("event") },
			"room":        func() error { return srv.To("a").Emit("event") },
			"namespace /": func() error { return srv.Of("").Emit("event") },
		} {
			root.want(t, what, send, "a")
			chat.want(t, what, func() error { return nil })
		}
		chat.want(t, "chat", func() error { return srv.Of("/chat").To("a").Emit("event") }, "a")
		root.want(t, "chat", func() error { return nil })
	})
}

func TestJoinAndLeave(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		cr := newCrowd(t, srv, d, "/", "a", "b")
		s := cr.sockets["a"]
		want := func(rooms ...string) {
			t.Helper()
			got := s.Rooms()
			if len(got) == 0 || got[0] != s.ID() {
				t.Fatalf("rooms %q without the id", got)
			}
			if got = got[1:]; !slices.Equal(slices.Sorted(slices.Values(got)), rooms) {
				t.Errorf("rooms %q, want %q", got, rooms)
			}
		}
		want("a")
		must(t, s.Join("b", "c", "b"))
		must(t, s.Join("c"))
		must(t, s.Join())
		want("a", "b", "c")
		cr.want(t, "joined", func() error { return srv.To("b", "c").Emit("event") }, "a", "b")
		must(t, s.Leave("b", "never joined"))
		must(t, s.Leave("b"))
		want("a", "c")
		cr.want(t, "left", func() error { return srv.To("b").Emit("event") }, "b")
		must(t, s.Leave("a", "c"))
		want()
		// The socket's own room cannot be left or taken from outside.
		must(t, s.Leave(s.ID()))
		must(t, cr.sockets["b"].Join(s.ID()))
		cr.want(t, "own room", func() error { return srv.To(s.ID()).Emit("event") }, "a", "b")
	})
}

func TestPinnedSocketsStayInTheirRooms(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s *sio.Socket
		srv.OnConnect(func(c *sio.Ctx) error {
			s = c.Socket
			return c.Pin("a", "b")
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		synctest.Wait()
		want := func(rooms ...string) {
			t.Helper()
			if got := s.Pinned(); !slices.Equal(got, rooms) {
				t.Errorf("pinned to %q, want %q", got, rooms)
			}
			if got := s.Rooms(); !slices.Equal(got, []string{s.ID()}) {
				t.Errorf("rooms %q, want the id alone", got)
			}
			fetched, err := srv.Broadcast().Fetch(t.Context())
			if err != nil || len(fetched) != 1 || !slices.Equal(fetched[0].Rooms, s.Rooms()) {
				t.Errorf("fetched %+v, %v", fetched, err)
			}
		}
		must(t, s.Join("b", "c"))
		must(t, s.Leave("c"))
		must(t, s.Leave(append(s.Rooms(), s.Pinned()...)...))
		must(t, srv.To("a").Leave("a", "b"))
		want("a", "b")
		must(t, s.Unpin("a"))
		want("b")
		c.Close()
		c.UntilClosed()
		synctest.Wait()
		for _, err := range []error{s.Pin("c"), s.Unpin("b")} {
			if !errors.Is(err, sio.ErrDisconnected) {
				t.Errorf("after the end: %v", err)
			}
		}
	})
}

func TestSIO_BC_1_BroadcastsAreValues(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		cr := newCrowd(t, srv, d, "/", "a", "b", "c", "x")
		// Bases with room to spare in their slices, if they were shared.
		base := srv.To("a").To("nobody").To("nobody").To("nobody", "nobody")
		withB, withC := base.To("b"), base.To("c")
		exceptA, exceptX := base.To("x").Except("a"), base.To("x").Except("x")
		_ = base.Volatile().Local().Except("a")
		rooms := []string{"b"}
		kept := srv.To(rooms...)
		rooms[0] = "c"
		for what, tt := range map[string]struct {
			to   sio.Broadcast
			want []string
		}{
			"base": {base, []string{"a"}}, "with b": {withB, []string{"a", "b"}}, "with c": {withC, []string{"a", "c"}},
			"except a": {exceptA, []string{"x"}}, "except x": {exceptX, []string{"a"}}, "kept": {kept, []string{"b"}},
		} {
			cr.want(t, what, func() error { return tt.to.Emit("event") }, tt.want...)
		}
	})
}

// Modifiers are not kept on a shared socket, as with some, so that two
// goroutines cannot get in each other's way.
func TestSIO_BC_1_EM_15_ConcurrentEmitsWithModifiers(t *testing.T) {
	const n = 100
	srv, d := loopback(t, nil)
	cr := newCrowd(t, srv, d, "/", "a", "b", "ab")
	sender := cr.sockets["ab"]
	shared := srv.To("a")
	var all sync.WaitGroup
	for _, emit := range []func(i int) error{
		func(i int) error { return sender.To("a").Emit("e", i) },
		func(i int) error { return sender.Broadcast().Except("a").Volatile().Emit("skip", i) },
		func(i int) error { return sender.EmitVolatile("skip", i) },
		func(i int) error { return shared.To("nobody").Except("b").Emit("e", i) },
		func(i int) error { return shared.Except("b").Local().Emit("e", i, []byte{1}) },
		func(i int) error { return sender.Emit("mine", i) },
		func(i int) error { return sender.Join(fmt.Sprint("room ", i%3)) },
		func(i int) error { return sender.Leave(fmt.Sprint("room ", i%3)) },
	} {
		all.Go(func() {
			for i := range n {
				must(t, emit(i))
			}
		})
	}
	all.Wait()
	count := func(name, prefix string) (found int) {
		must(t, cr.sockets[name].Emit("end"))
		for p := ""; p != `42["end"]`; {
			if p = cr.clients[name].Next(); strings.HasPrefix(p, prefix) {
				found++
			}
		}
		return found
	}
	if got := count("a", `42["e"`); got != 2*n {
		t.Errorf("a received %d text events, want %d", got, 2*n)
	}
	if got := count("ab", `42["mine"`); got != n {
		t.Errorf("ab received %d events, want %d", got, n)
	}
	if got := count("b", `42["e"`); got != 0 {
		t.Errorf("b received %d events", got)
	}
}

func TestSIO_BC_7_BinaryBroadcastReachesEveryoneIntact(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		cr := newCrowd(t, srv, d, "/", "a", "b", "c")
		picture := []byte{1, 2, 3}
		must(t, srv.Emit("picture", map[string]any{"data": [][]byte{picture, nil, {}}}))
		picture[0] = 99 // arguments are not used after Emit has returned
		for _, c := range cr.clients {
			c.Want(`452-["picture",{"data":[{"_placeholder":true,"num":0},null,{"_placeholder":true,"num":1}]}]`, "bAQID", "b")
		}
		synctest.Wait()
	})
}
