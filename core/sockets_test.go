package sio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestSIO_NS_4_SocketsOfANamespace(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		cr := newCrowd(t, srv, d, "/", "ax", "bx", "c")
		chat := newCrowd(t, srv, d, "/chat", "dx")
		ax := cr.sockets["ax"]
		if srv.Socket(ax.ID()) != ax || srv.Socket("x") != nil || srv.Socket("") != nil ||
			srv.Socket(chat.sockets["dx"].ID()) != nil || srv.Of("/chat").Socket(ax.ID()) != nil {
			t.Error("Socket found the wrong one")
		}
		if got := srv.Rooms(); !slices.Equal(got, []string{"a", "b", "c", "x"}) {
			t.Errorf("rooms %q", got)
		}
		for what, tt := range map[string]struct {
			set  sio.Broadcast
			want []string
		}{
			"all":     {srv.Broadcast(), []string{"ax", "bx", "c"}},
			"a room":  {srv.To("x"), []string{"ax", "bx"}},
			"union":   {srv.To("x", "a", ax.ID()), []string{"ax", "bx"}},
			"others":  {ax.Broadcast(), []string{"bx", "c"}},
			"nobody":  {srv.To("none"), nil},
			"one":     {ax.Self(), []string{"ax"}},
			"another": {srv.Of("/chat").Broadcast(), []string{"dx"}},
		} {
			var names []string
			for _, s := range tt.set.Sockets() {
				names = append(names, strings.Join(slices.Sorted(slices.Values(s.Rooms()[1:])), ""))
			}
			if slices.Sort(names); !slices.Equal(names, tt.want) {
				t.Errorf("%s: sockets %q, want %q", what, names, tt.want)
			}
			if n, err := tt.set.Count(t.Context()); n != len(tt.want) || err != nil {
				t.Errorf("%s: count %d, %v", what, n, err)
			}
		}
	})
}

// A client that has gone is not there, also while its handler still runs.
func TestClientsThatHaveGoneAreNotCounted(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		release := make(chan struct{})
		srv.On("slow", func(*sio.Ctx) error { <-release; return nil })
		cr := newCrowd(t, srv, d, "/", "a", "b")
		cr.clients["a"].Send(`42["slow"]`)
		synctest.Wait()
		cr.clients["a"].Abort()
		time.Sleep(time.Second) // another goroutine reads, and sees the end
		n, err := srv.Broadcast().Count(t.Context())
		must(t, err)
		all, err := srv.Broadcast().Fetch(t.Context())
		must(t, err)
		if list := srv.Broadcast().Sockets(); n != 1 || len(all) != 1 || len(list) != 1 || list[0] != cr.sockets["b"] {
			t.Errorf("count %d, fetched %d, sockets %v", n, len(all), list)
		}
		if s := srv.Socket(cr.sockets["a"].ID()); s != nil {
			t.Error("a socket that has gone")
		}
		close(release)
	})
}

func TestSocketsOfAParentAreThoseOfItsChildren(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		parent := srv.OfRegexp(dynamic)
		parent.OnConnect(func(c *sio.Ctx) error { return c.Join("room of "+c.Namespace().Name(), "room") })
		c := d.WebSocket(t)
		id := c.Connect("/dynamic-1", "")
		c.Connect("/dynamic-2", "")
		synctest.Wait()
		n, err := parent.To("room").Count(t.Context())
		if n != 2 || err != nil || len(parent.Broadcast().Sockets()) != 2 || parent.Socket(id).ID() != id {
			t.Errorf("count %d, %v; socket %v", n, err, parent.Socket(id))
		}
		if got := parent.Rooms(); !slices.Equal(got, []string{"room", "room of /dynamic-1", "room of /dynamic-2"}) {
			t.Errorf("rooms %q", got)
		}
	})
}

func TestCountInACluster(t *testing.T) {
	cluster(t, 3, sio.Options{}, func(t *testing.T, fl *fleet) {
		srv := fl.servers[0]
		must(t, srv.To(fl.ids[1], fl.ids[2]).Join("room"))
		for what, tt := range map[string]struct {
			set  sio.Broadcast
			want int
		}{
			"all": {srv.Broadcast(), 3}, "here": {srv.Broadcast().Local(), 1}, "room": {srv.To("room"), 2},
			"nobody": {srv.To("none"), 0}, "here in the room": {srv.To("room").Local(), 0},
		} {
			if n, err := tt.set.Count(t.Context()); n != tt.want || err != nil {
				t.Errorf("%s: %d, %v", what, n, err)
			}
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if n, err := srv.Broadcast().Count(over); n < 1 || !errors.Is(err, context.Canceled) {
			t.Errorf("without time: %d, %v", n, err)
		}
	})
}

func ExampleBroadcast_Count() {
	srv := sio.New(nil)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("lobby") })
	srv.On("how many", sio.Reply(func(c *sio.Ctx, _ struct{}) (int, error) {
		return srv.To("lobby").Count(c.Context())
	}))

	talk(srv, `421["how many"]`)
	fmt.Println(srv.Rooms())
	// Output:
	// > 421["how many"]
	// < 431[1]
	// []
}
