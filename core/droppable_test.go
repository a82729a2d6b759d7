package sio_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
	"github.com/sioplug/sioplug/core/siotest"
)

// wall is what a client that does not read has in front of everything else.
var wall = strings.Repeat("x", 100_000)

// stalled connects a client that does not read, and returns its socket.
func stalled(t *testing.T, srv *sio.Server, c *siotest.Client) *sio.Socket {
	t.Helper()
	s := srv.Socket(c.Connect("/", ""))
	synctest.Wait()
	must(t, s.Emit("wall", wall))
	synctest.Wait() // it is being written, where that is possible
	return s
}

// wantBehindWall reads everything, and fails unless these packets come.
func wantBehindWall(t *testing.T, c *siotest.Client, packets ...string) {
	t.Helper()
	c.Want(fmt.Sprintf(`42["wall",%q]`, wall))
	c.Want(packets...)
	mustEcho(t, c)
}

// Each way to emit keeps to the limit, over each transport.
func TestDropOldestKeepsTheNewestOfEachEvent(t *testing.T) {
	for name, open := range transports() {
		for way, emit := range map[string]func(srv *sio.Server, s *sio.Socket, event string, i int) error{
			"Broadcast": func(srv *sio.Server, _ *sio.Socket, event string, i int) error {
				return srv.Broadcast().DropOldest(2).Emit(event, i)
			},
			"Broadcast of others' form": func(srv *sio.Server, _ *sio.Socket, event string, i int) error {
				return srv.Broadcast().DropOldest(2).Compress(false).Emit(event, i)
			},
			"both forms": func(srv *sio.Server, _ *sio.Socket, event string, i int) error {
				return srv.Broadcast().DropOldest(2).Compress(i%2 == 0).Emit(event, i)
			},
			"Self": func(_ *sio.Server, s *sio.Socket, event string, i int) error {
				return s.Self().DropOldest(2).Emit(event, i)
			},
			"EmitDropOldest": func(_ *sio.Server, s *sio.Socket, event string, i int) error {
				return s.EmitDropOldest(2, event, i)
			},
			"all of them": func(srv *sio.Server, s *sio.Socket, event string, i int) error {
				if i%2 == 0 {
					return s.EmitDropOldest(2, event, i)
				}
				return srv.To(s.ID()).DropOldest(2).Emit(event, i)
			},
		} {
			t.Run(name+"/"+way, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					echo(srv.Namespace)
					c := open(t, d)
					s := stalled(t, srv, c)
					for i := range 20 {
						must(t, emit(srv, s, "a", i))
						must(t, emit(srv, s, "b", i))
						if i == 18 {
							must(t, s.Emit("plain"))
						}
					}
					if got := s.Dropped(); got != (sio.DropCount{Dropped: 36}) || srv.Dropped() != got {
						t.Errorf("counted %+v, on the server %+v", got, srv.Dropped())
					}
					wantBehindWall(t, c, `42["a",18]`, `42["b",18]`, `42["plain"]`, `42["a",19]`, `42["b",19]`)
				})
			})
		}
	}
}

func TestLatestKeepsTheNewestOfEachKey(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				echo(srv.Namespace)
				c := open(t, d)
				s := stalled(t, srv, c)
				for i := range 20 {
					must(t, srv.To(s.ID()).Latest("car 1").Emit("moved", 1, i))
					must(t, s.EmitLatest("car 2", "moved", 2, i))
					must(t, srv.Broadcast().Latest("").Emit("every", i))
				}
				must(t, s.EmitLatest("car 1", "parked", 1, []byte{7})) // another event, in whole
				must(t, s.EmitLatest("", "ordinary"))
				if got := s.Dropped(); got != (sio.DropCount{Replaced: 39}) {
					t.Errorf("counted %+v", got)
				}
				var want []string
				for i := range 20 {
					if i == 19 {
						want = append(want, `42["moved",2,19]`)
					}
					want = append(want, fmt.Sprintf(`42["every",%d]`, i))
				}
				want = append(want, `451-["parked",1,{"_placeholder":true,"num":0}]`, "bBw==", `42["ordinary"]`)
				wantBehindWall(t, c, want...)
			})
		})
	}
}

