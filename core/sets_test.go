package sio_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

var nick = sio.NewDataKey[string]("nick")

func TestSIO_CU_1_SIO_CU_2_Fetch(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		d.URL += "?room=7&tag=a&tag=b"
		d.Header = http.Header{"X-Test": {"yes"}, "Origin": {"http://pipe.test"}}
		private := sio.NewKey[string]("private")
		srv.OnConnect(func(c *sio.Ctx) error {
			nick.Set(c.Socket, "name of "+c.ID())
			private.Set(c.Socket, secret)
			return nil
		})
		start := time.Now()
		cr := newCrowd(t, srv, d, "/", "ax", "bx", "c")
		fetch := func(b sio.Broadcast, names ...string) (all []sio.RemoteSocket) {
			t.Helper()
			all, err := b.Fetch(t.Context())
			must(t, err)
			var got, want []string
			for _, s := range all {
				got = append(got, s.ID)
			}
			for _, name := range names {
				want = append(want, cr.sockets[name].ID())
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("fetched %v, want %v", got, want)
			}
			return all
		}
		fetch(srv.Broadcast(), "ax", "bx", "c")
		fetch(srv.Broadcast().Local(), "ax", "bx", "c")
		fetch(srv.To("x"), "ax", "bx")
		fetch(cr.sockets["ax"].To("x"), "bx")
		fetch(srv.To("nobody"))
		one := fetch(srv.To("a"), "ax")[0]
		s := cr.sockets["ax"]
		if !slices.Equal(one.Rooms, []string{s.ID(), "a", "x"}) || one.Server != "" {
			t.Errorf("rooms %v, server %q", one.Rooms, one.Server)
		}
		if v, ok := nick.Of(one); !ok || v != "name of "+s.ID() || len(one.Data) != 1 {
			t.Errorf("nick %q, %v; data %s", v, ok, one.Data)
		}
		if v, ok := private.Of(one); ok {
			t.Errorf("private value %q", v)
		}
		h, want := one.Handshake, s.Handshake()
		if h.Header.Get("X-Test") != "yes" || !slices.Equal(h.Query["tag"], []string{"a", "b"}) || h.Query.Get("room") != "7" ||
			h.URL != want.URL || h.Host != want.Host || h.Address != want.Address || h.Secure || !h.Time.Equal(start) {
			t.Errorf("handshake %+v", h)
		}
	})
}

func TestSIO_CU_3_CU_4_NS_6_SetsOfSockets(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		left := reasons(srv.Namespace)
		cr := newCrowd(t, srv, d, "/", "a", "ab", "b", "c")
		cr.want(t, "join", func() error { must(t, srv.To("a").Join("new", "newer")); return srv.To("newer").Emit("e") }, "a", "ab")
		cr.want(t, "leave", func() error { must(t, srv.To("b").Leave("new", "none")); return srv.To("new").Emit("e") }, "a")
		cr.want(t, "all", func() error { must(t, srv.Broadcast().Join("all")); return srv.To("all").Emit("e") }, "a", "ab", "b", "c")
		cr.want(t, "but", func() error { must(t, cr.sockets["a"].To("all").Leave("all")); return srv.To("all").Emit("e") }, "a")

		must(t, srv.To("a").Emit("goodbye"))
		must(t, srv.To("a").Disconnect())
		cr.clients["a"].Want(`42["goodbye"]`, "41")
		cr.clients["ab"].Want(`42["goodbye"]`, "41")
		mustReason(t, left, sio.ReasonServerNamespaceDisconnect)
		mustReason(t, left, sio.ReasonServerNamespaceDisconnect)
		cr.clients["a"].Connect("/", "") // the connection is still there

		must(t, srv.To("b").Emit("goodbye"))
		must(t, srv.To("b").Close())
		if got := cr.clients["b"].UntilClosed(); !slices.Equal(got, []string{`42["goodbye"]`, "41"}) {
			t.Errorf("before the end: %q", got)
		}
		must(t, srv.Emit("end"))
		cr.clients["c"].Want(`42["end"]`)
	})
}

func TestSelfIsOneClient(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		cr := newCrowd(t, srv, d, "/", "a", "ab", "b")
		cr.want(t, "self", func() error { return cr.sockets["ab"].Self().Compress(false).Emit("e") }, "ab")
	})
}

