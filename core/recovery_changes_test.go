package sio_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// A guest is a visitor in the rooms "secret" and "user".
type guest struct {
	*visitor

	sock *sio.Socket
}

// inSecret has clients that do not recover be put into rooms, and returns where their
// sockets are found.
func inSecret(srv *sio.Server) <-chan *sio.Socket {
	sockets := make(chan *sio.Socket, 10)
	srv.OnConnect(func(c *sio.Ctx) error {
		sockets <- c.Socket
		if c.Recovered() {
			return nil
		}
		return c.Join("secret", "user")
	})
	return sockets
}

func arriveInSecret(t *testing.T, srv *sio.Server, d siotest.Dialer) guest {
	t.Helper()
	sockets := inSecret(srv)
	v := arrive(t, srv, d.WebSocket(t))
	return guest{v, <-sockets}
}

// leave has the client lose its connection.
func (g guest) leave(t *testing.T) {
	t.Helper()
	g.Abort()
	synctest.Wait()
}

// mustBeNobody fails if the client comes back with anything that it had.
func (g guest) mustBeNobody(t *testing.T, srv *sio.Server, d siotest.Dialer) {
	t.Helper()
	must(t, srv.To("secret").Emit("said", "after the kick"))
	id, pid := g.id, g.pid
	if missed := g.connect(t, d.WebSocket(t)); len(missed) > 0 || g.id == id || g.pid == pid {
		t.Errorf("missed %q, same id: %v, same private id: %v", missed, g.id == id, g.pid == pid)
	}
}

// measures are the ways to have a client out of the room "secret".
func measures() map[string]struct {
	take   func(srv *sio.Server, g guest) error
	kicked bool // it does not recover
} {
	type measure = struct {
		take   func(srv *sio.Server, g guest) error
		kicked bool
	}
	return map[string]measure{
		"Leave by room":        {func(srv *sio.Server, _ guest) error { return srv.To("user").Leave("secret") }, false},
		"Leave by the room":    {func(srv *sio.Server, _ guest) error { return srv.To("secret").Leave("a", "secret") }, false},
		"Leave by id":          {func(srv *sio.Server, g guest) error { return srv.To(g.id).Leave("secret") }, false},
		"Leave of all":         {func(srv *sio.Server, _ guest) error { return srv.Broadcast().Leave("secret") }, false},
		"Leave of all others":  {func(srv *sio.Server, _ guest) error { return srv.Except("others").Leave("secret") }, false},
		"volatile Leave":       {func(srv *sio.Server, _ guest) error { return srv.To("user").Volatile().Leave("secret") }, false},
		"Leave of the socket":  {func(_ *sio.Server, g guest) error { return g.sock.Leave("secret") }, false},
		"Unpin of the socket":  {func(_ *sio.Server, g guest) error { return g.sock.Unpin("secret") }, false},
		"Disconnect by room":   {func(srv *sio.Server, _ guest) error { return srv.To("user").Disconnect() }, true},
		"Disconnect by id":     {func(srv *sio.Server, g guest) error { return srv.To(g.id).Local().Disconnect() }, true},
		"Disconnect of all":    {func(srv *sio.Server, _ guest) error { return srv.Broadcast().Disconnect() }, true},
		"volatile Disconnect":  {func(srv *sio.Server, _ guest) error { return srv.To("user").Volatile().Disconnect() }, true},
		"Close by room":        {func(srv *sio.Server, _ guest) error { return srv.To("user").Close() }, true},
		"Disconnect by socket": {func(_ *sio.Server, g guest) error { return g.sock.Disconnect() }, true},
		"Close by socket":      {func(_ *sio.Server, g guest) error { return g.sock.Close() }, true},
		"Leave, then Disconnect": {func(srv *sio.Server, _ guest) error {
			return errors.Join(srv.To("user").Leave("user"), srv.To("secret").Disconnect())
		}, true},
	}
}