// Each namespace of a client has its own keys and limits. The parser does not matter, and
// neither does the revision of the client.
func TestDroppableEventsOfNamespacesAreApart(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		other := srv.Of("/other")
		c := d.Polling(t)
		c.Connect("/", "")
		c.Connect("/other", "")
		synctest.Wait()
		for i := range 3 {
			must(t, srv.Broadcast().Latest("k").Emit("e", i))
			must(t, other.Broadcast().Latest("k").Emit("e", i))
			must(t, srv.Broadcast().DropOldest(1).Emit("d", i))
			must(t, other.Broadcast().DropOldest(1).Emit("d", i))
		}
		c.Want(`42["e",2]`, `42/other,["e",2]`, `42["d",2]`, `42/other,["d",2]`)
	})
}

func TestDroppableEventsWithMessagePack(t *testing.T) {
	bubble(t, &sio.Options{Parser: msgpack.Parser{}}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		c := d.Polling(t)
		encode := func(p parser.Packet) string {
			m, err := msgpack.Parser{}.Encode(&p)
			must(t, err)
			return "b" + base64.StdEncoding.EncodeToString(m[0].Data)
		}
		c.Send(encode(parser.Packet{Type: parser.Connect, Namespace: "/"}))
		c.Next()
		synctest.Wait()
		for i := range 3 {
			must(t, srv.Broadcast().Latest("k").Emit("e", i))
			must(t, srv.Broadcast().DropOldest(1).Emit("d", i))
		}
		for _, data := range []string{`["e",2]`, `["d",2]`} {
			c.Want(encode(parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(data)}))
		}
	})
}

// A client of version 2 gets the escape of half a surrogate pair in a frame of its own,
// which is replaced like any other.
func TestDroppableEventsWithRevision3(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		_, sid, _ := strings.Cut(oldFetch(t, d, ""), `"sid":"`)
		sid, _, _ = strings.Cut(sid, `"`)
		synctest.Wait()
		for i := range 3 {
			must(t, srv.Broadcast().Latest("k").Emit("e", "\ufffd", i))
			must(t, srv.Broadcast().DropOldest(1).Emit("d", "\ufffd", i))
		}
		got := oldFetch(t, d, "", "sid", sid)
		if want := `2:4018:42["e","\ufffd",2]18:42["d","\ufffd",2]`; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Acks, and events with one, are sent whatever the set says.
func TestEventsWithAckAreNotDropped(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.DropOldestByDefault(1)
		c := d.Polling(t)
		c.Connect("/", "")
		synctest.Wait()
		for range 3 {
			go func() {
				for range sio.BroadcastWithAck[int](t.Context(), srv.Broadcast().DropOldest(1).Latest("k"), "ask") {
				}
			}()
			synctest.Wait()
		}
		c.Want(`421["ask"]`, `422["ask"]`, `423["ask"]`)
		c.Send("431[]", "432[]", "433[]")
	})
}

func TestDropOldestByDefault(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		children := srv.OfRegexp(regexp.MustCompile("^/feed"))
		children.DropOldestByDefault(3)
		children.DropOldestByDefault(1)
		c := d.Polling(t)
		child := srv.Of("/feed1").Socket(c.Connect("/feed1", ""))
		s := srv.Socket(c.Connect("/", ""))
		synctest.Wait()
		for i := range 3 {
			must(t, child.Namespace().Emit("all", i))
			must(t, children.Emit("parent", i))
			must(t, child.Emit("one", i))
			must(t, child.EmitLatest(strconv.Itoa(i), "keyed"))
			must(t, child.EmitDropOldest(0, "kept", i))
			must(t, child.Namespace().Broadcast().DropOldest(0).Emit("kept by all", i))
			must(t, s.Emit("elsewhere", i))
		}
		var want []string
		for i := range 3 {
			if i == 2 {
				want = append(want, `42/feed1,["all",2]`, `42/feed1,["parent",2]`, `42/feed1,["one",2]`, `42/feed1,["keyed"]`)
			}
			want = append(want, fmt.Sprintf(`42/feed1,["kept",%d]`, i), fmt.Sprintf(`42/feed1,["kept by all",%d]`, i), fmt.Sprintf(`42["elsewhere",%d]`, i))
		}
		c.Want(want...)
		children.DropOldestByDefault(0)
		must(t, child.Emit("one", 1))
		must(t, child.Emit("one", 2))
		c.Want(`42/feed1,["one",1]`, `42/feed1,["one",2]`)
	})
}

