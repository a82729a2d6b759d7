package sio_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

var recovering = &sio.Options{ConnectionStateRecovery: &sio.Recovery{}}

// A visitor is a client that can recover its session, as the official client
// does it.
type visitor struct {
	*siotest.Client

	id, pid string
	offset  string // of the last event

	namespace string // with a comma, or "" for the root one
}

// connect connects to the namespace, with the session to recover if there
// is one, and returns what came before the answer.
func (v *visitor) connect(t *testing.T, c *siotest.Client) (missed []string) {
	t.Helper()
	v.Client = c
	auth := ""
	if v.pid != "" {
		auth = fmt.Sprintf(`{"pid":%q,"offset":%q}`, v.pid, v.offset)
	}
	c.Send("40" + v.namespace + auth)
	return v.answered(t)
}

// answered waits for the answer to CONNECT, and returns what came before.
func (v *visitor) answered(t *testing.T) (missed []string) {
	t.Helper()
	for {
		p := v.Next()
		data, ok := strings.CutPrefix(p, "40"+v.namespace)
		if !ok {
			missed = append(missed, v.event(t, p))
			continue
		}
		var reply struct{ SID, PID string }
		if err := json.Unmarshal([]byte(data), &reply); err != nil || reply.SID == "" || reply.PID == "" || reply.SID == reply.PID {
			t.Fatalf("answer %s", p)
		}
		v.id, v.pid = reply.SID, reply.PID
		return missed
	}
}

// event returns an event without its offset, which it remembers.
func (v *visitor) event(t *testing.T, p string) string {
	t.Helper()
	if strings.HasPrefix(p, "b") { // an attachment
		return p
	}
	i := strings.LastIndex(p, `,"`)
	if i < 0 || !strings.HasSuffix(p, `"]`) {
		t.Fatalf("%s has no offset", p)
	}
	v.offset = p[i+2 : len(p)-2]
	return p[:i] + "]"
}

// want reads events.
func (v *visitor) want(t *testing.T, events ...string) {
	t.Helper()
	for _, want := range events {
		if got := v.event(t, v.Next()); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// arrive connects a new visitor, who has got an event.
func arrive(t *testing.T, srv *sio.Server, c *siotest.Client) *visitor {
	t.Helper()
	v := new(visitor)
	v.connect(t, c)
	must(t, srv.To(v.id).Emit("hi"))
	v.want(t, `42["hi"]`)
	synctest.Wait() // for OnConnect
	return v
}

func TestSIO_CSR_1_SIO_CSR_2_SIO_CSR_3_WhatCarriesAnOffset(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		cr := make(chan *sio.Socket, 1)
		srv.OnConnect(func(c *sio.Ctx) error { cr <- c.Socket; return nil })
		var v visitor
		v.connect(t, d.WebSocket(t))
		s := <-cr
		offsets := map[string]bool{}
		for i, emit := range []func() error{
			func() error { return srv.Emit("e") },
			func() error { return s.Emit("e") },
			func() error { return srv.To(s.ID()).Emit("e") },
			func() error { return s.Self().Compress(false).Emit("e") },
		} {
			must(t, emit())
			v.want(t, `42["e"]`)
			offsets[v.offset] = true
			if len(offsets) != i+1 {
				t.Errorf("offset %s again", v.offset)
			}
		}
		must(t, s.Emit("e", []byte{7}))
		v.want(t, `451-["e",{"_placeholder":true,"num":0}]`, "bBw==")
		for _, emit := range []func() error{
			func() error { return s.EmitVolatile("volatile") },
			func() error { return srv.Broadcast().Volatile().Emit("volatile") },
		} {
			synctest.Wait() // until it is ready to receive
			must(t, emit())
			v.Want(`42["volatile"]`)
		}
		go func() {
			_, err := s.EmitWithAck(t.Context(), "q")
			must(t, err)
			for range sio.BroadcastWithAck[int](t.Context(), srv.Broadcast(), "q") {
			}
		}()
		quiz(t, v.Client, `["q"]`)(`[]`)
		quiz(t, v.Client, `["q"]`)(`[]`)
	})
}

func TestSIO_CSR_6_SIO_CSR_7_SIO_CSR_13_MissedEvents(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.On("join", sio.Reply(func(c *sio.Ctx, room string) (int, error) { return 0, c.Join(room) }))
				v, other := arrive(t, srv, open(t, d)), arrive(t, srv, d.WebSocket(t))
				v.Send(`421["join","a"]`)
				v.Want(`431[0]`)
				v.Abort()
				synctest.Wait()
				old := v.id
				must(t, srv.Emit("all", 1))
				must(t, srv.To("a").Emit("room", 2, []byte{7}))
				must(t, srv.To("b").Emit("another room"))
				must(t, srv.To(old).Emit("direct", 3))
				must(t, srv.Except("a").Emit("not for me"))
				must(t, srv.To(other.id).Emit("not for me either"))
				must(t, srv.Broadcast().Volatile().Emit("volatile"))
				missed := v.connect(t, open(t, d))
				want := []string{`42["all",1]`, `451-["room",2,{"_placeholder":true,"num":0}]`, "bBw==", `42["direct",3]`}
				if !slices.Equal(missed, want) {
					t.Errorf("missed %q, want %q", missed, want)
				}
				if v.id != old {
					t.Error("another id")
				}
				must(t, srv.To("a").Emit("still in the room"))
				v.want(t, `42["still in the room"]`)
			})
		})
	}
}