// What is done to a client while it is away counts when it comes back.
func TestMeasuresReachClientsThatAreAway(t *testing.T) {
	for name, m := range measures() {
		t.Run(name, func(t *testing.T) {
			bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				g := arriveInSecret(t, srv, d)
				g.leave(t)
				must(t, srv.To("secret").Emit("said", "before the kick"))
				must(t, m.take(srv, g))
				if m.kicked {
					g.mustBeNobody(t, srv, d)
					return
				}
				must(t, srv.To("secret").Emit("said", "after the kick"))
				id := g.id
				missed := g.connect(t, d.WebSocket(t))
				if g.id != id || !slices.Equal(missed, []string{`42["said","before the kick"]`}) {
					t.Errorf("missed %q, same id: %v", missed, g.id == id)
				}
				must(t, srv.To("secret").Emit("said", "later"))
				must(t, srv.To(g.id).Emit("end"))
				g.want(t, `42["end"]`)
			})
		})
	}
}

// Between the loss of the connection and the moment when the session is saved there may
// be any time: OnDisconnect runs then.
func TestMeasuresReachClientsThatAreJustLeaving(t *testing.T) {
	for name, m := range measures() {
		t.Run(name, func(t *testing.T) {
			bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				g := arriveInSecret(t, srv, d)
				var once sync.Once
				srv.OnDisconnect(func(*sio.Socket, sio.Reason) { once.Do(func() { must(t, m.take(srv, g)) }) })
				g.leave(t)
				if m.kicked {
					g.mustBeNobody(t, srv, d)
					return
				}
				must(t, srv.To("secret").Emit("said", "after the kick"))
				if missed := g.connect(t, d.WebSocket(t)); len(missed) > 0 {
					t.Errorf("missed %q", missed)
				}
			})
		})
	}
}

// The session is claimed, and the client waits for its answer.
func TestMeasuresReachClientsThatAreComingBack(t *testing.T) {
	for name, m := range measures() {
		for _, when := range []string{"claim", "chain"} {
			t.Run(name+"/"+when, func(t *testing.T) {
				l := &slowLog{Log: adapter.NewMemoryLog(adapter.MemoryLogOptions{})}
				opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{
					Log: func(string) adapter.Log { return l }, RunMiddlewares: true,
				}}
				bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					hold, release := make(chan struct{}), make(chan struct{})
					l.claims = release
					if when == "chain" {
						l.claims = hold
						close(hold)
					}
					srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
						if c.Recovered() {
							<-release
						}
						return nil
					}))
					g := arriveInSecret(t, srv, d)
					g.leave(t)
					id := g.id
					c := d.WebSocket(t)
					c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, g.pid, g.offset))
					synctest.Wait()
					must(t, m.take(srv, g))
					must(t, srv.To("secret").Emit("said", "after the kick"))
					close(release)
					back := &visitor{Client: c}
					if missed := back.answered(t); len(missed) > 0 || m.kicked == (back.id == id) {
						t.Errorf("missed %q, same id: %v", missed, back.id == id)
					}
				})
			})
		}
	}
}

// A client that is sent a lot, and is in no hurry to read it, can be kicked meanwhile.
func TestDisconnectReachesAClientWhileItIsSentWhatItMissed(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		g := arriveInSecret(t, srv, d)
		g.leave(t)
		for i := range 100 {
			must(t, srv.To("secret").Emit("said", i, make([]byte, 10_000)))
		}
		c, id := d.WebSocket(t), g.id
		c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, g.pid, g.offset))
		synctest.Wait()
		must(t, srv.To("user").Disconnect())
		must(t, srv.To("secret").Emit("said", "after the kick"))
		back := &visitor{Client: c}
		missed := back.answered(t)
		if back.id == id {
			t.Error("it came back as what it was")
		}
		if n := len(missed); n > 200 || n > 0 && missed[n-1] == `42["said","after the kick"]` {
			t.Errorf("missed %d packets, the last one %.50s", n, missed[n-1])
		}
	})
}