// Events that may be dropped never disconnect a client, and make room for others. Events
// with a key alone do disconnect it.
func TestDroppableEventsAndTheSendBuffer(t *testing.T) {
	const limit = 50_000
	text := strings.Repeat("x", 1000)
	bubble(t, &sio.Options{MaxSendBuffer: limit}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		gone := reasons(srv.Namespace)
		c := d.Polling(t)
		s := srv.Socket(c.Connect("/", ""))
		synctest.Wait()
		for i := range 1000 {
			must(t, s.EmitDropOldest(1000, "feed", i, text))
			must(t, srv.Broadcast().DropOldest(1000).Latest(strconv.Itoa(i)).Emit("keyed", text))
		}
		must(t, s.Emit("plain", text))
		if b := s.Buffered(); b > limit+2000 || !s.Connected() {
			t.Errorf("%d bytes wait", b)
		}
		untilSlow(t, s, text)
		mustReason(t, gone, sio.ReasonTransportError)

		s = srv.Socket(d.Polling(t).Connect("/", ""))
		synctest.Wait()
		n := 0
		for err := error(nil); !errors.Is(err, sio.ErrSlowClient); n++ {
			err = s.EmitLatest(strconv.Itoa(n), "keyed", text)
		}
		if n > limit/1000 {
			t.Errorf("%d events waited", n)
		}
		mustReason(t, gone, sio.ReasonTransportError)
	})
}

// untilSlow emits until the client is disconnected for it.
func untilSlow(t *testing.T, s *sio.Socket, text string) {
	t.Helper()
	var err error
	for err == nil {
		err = s.Emit("plain", text)
	}
	if !errors.Is(err, sio.ErrSlowClient) {
		t.Errorf("error %v", err)
	}
}

// A client that comes back gets the events of the log, which has none that may be dropped,
// and those have no offset.
func TestDroppableEventsAreNotKeptForRecovery(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		v := arrive(t, srv, d.WebSocket(t))
		s := srv.Socket(v.id)
		emitAll := func() {
			_ = s.EmitLatest("k", "latest of one")
			_ = s.EmitDropOldest(1, "limited of one")
			must(t, srv.Broadcast().Latest("k2").Emit("latest"))
			must(t, srv.Broadcast().DropOldest(1).Emit("limited"))
			must(t, srv.To(v.id).Compress(false).DropOldest(1).Emit("limited, too"))
		}
		emitAll()
		v.Want(`42["latest of one"]`, `42["limited of one"]`, `42["latest"]`, `42["limited"]`, `42["limited, too"]`)
		v.Abort()
		synctest.Wait()
		emitAll()
		must(t, srv.Emit("missed"))
		must(t, s.Emit("missed, too"))
		if err := s.EmitLatest("k", "to nobody"); !errors.Is(err, sio.ErrDisconnected) {
			t.Errorf("EmitLatest: %v", err)
		}
		if got := v.connect(t, d.WebSocket(t)); len(got) != 2 || got[0] != `42["missed"]` || got[1] != `42["missed, too"]` {
			t.Errorf("missed %q", got)
		}
	})
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) { // by default
		srv.DropOldestByDefault(10)
		v := new(visitor)
		v.connect(t, d.WebSocket(t))
		synctest.Wait()
		s := srv.Socket(v.id)
		must(t, s.Emit("limited"))
		must(t, s.EmitDropOldest(0, "kept"))
		v.Want(`42["limited"]`)
		v.want(t, `42["kept"]`)
		v.Abort()
		synctest.Wait()
		if err := s.Emit("lost"); !errors.Is(err, sio.ErrDisconnected) {
			t.Errorf("Emit: %v", err)
		}
		must(t, srv.Emit("lost"))
		must(t, srv.Broadcast().DropOldest(0).Emit("kept"))
		if got := v.connect(t, d.WebSocket(t)); len(got) != 1 || got[0] != `42["kept"]` {
			t.Errorf("missed %q", got)
		}
	})
}

// A cluster whose servers share a log publishes such events past the log.
func TestDroppableEventsInACluster(t *testing.T) {
	cluster := adapter.NewMemory()
	synctest.Test(t, func(t *testing.T) {
		var servers [2]*sio.Server
		var clients [2]*siotest.Client
		for i := range servers {
			servers[i] = newServer(t, &sio.Options{Adapter: cluster})
			t.Cleanup(func() { shutdown(t, servers[i]) })
			clients[i] = siotest.Pipes(t, servers[i]).Polling(t)
			clients[i].Connect("/", "")
		}
		synctest.Wait()
		for i := range 3 {
			must(t, servers[0].Broadcast().Latest("k").Emit("latest", i))
			must(t, servers[1].Broadcast().DropOldest(2).Emit("limited", i))
			must(t, servers[i%2].Broadcast().DropOldest(1).Emit("by both", i))
			synctest.Wait()
		}
		for _, c := range clients {
			c.Want(`42["limited",1]`, `42["latest",2]`, `42["limited",2]`, `42["by both",2]`)
		}
		if err := servers[0].Broadcast().Latest("\xff").Emit("latest"); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("a key that cannot be sent: %v", err)
		}
	})
}

