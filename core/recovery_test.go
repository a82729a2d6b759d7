package sio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

var recovering = &sio.Options{ConnectionStateRecovery: &sio.Recovery{}}

// A visitor is a client that can recover its session, as the official client
// does it.
type visitor struct {
	*siotest.Client

	id, pid string
	offset  string // of the last event
}

// connect connects to the root namespace, with the session to recover if there
// is one, and returns what came before the answer.
func (v *visitor) connect(t *testing.T, c *siotest.Client) (missed []string) {
	t.Helper()
	v.Client = c
	auth := ""
	if v.pid != "" {
		auth = fmt.Sprintf(`{"pid":%q,"offset":%q}`, v.pid, v.offset)
	}
	c.Send("40" + auth)
	for {
		p := c.Next()
		data, ok := strings.CutPrefix(p, "40")
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

func TestSIO_CSR_11_ASessionIsRestoredOnce(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		clone := *v
		v.connect(t, d.WebSocket(t))
		clone.connect(t, d.WebSocket(t)) // takes the connection over, as a client does that was cut again
		v.UntilClosed()
		third := *v
		if third.connect(t, d.WebSocket(t)); third.id != clone.id {
			t.Error("the session was lost")
		}
		must(t, srv.To(third.id).Emit("one"))
		third.want(t, `42["one"]`)
	})
}

// A log takes its time, and a client does not wait for it: the connection that it
// gave up must not end up with a session that the next one looks for.
func TestASessionIsTakenOverWhileItIsBeingClaimed(t *testing.T) {
	l := &slowLog{Log: adapter.NewMemoryLog(adapter.MemoryLogOptions{})}
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{Log: func(string) adapter.Log { return l }}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		l.claims = make(chan struct{})
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		first := d.WebSocket(t)
		first.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
		synctest.Wait() // it has the session now, but the server does not know
		go func() {
			synctest.Wait()
			close(l.claims)
		}()
		old := v.id
		if v.connect(t, d.WebSocket(t)); v.id != old {
			t.Error("the session was lost")
		}
		first.UntilClosed()
	})
}

// A slowLog takes a session out and then waits until claims is closed.
type slowLog struct {
	adapter.Log

	claims chan struct{}
}

func (l *slowLog) Claim(ctx context.Context, pid, offset string) (*adapter.Session, error) {
	s, err := l.Log.Claim(ctx, pid, offset)
	<-l.claims
	return s, err
}

// A phone changes from one network to another: it is back before the server can
// know that it has gone.
func TestClientsRecoverBeforeTheServerKnowsThatTheyAreGone(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				left := reasons(srv.Namespace)
				srv.OnConnect(func(c *sio.Ctx) error { return c.Join("a") })
				v := arrive(t, srv, open(t, d))
				old := v.id
				must(t, srv.To("a").Emit("into the void"))
				if missed := v.connect(t, open(t, d)); v.id != old || !slices.Equal(missed, []string{`42["into the void"]`}) {
					t.Errorf("missed %q, same id: %v", missed, v.id == old)
				}
				mustReason(t, left, sio.ReasonForcedClose)
				must(t, srv.To("a").Emit("e"))
				v.want(t, `42["e"]`)
			})
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

// What handlers emit to a client that has just lost its connection is not lost.
func TestEmitsToAClientThatIsAwayAreKept(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s *sio.Socket
		srv.OnConnect(func(c *sio.Ctx) error { s = c.Socket; return nil })
		srv.OnDisconnect(func(s *sio.Socket, r sio.Reason) {
			if err := s.Emit("while leaving"); (err == nil) != (r == sio.ReasonTransportClose) {
				t.Errorf("%s: %v", r, err)
			}
		})
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		must(t, s.Emit("afterwards"))
		if missed := v.connect(t, d.WebSocket(t)); !slices.Equal(missed, []string{`42["while leaving"]`, `42["afterwards"]`}) {
			t.Errorf("missed %q", missed)
		}
		v.Send("41")
		synctest.Wait()
		if err := s.Emit("to nobody"); err == nil {
			t.Error("emitted to a client that will not come back")
		}
	})
}

func TestSIO_CSR_9_RefusedWhenTheyComeBack(t *testing.T) {
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{RunMiddlewares: true}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		banned := false
		srv.UseConnect(sio.Guard(func(*sio.Ctx) error {
			if banned {
				return &sio.Error{Message: "banned"}
			}
			return nil
		}))
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		must(t, srv.Emit("missed"))
		banned = true
		c := d.WebSocket(t)
		c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
		c.Want(`44{"message":"banned"}`) // and nothing of what it missed
	})
}

