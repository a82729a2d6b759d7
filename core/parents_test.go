package sio_test

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

var dynamic = regexp.MustCompile(`^/dynamic-\d+$`)

func TestSIO_DY_1_SIO_DY_2_PatternsBringNamespacesAbout(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var asked story
		first := srv.OfFunc(func(name string, _ *sio.Handshake) bool { asked.add("first %s", name); return name == "/first" })
		second := srv.OfRegexp(dynamic)
		third := srv.OfFunc(func(name string, _ *sio.Handshake) bool { asked.add("third %s", name); return name != "/nobody" })
		where := func(parent string) sio.Handler {
			return func(c *sio.Ctx) error { return c.Ack(parent, c.Namespace().Name()) }
		}
		first.On("where", where("first"))
		second.On("where", where("second"))
		third.On("where", where("third"))
		if first.Name() != "/_0" || second.Name() != "/_1" || third.Name() != "/_2" {
			t.Errorf("parents %s %s %s", first.Name(), second.Name(), third.Name())
		}
		c := d.WebSocket(t)
		for name, parent := range map[string]string{"/first": "first", "/dynamic-1": "second", "/dynamic-x": "third"} {
			c.Connect(name, "")
			c.Send("42" + name + `,1["where"]`)
			c.Want("43" + name + `,1["` + parent + `","` + name + `"]`)
		}
		c.Send("40/nobody,")
		c.Want(`44/nobody,{"message":"Invalid namespace"}`)
		got := asked.told()
		if !slices.Contains(got, "first /dynamic-x") || slices.Contains(got, "third /first") || slices.Contains(got, "third /dynamic-1") {
			t.Errorf("asked %v", got)
		}
	})
}

func TestSIO_DY_10_MatchersSeeTheHandshake(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OfFunc(func(_ string, h *sio.Handshake) bool {
			return string(h.Auth) == `{"token":"`+secret+`"}` && h.Query.Get("EIO") == "4" && h.Header.Get("X-Test") == "yes"
		})
		d.Header = map[string][]string{"X-Test": {"yes"}}
		c := d.WebSocket(t)
		c.Connect("/a", `{"token":"`+secret+`"}`)
		c.Send("40/b,")
		c.Want(`44/b,{"message":"Invalid namespace"}`)
	})
}

func TestOfFuncThatPanicsDoesNotMatch(t *testing.T) {
	l := new(logbook)
	bubble(t, &sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OfFunc(func(string, *sio.Handshake) bool { panic("oops") })
		echo(srv.Namespace)
		c := d.WebSocket(t)
		c.Send("40/x,")
		c.Want(`44/x,{"message":"Invalid namespace"}`)
		c.Connect("/", "")
		mustEcho(t, c)
		if line := l.one(t, "OfFunc failed"); !strings.HasPrefix(line, "ERROR") {
			t.Error(line)
		}
	})
}

func TestSIO_DY_3_WhatParentsHaveTheirChildrenHave(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var happened story
		parent := srv.OfRegexp(dynamic)
		parent.UseConnect(sio.Guard(func(c *sio.Ctx) error { happened.add("middleware %s", c.Namespace().Name()); return nil }))
		parent.OnConnect(func(c *sio.Ctx) error { happened.add("connect %s", c.Namespace().Name()); return nil })
		c := d.WebSocket(t)
		c.Connect("/dynamic-1", "")
		synctest.Wait()
		happened.want(t, "middleware /dynamic-1", "connect /dynamic-1")
		parent.On("later", func(c *sio.Ctx) error { return c.Ack("also here") }) // also after the child was made
		c.Send(`42/dynamic-1,1["later"]`)
		c.Want(`43/dynamic-1,1["also here"]`)
		srv.Of("/dynamic-1").On("own", func(c *sio.Ctx) error { return c.Ack("only here") })
		c.Connect("/dynamic-2", "")
		c.Send(`42/dynamic-1,2["own"]`)
		c.Want(`43/dynamic-1,2["only here"]`)
		c.Send(`42/dynamic-2,3["own"]`, `42/dynamic-2,4["later"]`)
		c.Want(`43/dynamic-2,4["also here"]`)
	})
}

func TestSIO_DY_4_ClientsThatRaceShareOneChild(t *testing.T) {
	srv, d := loopback(t, nil)
	var made atomic.Int32
	srv.OnNewNamespace(func(*sio.Namespace) { made.Add(1) })
	srv.OfFunc(func(string, *sio.Handshake) bool { return true })
	const n = 20
	clients := make([]*siotest.Client, n)
	for i := range clients {
		clients[i] = d.WebSocket(t)
	}
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() { must(t, c.TrySend("40/same,")) })
	}
	all.Wait()
	for _, c := range clients {
		if p := c.Next(); !strings.HasPrefix(p, "40/same,{") {
			t.Fatal(p)
		}
	}
	must(t, srv.Of("/same").Emit("all"))
	for _, c := range clients {
		c.Want(`42/same,["all"]`)
	}
	if got := made.Load(); got != 1 {
		t.Errorf("%d namespaces", got)
	}
}