func TestOnDrained(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				echo(srv.Namespace)
				c := open(t, d)
				s := stalled(t, srv, c)
				var st story
				on := func(name string, limit int) bool {
					return s.OnDrained(limit, func(err error) { st.add("%s: %v", name, err) })
				}
				if !on("empty", 0) {
					t.Error("refused")
				}
				if on("second", 1<<30) {
					t.Error("two of them wait")
				}
				must(t, s.Emit("more"))
				synctest.Wait()
				st.want(t)
				wantBehindWall(t, c, `42["more"]`)
				synctest.Wait()
				st.want(t, "empty: <nil>")
				if !on("at once", 0) {
					t.Error("refused, while nothing waits")
				}
				synctest.Wait()
				st.want(t, "empty: <nil>", "at once: <nil>")
			})
		})
	}
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) { // at a mark; from within; dropped events
		c := d.Polling(t)
		s := srv.Socket(c.Connect("/", ""))
		synctest.Wait()
		var st story
		must(t, s.EmitLatest("k", "e", strings.Repeat("x", 10_000)))
		s.OnDrained(5_000, func(error) {
			st.add("first at %t", s.Buffered() < 5_000)
			s.OnDrained(0, func(error) { st.add("second at %d", s.Buffered()) })
		})
		synctest.Wait()
		st.want(t)
		must(t, s.EmitLatest("k", "e"))
		synctest.Wait()
		st.want(t, "first at true")
		c.Want(`42["e"]`)
		synctest.Wait()
		st.want(t, "first at true", "second at 0")
	})
}

// Whatever happens to the client, the function is called once.
func TestOnDrainedIsToldOfTheEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(c *siotest.Client, s *sio.Socket)
		read bool // the client has to read first
	}{
		"the connection breaks":      {func(c *siotest.Client, _ *sio.Socket) { c.Abort() }, false},
		"the client is silent":       {func(*siotest.Client, *sio.Socket) { time.Sleep(time.Minute) }, false},
		"the server closes":          {func(_ *siotest.Client, s *sio.Socket) { _ = s.Close() }, false},
		"the client leaves":          {func(c *siotest.Client, _ *sio.Socket) { c.Send("41") }, true},
		"the client is disconnected": {func(_ *siotest.Client, s *sio.Socket) { _ = s.Disconnect() }, true},
		"too much waits for the client": {func(_ *siotest.Client, s *sio.Socket) {
			_ = s.Emit("e", strings.Repeat(wall, 170)) // more than the buffer
			_ = s.Emit("e")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				c := d.WebSocket(t)
				s := stalled(t, srv, c)
				got := make(chan error, 2)
				if !s.OnDrained(0, func(err error) { got <- err }) {
					t.Fatal("refused")
				}
				tt.end(c, s)
				synctest.Wait()
				if tt.read {
					c.Next()
				}
				if err := <-got; !errors.Is(err, sio.ErrDisconnected) {
					t.Errorf("error %v", err)
				}
				synctest.Wait()
				if len(got) > 0 || s.OnDrained(0, func(err error) { got <- err }) {
					t.Error("called again")
				}
			})
		})
	}
}

// A function that fails stops no other one. Shutdown waits for it.
func TestOnDrainedSurvivesTheApplication(t *testing.T) {
	for name, fail := range map[string]func(){
		"panic": func() { panic("oh no") },
		"exit":  runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			l := new(logbook)
			bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				s := stalled(t, srv, d.Polling(t))
				s.OnDrained(0, func(error) { fail() })
				c := make(chan error, 1)
				must(t, s.Close())
				synctest.Wait()
				l.one(t, "a function of OnDrained failed")
				s = stalled(t, srv, d.Polling(t))
				s.OnDrained(0, func(err error) { time.Sleep(time.Second); c <- err })
				must(t, srv.Shutdown(t.Context()))
				select {
				case err := <-c:
					if !errors.Is(err, sio.ErrDisconnected) {
						t.Errorf("error %v", err)
					}
				default:
					t.Error("Shutdown has not waited")
				}
			})
		})
	}
}
