package sio_test

import (
	"regexp"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestRouteAndParent(t *testing.T) {
	t.Parallel()
	srv := newServer(t, nil)
	parent := srv.OfRegexp(regexp.MustCompile(`^/room-\d+$`))
	type place struct{ Route, Parent string }
	report := func(c *sio.Ctx) error {
		p := place{c.Route(), ""}
		if n := c.Namespace().Parent(); n != nil {
			p.Parent = n.Name()
		}
		return c.Ack(p)
	}
	routes := make(chan string, 2)
	for _, n := range []*sio.Namespace{srv.Namespace, parent} {
		n.UseConnect(sio.Guard(func(c *sio.Ctx) error { routes <- c.Route(); return nil }))
		n.On("known", report)
		n.OnUnknown(report)
	}
	d := siotest.Pipes(t, srv)
	for ns, want := range map[string]string{"/": "", "/room-1": parent.Name()} {
		p := d.Connect(t, ns, nil)
		for event, route := range map[string]string{"known": "known", "other": ""} {
			var got place
			if p.Ask(event).Bind(&got); got != (place{route, want}) {
				t.Errorf("%s in %s: %+v", event, ns, got)
			}
		}
		if got := <-routes; got != "connect" {
			t.Error(got)
		}
	}
	if srv.Parent() != nil || parent.Parent() != nil {
		t.Error("a parent of what has none")
	}
}