func TestMeasuresOfOtherServersReachClientsThatAreAway(t *testing.T) {
	cluster(t, 2, sio.Options{ConnectionStateRecovery: &sio.Recovery{}}, func(t *testing.T, fl *fleet) {
		g := arriveInSecret(t, fl.servers[0], fl.dialers[0])
		g.leave(t)
		must(t, fl.servers[1].To("user").Leave("secret"))
		must(t, fl.servers[1].To("secret").Emit("said", "after the kick"))
		id := g.id
		if missed := g.connect(t, fl.dialers[0].WebSocket(t)); len(missed) > 0 || g.id != id {
			t.Errorf("missed %q, same id: %v", missed, g.id == id)
		}
		synctest.Wait()
		g.leave(t)
		must(t, fl.servers[1].To("user").Disconnect())
		g.mustBeNobody(t, fl.servers[0], fl.dialers[0])
	})
}

// The client comes back to a server that was not there when it was kicked.
func TestMeasuresReachClientsThatComeBackToAnotherServer(t *testing.T) {
	l := new(sharedLog)
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{Log: l.open}}
	var g guest
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		g = arriveInSecret(t, srv, d)
		g.leave(t)
		must(t, srv.To("user").Disconnect())
	})
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) { g.mustBeNobody(t, srv, d) })
}

// A client that was disconnected while away is not told so: what is emitted to it is
// not kept any more.
func TestEmitsToAClientThatWasKickedWhileAwayFail(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		g := arriveInSecret(t, srv, d)
		g.leave(t)
		must(t, g.sock.Emit("kept"))
		must(t, g.sock.Disconnect())
		for what, err := range map[string]error{
			"Emit": g.sock.Emit("e"), "Join": g.sock.Join("a"), "Leave": g.sock.Leave("a"), "Disconnect": g.sock.Disconnect(),
		} {
			if !errors.Is(err, sio.ErrDisconnected) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

// Whose connection is closed is out of all namespaces, also where it waits to be
// recovered.
func TestCloseReachesTheOtherNamespacesOfAClientThatIsAway(t *testing.T) {
	type scene struct {
		srv   *sio.Server
		d     siotest.Dialer
		g     guest
		other *visitor // the same client in /other
	}
	for name, tt := range map[string]struct {
		do   func(t *testing.T, s *scene)
		kept bool
	}{
		"nothing":    {func(*testing.T, *scene) {}, true},
		"Disconnect": {func(t *testing.T, s *scene) { t.Helper(); must(t, s.srv.To("user").Disconnect()) }, true},
		"Close":      {func(t *testing.T, s *scene) { t.Helper(); must(t, s.srv.To("user").Close()) }, false},
		"by socket":  {func(t *testing.T, s *scene) { t.Helper(); must(t, s.g.sock.Close()) }, false},
		"it has come back to one": {func(t *testing.T, s *scene) {
			t.Helper()
			s.g.connect(t, s.d.WebSocket(t))
			must(t, s.srv.To("user").Close())
			synctest.Wait()
		}, false},
		"it was refused by one": {func(t *testing.T, s *scene) {
			t.Helper()
			must(t, s.srv.To("user").Close())
			s.g.mustBeNobody(t, s.srv, s.d)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				other := srv.Of("/other")
				s := &scene{srv, d, arriveInSecret(t, srv, d), &visitor{namespace: "/other,"}}
				s.other.connect(t, s.g.Client)
				must(t, other.Emit("hi"))
				s.other.want(t, `42/other,["hi"]`)
				s.g.leave(t)
				tt.do(t, s)
				must(t, other.Emit("missed"))
				id := s.other.id
				for _, kept := range []bool{tt.kept, true} { // afterwards it is a client like others
					missed := s.other.connect(t, d.WebSocket(t))
					if kept != (s.other.id == id) || kept != (len(missed) > 0) {
						t.Fatalf("missed %q, same id: %v, want %v", missed, s.other.id == id, kept)
					}
					must(t, other.Emit("hi"))
					s.other.want(t, `42/other,["hi"]`)
					s.other.Abort()
					synctest.Wait()
					must(t, other.Emit("missed"))
					id = s.other.id
				}
			})
		})
	}
}