func TestSIO_DY_5_SIO_DY_6_BroadcastsToAParentReachAllChildren(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		parent := srv.OfRegexp(dynamic)
		parent.OnConnect(func(c *sio.Ctx) error { return c.Join(strings.TrimPrefix(c.Namespace().Name(), "/")) })
		other := d.WebSocket(t)
		other.Connect("/", "")
		var clients []*siotest.Client
		for i := range 3 {
			c := d.WebSocket(t)
			c.Connect(fmt.Sprint("/dynamic-", i), "")
			clients = append(clients, c)
		}
		synctest.Wait() // until they are in their rooms
		must(t, parent.Emit("all"))
		must(t, parent.To("dynamic-1", "dynamic-2").Emit("room"))
		must(t, parent.Except("dynamic-1").Emit("but one", []byte{}))
		sockets, err := parent.Broadcast().Fetch(t.Context())
		if err != nil || len(sockets) != 3 {
			t.Errorf("fetched %d, %v", len(sockets), err)
		}
		must(t, parent.Broadcast().Join("joined"))
		must(t, parent.To("joined").Emit("joined"))
		must(t, parent.Broadcast().Disconnect())
		const binary = `["but one",{"_placeholder":true,"num":0}]`
		clients[0].Want(`42/dynamic-0,["all"]`, `451-/dynamic-0,`+binary, "b", `42/dynamic-0,["joined"]`, `41/dynamic-0,`)
		clients[1].Want(`42/dynamic-1,["all"]`, `42/dynamic-1,["room"]`, `42/dynamic-1,["joined"]`, `41/dynamic-1,`)
		clients[2].Want(`42/dynamic-2,["all"]`, `42/dynamic-2,["room"]`, `451-/dynamic-2,`+binary, "b",
			`42/dynamic-2,["joined"]`, `41/dynamic-2,`)
		must(t, srv.Emit("end"))
		other.Want(`42["end"]`)
	})
}

func TestSIO_DY_7_NamespacesByHandBelongToTheirPattern(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		parent := srv.OfRegexp(dynamic)
		parent.On("both", func(c *sio.Ctx) error { return c.Ack(1) })
		srv.Of("/dynamic-101").On("own", func(c *sio.Ctx) error { return c.Ack(2) })
		c := d.WebSocket(t)
		c.Connect("/dynamic-101", "")
		c.Send(`42/dynamic-101,1["both"]`, `42/dynamic-101,2["own"]`)
		c.Want(`43/dynamic-101,1[1]`, `43/dynamic-101,2[2]`)
		must(t, parent.Emit("all"))
		c.Want(`42/dynamic-101,["all"]`)
	})
}

func TestSIO_DY_9_RecoveryGivesEachChildItsOwnOffset(t *testing.T) {
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		parent := srv.OfRegexp(dynamic)
		c := d.WebSocket(t)
		c.Connect("/dynamic-1", "")
		c.Connect("/dynamic-2", "")
		must(t, parent.Emit("all"))
		for range 2 {
			if p := c.Next(); strings.Count(p, `"`) != 4 { // the name and one offset
				t.Error(p)
			}
		}
	})
}

func TestSIO_NS_7_NewNamespacesAreTold(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var told story
		srv.Of("/before")
		srv.OnNewNamespace(func(n *sio.Namespace) {
			told.add("%s", n.Name())
			n.On("hello", func(c *sio.Ctx) error { return c.Ack() }) // in time for the first client
		})
		srv.OfRegexp(dynamic)
		srv.Of("/static")
		srv.Of("/static")
		c := d.WebSocket(t)
		c.Connect("/dynamic-1", "")
		c.Send(`42/dynamic-1,1["hello"]`)
		c.Want(`43/dynamic-1,1[]`)
		told.want(t, "/static", "/dynamic-1")
	})
}

// cleaned runs f with a server that forgets empty children, and the names that
// were made.
func cleaned(t *testing.T, opts sio.Options, f func(t *testing.T, srv *sio.Server, d siotest.Dialer, made *story)) {
	t.Helper()
	opts.CleanupEmptyChildNamespaces = true
	bubble(t, &opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var made story
		srv.OnNewNamespace(func(n *sio.Namespace) { made.add("%s", n.Name()) })
		parent := srv.OfRegexp(dynamic)
		parent.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			if string(c.Handshake().Auth) == `{"no":1}` {
				return &sio.Error{Message: "no"}
			}
			return nil
		}))
		echo(srv.Namespace)
		f(t, srv, d, &made)
	})
}