func TestSIO_EM_14_SIO_BC_9_EIO_HC_5_CompressIsAWish(t *testing.T) {
	srv, d := loopback(t, nil)
	long := strings.Repeat("long ", 1000)
	c := d.Polling(t)
	id := c.Connect("/", "")
	encoding := func() string {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			d.Endpoint("EIO", "4", "transport", "polling", "sid", c.SID()), http.NoBody)
		must(t, err)
		r.Header.Set("Accept-Encoding", "gzip")
		res, err := d.HTTP(t).Do(r)
		must(t, err)
		defer res.Body.Close()
		body := io.Reader(res.Body)
		if res.Header.Get("Content-Encoding") == "gzip" {
			body, err = gzip.NewReader(res.Body)
			must(t, err)
		}
		text, err := io.ReadAll(body)
		must(t, err)
		if !strings.Contains(string(text), long) {
			t.Errorf("got %.100q", text)
		}
		return res.Header.Get("Content-Encoding")
	}
	for _, tt := range []struct {
		name string
		emit func() error
		want string
	}{
		{"by default", func() error { return srv.Emit("e", long) }, "gzip"},
		{"asked for", func() error { return srv.Broadcast().Compress(true).Emit("e", long) }, "gzip"},
		{"not wanted", func() error { return srv.Broadcast().Compress(false).Emit("e", long) }, ""},
		{"not wanted by a room", func() error { return srv.To(id).Compress(false).Emit("e", long) }, ""},
		{"wanted by one of two", func() error {
			must(t, srv.Broadcast().Compress(false).Emit("e", long))
			return srv.Emit("f")
		}, "gzip"},
	} {
		must(t, tt.emit())
		if got := encoding(); got != tt.want {
			t.Errorf("%s: content encoding %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSIO_PM_3_OnAnySeesEverythingFirst(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var saw story
		see := func(who string) func(*sio.Ctx) {
			return func(c *sio.Ctx) {
				var arg string
				_ = c.Bind(&arg)
				saw.add("%s %s %s %v", who, c.Event(), arg, c.WantsAck())
			}
		}
		srv.UseEvents(sio.Guard(func(c *sio.Ctx) error {
			saw.add("middleware %s", c.Event())
			if c.Event() == "refused" {
				return &sio.Error{Message: "no"}
			}
			return nil
		}))
		srv.OnAny(see("first"))
		srv.OnAny(see("second"))
		srv.On("known", func(c *sio.Ctx) error { saw.add("handler"); return c.Ack() })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["known","x"]`, `42["unknown","y"]`, `422["refused","z"]`)
		c.Want("431[]", `432[{"error":{"message":"no"}}]`)
		saw.want(t,
			"first known x true", "second known x true", "middleware known", "handler",
			"first unknown y false", "second unknown y false", "middleware unknown",
			"first refused z true", "second refused z true", "middleware refused")
	})
}

func TestSIO_PM_4_SIO_BC_7_OnAnyOutgoing(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var saw story
		cr := newCrowd(t, srv, d, "/", "a", "b")
		srv.OnAnyOutgoing(func(s *sio.Socket, event string, args sio.Args) {
			var text string
			var blob []byte
			must(t, args.Bind(&text, &blob))
			who := slices.Sorted(slices.Values(s.Rooms()[1:]))
			saw.add("%v %s %s %v", who, event, text, blob)
			must(t, s.Join("seen")) // it may use the socket
		})
		must(t, cr.sockets["a"].Emit("one", "x", []byte{1}))
		read := func(who string, packets int) {
			for range packets {
				cr.clients[who].Next()
			}
		}
		read("a", 2)
		synctest.Wait() // a volatile event is dropped while something else is being written
		must(t, cr.sockets["a"].EmitVolatile("two", "y", []byte{2}))
		must(t, srv.To("b").Emit("three", "z", []byte{3}))
		var asking sync.WaitGroup
		asking.Go(func() {
			_, err := cr.sockets["b"].EmitWithAck(t.Context(), "four", "q", nil)
			must(t, err)
		})
		read("b", 2)
		quiz(t, cr.clients["b"], `["four","q",null]`)(`[]`)
		asking.Go(func() {
			for a := range sio.BroadcastWithAck[int](t.Context(), srv.To("a"), "five", "r", nil) {
				must(t, a.Err)
			}
		})
		read("a", 2)
		quiz(t, cr.clients["a"], `["five","r",null]`)(`[]`)
		asking.Wait()
		if err := cr.sockets["a"].Emit("not encodable", make(chan int)); err == nil {
			t.Error("a channel was sent")
		}
		saw.want(t, "[a] one x [1]", "[a seen] two y [2]", "[b] three z [3]", "[b seen] four q []", "[a seen] five r []")
	})
}

func TestSIO_PM_1_MiddlewareMayChangeArguments(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseEvents(func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error {
				var sealed string
				if err := c.Bind(&sealed); err != nil {
					return err
				}
				opened, err := c.WithArgs(strings.ToUpper(sealed), []byte("blob"), 3)
				if err != nil {
					return err
				}
				return next(opened)
			}
		})
		srv.On("e", func(c *sio.Ctx) error {
			var text string
			var blob []byte
			var n int
			if err := c.Bind(&text, &blob, &n); err != nil {
				return err
			}
			return c.Ack(fmt.Sprintf("%s %s %d %d %s", text, blob, n, c.Len(), c.Event()))
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["e","sealed"]`)
		c.Want(`431["SEALED blob 3 3 e"]`)
	})
}