func TestMiddlewareThatInsistsIsAskedAgain(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var happened story
		banned := false
		insist := func(name string) sio.Middleware {
			check := func(c *sio.Ctx) error {
				happened.add("%s %v %v", name, c.Recovered(), c.Connected())
				if banned {
					return &sio.Error{Message: "banned by " + name}
				}
				return nil
			}
			return sio.Guard(func(c *sio.Ctx) error {
				c.OnRecover(check)
				return check(c)
			})
		}
		srv.UseConnect(insist("first"), insist("second"))
		v := arrive(t, srv, d.WebSocket(t))
		for range 2 { // each time, and in order
			v.Abort()
			synctest.Wait()
			v.connect(t, d.WebSocket(t))
		}
		happened.want(t, "first false false", "second false false", "first true false", "second true false",
			"first true false", "second true false")
		v.Abort()
		synctest.Wait()
		must(t, srv.Emit("missed"))
		banned = true
		c := d.WebSocket(t)
		c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
		c.Want(`44{"message":"banned by first"}`) // and nothing of what it missed
	})
}

func TestWhatMiddlewareLeavesForAcceptedClients(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var happened story
		failing := false
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			c.OnAccept(func(c *sio.Ctx) error {
				happened.add("accepted %v %v", c.Recovered(), c.Connected())
				if failing {
					return &sio.Error{Message: "changed my mind"}
				}
				return nil
			})
			if c.Handshake().Auth == nil {
				return &sio.Error{Message: "no"}
			}
			return nil
		}))
		srv.OnConnect(func(*sio.Ctx) error { happened.add("connected"); return nil })
		refused := d.WebSocket(t)
		refused.Send("40")
		refused.Want(`44{"message":"no"}`)
		d.WebSocket(t).Connect("/", "{}")
		synctest.Wait()
		happened.want(t, "accepted false true", "connected")
		failing = true
		c := d.WebSocket(t)
		c.Connect("/", "{}")
		c.Want("41")
		happened.want(t, "accepted false true", "connected", "accepted false true")
	})
}

func TestHooksAreForTheConnectChain(t *testing.T) {
	bubble(t, &sio.Options{Logger: slog.New(slog.DiscardHandler)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		nothing := func(*sio.Ctx) error { return nil }
		for name, hook := range map[string]func(*sio.Ctx){
			"accept":  func(c *sio.Ctx) { c.OnAccept(nothing) },
			"recover": func(c *sio.Ctx) { c.OnRecover(nothing) },
		} {
			srv.On(name, func(c *sio.Ctx) error {
				hook(c)
				return c.Ack()
			})
		}
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`420["accept"]`, `421["recover"]`)
		c.Want(`430[{"error":{"message":"internal error"}}]`, `431[{"error":{"message":"internal error"}}]`)
	})
}

func TestSIO_CL_7_ShutdownKeepsSessions(t *testing.T) {
	l := new(sharedLog)
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{Log: l.open}}
	var v *visitor
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OnConnect(func(c *sio.Ctx) error { nick.Set(c.Socket, "Ann"); return nil })
		v = arrive(t, srv, d.WebSocket(t))
		must(t, srv.Shutdown(t.Context()))
		v.UntilClosed()
	})
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) { // another process, as it were
		srv.OnConnect(func(c *sio.Ctx) error {
			name, _ := nick.Get(c.Socket)
			return c.Emit("welcome", name, c.Recovered())
		})
		old := v.id
		v.connect(t, d.WebSocket(t))
		v.want(t, `42["welcome","Ann",true]`)
		if v.id != old {
			t.Error("another id")
		}
	})
}

// Clients come and go while events are emitted: each gets all of them, once, in
// order.
func TestNothingIsMissedOrDoubled(t *testing.T) {
	srv, d := loopback(t, recovering)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("a") })
	const n, visitors = 600, 4
	var all sync.WaitGroup
	var ready sync.WaitGroup
	ready.Add(visitors)
	for range visitors {
		v := new(visitor)
		v.connect(t, d.WebSocket(t))
		all.Go(func() {
			v.event(t, v.Next())
			ready.Done()
			got := 0
			check := func(p string) {
				if want := fmt.Sprintf(`42["e",%d]`, got); p != want {
					t.Errorf("got %s, want %s", p, want)
				}
				got++
			}
			for got < n {
				if v.offset != "" && got%100 == 50 {
					v.Abort()
					for _, p := range v.connect(t, d.WebSocket(t)) {
						check(p)
					}
				}
				if got < n {
					check(v.event(t, v.Next()))
				}
			}
		})
	}
	must(t, srv.Emit("begin"))
	ready.Wait()
	for i := range n {
		must(t, srv.To("a").Emit("e", i))
	}
	all.Wait()
}

func TestWrongRecoveryOptionsPanic(t *testing.T) {
	mustPanic(t, func() { sio.New(&sio.Options{ConnectionStateRecovery: &sio.Recovery{MaxBytes: -1}}) }, "Recovery.MaxBytes")
}

// A sharedLog is one that outlives the servers that use it, as one behind a
// network would, and like that cannot keep what is no data.
type sharedLog struct {
	adapter.Log

	once sync.Once
}

func (l *sharedLog) open(string) adapter.Log {
	l.once.Do(func() { l.Log = adapter.NewMemoryLog(adapter.MemoryLogOptions{}) })
	return l
}

func (l *sharedLog) Save(ctx context.Context, s *adapter.Session) error {
	c := *s
	c.Local = nil
	return l.Log.Save(ctx, &c)
}

func (*sharedLog) Close() error { return nil }