func TestSIO_CC_1_SIO_CC_2_EmptyChildrenEndAndComeAgain(t *testing.T) {
	cleaned(t, sio.Options{}, func(t *testing.T, _ *sio.Server, d siotest.Dialer, made *story) {
		a, b := d.WebSocket(t), d.WebSocket(t)
		a.Connect("/dynamic-1", "")
		b.Connect("/dynamic-1", "")
		a.Send("41/dynamic-1,")
		synctest.Wait()
		a.Connect("/dynamic-1", "")
		made.want(t, "/dynamic-1") // b was there all the time
		a.Send("41/dynamic-1,")
		b.Close()
		b.UntilClosed()
		synctest.Wait()
		a.Connect("/dynamic-1", "")
		made.want(t, "/dynamic-1", "/dynamic-1")
		a.Send("40/dynamic-2,{\"no\":1}") // a refusal is no reason to stay
		a.Want(`44/dynamic-2,{"message":"no"}`)
		synctest.Wait()
		a.Connect("/dynamic-2", "")
		made.want(t, "/dynamic-1", "/dynamic-1", "/dynamic-2", "/dynamic-2")
	})
}

func TestSIO_CC_3_SIO_CC_4_WhatStays(t *testing.T) {
	cleaned(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, made *story) {
		srv.Of("/static")
		byHand := srv.Of("/dynamic-7")
		a, b := d.WebSocket(t), d.WebSocket(t)
		for _, name := range []string{"/static", "/dynamic-7"} {
			a.Connect(name, "")
			a.Send("41" + name + ",")
			synctest.Wait()
			a.Connect(name, "")
		}
		if srv.Of("/dynamic-7") != byHand {
			t.Error("a namespace that the application holds was forgotten")
		}
		b.Connect("/dynamic-1", "")
		a.Send("40/dynamic-1,{\"no\":1}")
		a.Want(`44/dynamic-1,{"message":"no"}`)
		synctest.Wait()
		must(t, srv.Of("/dynamic-1").Emit("still here"))
		b.Want(`42/dynamic-1,["still here"]`)
		made.want(t, "/static", "/dynamic-7", "/dynamic-1")
	})
}

func TestSIO_CC_1_ChildrenWaitForClientsThatMayComeBack(t *testing.T) {
	opts := sio.Options{ConnectionStateRecovery: &sio.Recovery{MaxDisconnectionDuration: time.Minute}}
	cleaned(t, opts, func(t *testing.T, _ *sio.Server, d siotest.Dialer, made *story) {
		a := d.WebSocket(t)
		a.Connect("/dynamic-1", "")
		a.Abort()
		time.Sleep(30 * time.Second)
		b := d.WebSocket(t)
		b.Connect("/dynamic-1", "")
		b.Abort()
		time.Sleep(59 * time.Second)
		made.want(t, "/dynamic-1")
		time.Sleep(2 * time.Second)
		c := d.WebSocket(t)
		c.Connect("/dynamic-1", "")
		made.want(t, "/dynamic-1", "/dynamic-1")
	})
}

// Many clients come and go at the same time: nobody ends up in a namespace that
// has been forgotten. Whoever is in one is reached through the server's table.
func TestChildrenEndWhileClientsCome(t *testing.T) {
	const clients, times = 4, 100
	srv, d := loopback(t, &sio.Options{CleanupEmptyChildNamespaces: true})
	parent := srv.OfRegexp(dynamic)
	parent.On("reach", func(c *sio.Ctx) error {
		for _, s := range parent.Broadcast().Sockets() { // srv.Of would keep the namespace
			if s.ID() == c.ID() {
				return parent.To(c.ID()).Emit("reached")
			}
		}
		return c.Emit("in a namespace that has been forgotten")
	})
	var all sync.WaitGroup
	for range clients {
		c := d.WebSocket(t)
		all.Go(func() {
			for range times {
				must(t, c.TrySend("40/dynamic-1,"))
				if p, err := c.TryNext(); err != nil || !strings.HasPrefix(p, "40/dynamic-1,{") {
					t.Errorf("connecting: %q, %v", p, err)
					return
				}
				must(t, c.TrySend(`42/dynamic-1,["reach"]`))
				if p, err := c.TryNext(); err != nil || p != `42/dynamic-1,["reached"]` {
					t.Errorf("reaching: %q, %v", p, err)
					return
				}
				must(t, c.TrySend("41/dynamic-1,"))
			}
		})
	}
	all.Wait()
}