func TestRoomEvents(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		events := make(chan string, 100)
		srv.OnRoom(func(e sio.RoomEvent) {
			if e.Room == e.Socket || len(e.Room) > 1 {
				e.Room, e.Socket = "ID", ""
			} else if e.Socket != "" {
				e.Socket = "me"
			}
			events <- strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.Room, " ", e.Socket))
		})
		srv.OnConnect(func(c *sio.Ctx) error {
			must(t, c.Join("a", "b", "a"))
			must(t, c.Join("a"))
			must(t, c.Leave("b", "none"))
			return c.Leave("b")
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		synctest.Wait() // until OnConnect has returned
		c.Send("41")
		synctest.Wait()
		close(events)
		var got []string
		for e := range events {
			got = append(got, e)
		}
		want := []string{
			"create-room ID", "join-room ID", "create-room a", "join-room a me", "create-room b", "join-room b me",
			"leave-room b me", "delete-room b", "leave-room a me", "delete-room a", "leave-room ID", "delete-room ID",
		}
		if !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
	})
}

func TestOnRoomMayUseSocketsAndPanic(t *testing.T) {
	l := new(logbook)
	bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OnRoom(func(sio.RoomEvent) { panic("oops") })
		srv.OnRoom(func(e sio.RoomEvent) {
			if e.Kind == sio.RoomJoined && e.Room == "a" {
				must(t, srv.To("a").Join("b"))
				must(t, srv.To("b").Emit("welcome"))
			}
		})
		echo(srv.Namespace)
		srv.OnConnect(func(c *sio.Ctx) error { return c.Join("a") })
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Want(`42["welcome"]`)
		mustEcho(t, c)
		if n := len(l.above()); n == 0 {
			t.Error("the panic was not logged")
		}
	})
}

func TestSIO_CU_5_SIO_CU_6_NobodyElse(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, _ siotest.Dialer) {
		srv.OnServerEvent("e", func(_ context.Context, _ sio.Args) (any, error) {
			t.Error("called on the same server")
			return nil, nil
		})
		must(t, srv.ServerSideEmit("e", 1))
		for a := range sio.ServerSideEmitWithAck[int](t.Context(), srv.Namespace, "e") {
			t.Errorf("answer %+v", a)
		}
		for _, name := range []string{"connection", "connect", "new_namespace", "disconnect"} {
			if err := srv.ServerSideEmit(name); !errors.Is(err, sio.ErrReservedEvent) {
				t.Errorf("%s: %v", name, err)
			}
			mustPanic(t, func() { srv.OnServerEvent(name, func(context.Context, sio.Args) (any, error) { return nil, nil }) }, name, "reserved")
			for a := range sio.ServerSideEmitWithAck[int](t.Context(), srv.Namespace, name) {
				if !errors.Is(a.Err, sio.ErrReservedEvent) {
					t.Errorf("%s: %+v", name, a)
				}
			}
		}
	})
}

// An upperCodec shows that it was asked.
type upperCodec struct{}

func (upperCodec) Marshal(v any) ([]byte, error) {
	p, err := json.Marshal(v)
	return []byte(strings.ToUpper(string(p))), err
}

func (upperCodec) Unmarshal(data []byte, v any) error {
	return json.Unmarshal([]byte(strings.ToUpper(string(data))), v)
}

func TestSIO_ENC_10_JSONCodecIsUsedEverywhere(t *testing.T) {
	type value struct{ V string }
	bubble(t, &sio.Options{JSON: upperCodec{}}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			var v value
			must(t, c.Bind(&v))
			if v.V != "AUTH" {
				t.Errorf("auth %q", v.V)
			}
			return nil
		}))
		srv.On("e", sio.Reply(func(c *sio.Ctx, v value) (value, error) { return v, c.Emit("e", v, []any{v, "b"}) }))
		srv.On("ask", func(c *sio.Ctx) error {
			v, err := sio.EmitWithAck[value](c.Context(), c.Socket, "q")
			must(t, err)
			return c.Ack(v.V)
		})
		c := d.WebSocket(t)
		c.Connect("/", `{"V":"auth"}`)
		c.Send(`421["e",{"V":"x"}]`)
		c.Want(`42["e",{"V":"X"},[{"V":"X"},"B"]]`, `431[{"V":"X"}]`)
		c.Send(`422["ask"]`)
		quiz(t, c, `["q"]`)(`[{"V":"y"}]`)
		c.Want(`432["Y"]`)
	})
}
