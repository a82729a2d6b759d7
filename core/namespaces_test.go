package sio_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestSIO_NS_1_Names(t *testing.T) {
	srv := newServer(t, nil)
	for name, want := range map[string]string{
		"": "/", "/": "/", "chat": "/chat", "/chat": "/chat", "/chat/": "/chat/", "/Chat": "/Chat", "/a?x=1": "/a?x=1",
	} {
		ns := srv.Of(name)
		if ns.Name() != want || ns != srv.Of(want) {
			t.Errorf("Of(%q) is %q", name, ns.Name())
		}
	}
	if srv.Of("/") != srv.Namespace {
		t.Error("the root namespace is not the server's")
	}
}

func TestSIO_NS_3_NamesAreTakenLiterally(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.Of("/a?x=1")
		srv.Of("/ünï")
		c := d.WebSocket(t)
		c.Connect("/a?x=1", "")
		c.Connect("/ünï", "")
		c.Send("40/a,")
		c.Want(`44/a,{"message":"Invalid namespace"}`)
	})
}

func TestTenNamespacesOnOneConnection(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var s story
				c := open(t, d)
				ids := map[string]bool{}
				for i := range 10 {
					ns := srv.Of(fmt.Sprint("/", i))
					ns.On("event", sio.Bind(func(c *sio.Ctx, _ any) error { return c.To(c.ID()).Emit("others") }))
					ns.On("where", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) { return c.Namespace().Name(), nil }))
					ns.OnDisconnect(func(c *sio.Socket, _ sio.Reason) { s.add("%s", c.Namespace().Name()) })
					ids[c.Connect(ns.Name(), "")] = true
				}
				if len(ids) != 10 {
					t.Errorf("%d ids", len(ids))
				}
				for i := range 10 {
					c.Send(fmt.Sprintf(`42/%d,["event",1]`, i), fmt.Sprintf(`42/%d,%d["where"]`, i, i))
					c.Want(fmt.Sprintf(`43/%d,%d["/%d"]`, i, i, i))
				}
				c.Send("41/3,")
				synctest.Wait()
				s.want(t, "/3")
				must(t, srv.Of("/4").Emit("still there"))
				c.Want(`42/4,["still there"]`)
				c.Abort()
				synctest.Wait()
				if n := len(s.told()); n != 10 {
					t.Errorf("%d of 10 were disconnected", n)
				}
			})
		})
	}
}

func TestNamespaceThatIsAddedLater(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		c := d.WebSocket(t)
		c.Send("40/late,")
		c.Want(`44/late,{"message":"Invalid namespace"}`)
		echo(srv.Of("/late"))
		c.Connect("/late", "")
		c.Send(`42/late,["echo",1]`)
		c.Want(`42/late,["echo",1]`)
	})
}

// A client can neither be in any number of namespaces nor, by leaving them, keep
// any number of handlers busy.
func TestNamespacesOfOneClientAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		opts  sio.Options
		limit int
	}{
		"default": {sio.Options{}, 100},
		"option":  {sio.Options{MaxNamespaces: 3}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			tt.opts.CleanupEmptyChildNamespaces = true
			bubble(t, &tt.opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				release := make(chan struct{})
				made := 0
				srv.OnNewNamespace(func(*sio.Namespace) { made++ })
				parent := srv.OfRegexp(dynamic)
				parent.On("slow", func(*sio.Ctx) error { <-release; return nil })
				c := d.WebSocket(t)
				for i := range tt.limit {
					c.Connect(fmt.Sprint("/dynamic-", i), "")
				}
				for _, other := range []string{"/dynamic-1000", "/nowhere"} {
					c.Send("40" + other + ",")
					c.Want("44" + other + `,{"message":"too many namespaces"}`)
				}
				if made != tt.limit {
					t.Errorf("%d namespaces were made", made)
				}
				c.Send(`42/dynamic-0,["slow"]`, "41/dynamic-0,")
				synctest.Wait()
				c.Send("40/dynamic-0,")
				c.Want(`44/dynamic-0,{"message":"too many namespaces"}`)
				close(release)
				synctest.Wait()
				c.Connect("/dynamic-0", "")
				d.WebSocket(t).Connect("/dynamic-0", "") // others may
			})
		})
	}
}