func TestSIO_CSR_8_SIO_CSR_9_WhatIsRecovered(t *testing.T) {
	for _, run := range []bool{false, true} {
		t.Run(fmt.Sprint("RunMiddlewares ", run), func(t *testing.T) {
			opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{RunMiddlewares: run}}
			bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var happened story
				private := sio.NewKey[*int]("private")
				n := 7
				srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { happened.add("middleware %v", c.Recovered()); return nil }))
				srv.OnConnect(func(c *sio.Ctx) error {
					happened.add("connect %v", c.Recovered())
					if !c.Recovered() {
						nick.Set(c.Socket, "Ann")
						private.Set(c.Socket, &n)
						return c.Join("a")
					}
					name, _ := nick.Get(c.Socket)
					p, _ := private.Get(c.Socket)
					happened.add("%s %v %v %s", name, p == &n, c.Rooms()[1:], c.Handshake().Header.Get("X-Connection"))
					return nil
				})
				d.Header = map[string][]string{"X-Connection": {"first"}}
				v := arrive(t, srv, d.WebSocket(t))
				v.Abort()
				synctest.Wait()
				d.Header = map[string][]string{"X-Connection": {"second"}}
				v.connect(t, d.WebSocket(t))
				synctest.Wait()
				want := []string{"middleware false", "connect false", "middleware true", "connect true", "Ann true [a] second"}
				if !run {
					want = slices.Delete(want, 2, 3)
				}
				happened.want(t, want...)
			})
		})
	}
}

func TestSIO_CSR_4_ReasonsForWhichSessionsAreKept(t *testing.T) {
	for name, tt := range map[string]struct {
		part func(v *visitor, s *sio.Socket)
		kept bool
	}{
		"transport close":             {func(v *visitor, _ *sio.Socket) { v.Abort() }, true},
		"closed by the client":        {func(v *visitor, _ *sio.Socket) { v.Close() }, true},
		"ping timeout":                {func(*visitor, *sio.Socket) { time.Sleep(time.Minute) }, true},
		"forced close":                {func(v *visitor, _ *sio.Socket) { v.Send("4nonsense") }, true},
		"server namespace disconnect": {func(_ *visitor, s *sio.Socket) { _ = s.Disconnect() }, false},
		"server disconnect":           {func(_ *visitor, s *sio.Socket) { _ = s.Close() }, false},
		"client namespace disconnect": {func(v *visitor, _ *sio.Socket) { v.Send("41") }, false},
		"parse error":                 {func(v *visitor, _ *sio.Socket) { v.Send("9") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				sockets := make(chan *sio.Socket, 2)
				srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
				v := arrive(t, srv, d.WebSocket(t))
				old, pid := v.id, v.pid
				tt.part(v, <-sockets)
				synctest.Wait()
				must(t, srv.Emit("missed"))
				missed := v.connect(t, d.WebSocket(t))
				if tt.kept != (v.id == old && v.pid == pid && len(missed) == 1) || tt.kept != (<-sockets).Recovered() {
					t.Errorf("same id: %v, same pid: %v, missed %q", v.id == old, v.pid == pid, missed)
				}
			})
		})
	}
}

func TestSIO_CSR_5_WhoCannotRecover(t *testing.T) {
	for name, change := range map[string]func(v *visitor){
		"unknown session":  func(v *visitor) { v.pid = "unknown" },
		"unknown offset":   func(v *visitor) { v.offset = "unknown" },
		"no offset":        func(v *visitor) { v.offset = "" },
		"too late":         func(*visitor) { time.Sleep(2*time.Minute + time.Second) },
		"an id, no secret": func(v *visitor) { v.pid = v.id },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				v := arrive(t, srv, d.WebSocket(t))
				v.Abort()
				synctest.Wait()
				old, pid := v.id, v.pid
				must(t, srv.Emit("missed"))
				change(v)
				if missed := v.connect(t, d.WebSocket(t)); len(missed) > 0 || v.id == old || v.pid == pid {
					t.Errorf("missed %q; same id: %v, same pid: %v", missed, v.id == old, v.pid == pid)
				}
				must(t, srv.Emit("e"))
				v.want(t, `42["e"]`)
			})
		})
	}
}

func TestSIO_CN_4_OnlyStringsName(t *testing.T) {
	for _, auth := range []string{`{"pid":1,"offset":%[2]q}`, `{"pid":%[1]q,"offset":1}`, `{"pid":%[1]q}`, `{"pid":[%[1]q],"offset":[%[2]q]}`} {
		bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
			v := arrive(t, srv, d.WebSocket(t))
			v.Abort()
			synctest.Wait()
			c := d.WebSocket(t)
			c.Send("40" + fmt.Sprintf(auth+"%[3]s", v.pid, v.offset, ""))
			if p := c.Next(); !strings.HasPrefix(p, `40{"sid":`) || strings.Contains(p, v.id) || strings.Contains(p, v.pid) {
				t.Errorf("%s: %s", auth, p)
			}
		})
	}
}

func TestSIO_CSR_10_WithoutTheOption(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("recovered", c.Recovered()) })
		c := d.WebSocket(t)
		c.Send(`40{"pid":"a","offset":"b"}`)
		if p := c.Next(); strings.Contains(p, "pid") {
			t.Error(p)
		}
		c.Want(`42["recovered",false]`)
	})
}

func TestWrongRecoveryOptionsPanic(t *testing.T) {
	mustPanic(t, func() { sio.New(&sio.Options{ConnectionStateRecovery: &sio.Recovery{MaxBytes: -1}}) }, "Recovery.MaxBytes")
}
