package sio_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A counter counts the calls of a middleware, and of the handlers that it has made.
type counter struct {
	mu    sync.Mutex
	made  int
	calls map[string]int // by the number of the handler and the event
}

func newCounter() *counter { return &counter{calls: make(map[string]int)} }

func (k *counter) wrap(next sio.Handler) sio.Handler {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made++
	name := fmt.Sprint("#", k.made, " ")
	return func(c *sio.Ctx) error {
		k.mu.Lock()
		k.calls[name+c.Event()]++
		k.mu.Unlock()
		return next(c)
	}
}

func (k *counter) want(t *testing.T, when string, made int) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.made != made {
		t.Errorf("%s: composed %d times, want %d", when, k.made, made)
	}
}

func nothing(*sio.Ctx) error { return nil }

func TestMiddlewareIsComposedOnceForEachEvent(t *testing.T) {
	srv := newServer(t, nil)
	defer shutdown(t, srv)
	first, own, late, connect := newCounter(), newCounter(), newCounter(), newCounter()
	srv.UseEvents(first.wrap)
	first.want(t, "for events without a handler", 1)
	for i := range 5 {
		srv.On(fmt.Sprint("event", i), nothing, own.wrap)
		first.want(t, "with a new event", 2+i)
		own.want(t, "of an event", 1+i)
	}
	srv.UseEvents(late.wrap, late.wrap)
	late.want(t, "twice around five events and the others", 2*6)
	srv.UseConnect(connect.wrap)
	srv.OnUnknown(nothing)
	srv.OnAny(func(*sio.Ctx) {})
	srv.OnAnyOutgoing(func(*sio.Socket, string, sio.Args) {})
	srv.OnRoom(func(sio.RoomEvent) {})
	srv.OnConnect(nothing)
	srv.OnDisconnect(func(*sio.Socket, sio.Reason) {})
	srv.OnServerEvent("server", func(context.Context, sio.Args) (any, error) { return nil, nil })
	srv.UseConnect(newCounter().wrap)
	srv.UseEvents(newCounter().wrap)
	for k, made := range map[*counter]int{first: 6, own: 5, late: 12, connect: 1} {
		k.want(t, "after other registrations", made)
	}
}

func TestMiddlewareKeepsItsStateWhileOthersAreRegistered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var order story
		counts := func(next sio.Handler) sio.Handler {
			n := 0
			return func(c *sio.Ctx) error {
				n++
				order.add("%s %d", c.Event(), n)
				return next(c)
			}
		}
		srv.UseConnect(counts)
		srv.UseEvents(counts)
		srv.On("a", func(c *sio.Ctx) error { return c.Ack() }, counts)
		srv.On("b", func(c *sio.Ctx) error { return c.Ack() })
		c := d.WebSocket(t)
		c.Connect("/", "")
		send := func(event string) {
			t.Helper()
			c.Send(`421["` + event + `"]`)
			c.Want("431[]")
		}
		send("a")
		srv.UseEvents(step(&order, "late"))
		srv.UseConnect(step(&order, "late"))
		srv.OnUnknown(func(c *sio.Ctx) error { return c.Ack() })
		send("a")
		send("b")
		send("c")
		srv.OnDisconnect(func(*sio.Socket, sio.Reason) {})
		send("c")
		c.Send("41")
		c.Connect("/", "")
		order.want(t, "connect 1",
			"a 1", "a 1",
			"a 2", "late", "a 2",
			"b 1", "late",
			"c 1", "late",
			"c 2", "late",
			"connect 2", "late")
	})
}

func TestChildNamespacesShareTheMiddlewareOfTheirParent(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		before, after, own := newCounter(), newCounter(), newCounter()
		parent := srv.OfRegexp(regexp.MustCompile(`^/room-`))
		parent.UseEvents(before.wrap)
		parent.On("event", func(c *sio.Ctx) error { return c.Ack() })
		c := d.WebSocket(t)
		for _, name := range []string{"/room-1", "/room-2", "/room-3"} {
			c.Connect(name, "")
		}
		before.want(t, "with three children", 2)
		srv.Of("/room-2").UseEvents(own.wrap)
		srv.Of("/room-2").On("own", nothing)
		before.want(t, "with an event of one child's own", 3)
		parent.UseEvents(after.wrap)
		after.want(t, "for the parent and its children, and the child's own event", 3)
		own.want(t, "around what its child has", 3)
		for _, name := range []string{"/room-1", "/room-2", "/room-3"} {
			c.Send("42" + name + `,1["event"]`)
			c.Want("43" + name + ",1[]")
		}
		synctest.Wait()
		for k, calls := range map[*counter]int{before: 3, after: 3, own: 1} {
			total := 0
			for n := range maps.Values(k.calls) {
				total += n
			}
			if total != calls || len(k.calls) != 1 {
				t.Errorf("calls %v, want %d of one handler", k.calls, calls)
			}
		}
	})
}

func TestMiddlewareMayRegister(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		nested := newCounter()
		srv.On("event", func(c *sio.Ctx) error { return c.Ack() })
		once := sync.OnceFunc(func() {
			srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.add("gone") })
			srv.UseEvents(nested.wrap)
			srv.On("other", func(c *sio.Ctx) error { return c.Ack() })
		})
		outer := newCounter()
		srv.UseEvents(func(next sio.Handler) sio.Handler {
			once()
			return outer.wrap(next)
		})
		nested.want(t, "around two events and the others", 3)
		outer.want(t, "around two events and the others", 3)
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`421["event"]`, `422["other"]`)
		c.Want("431[]", "432[]")
		c.Abort()
		synctest.Wait()
		s.want(t, "gone")
	})
}

func TestRegistrationsAtTheSameTime(t *testing.T) {
	srv := newServer(t, nil)
	defer shutdown(t, srv)
	k := newCounter()
	parent := srv.OfRegexp(regexp.MustCompile(`^/room-`))
	srv.Of("/room-1")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { parent.On(fmt.Sprint("event", i), nothing) })
		wg.Go(func() { parent.UseEvents(k.wrap) })
	}
	wg.Wait()
	k.want(t, "8 times around 8 events, and those without a handler", 8*9)
}

// A parent and a child that get the same pair at the same time may make one each, and no
// more.
func TestRegistrationsOnParentAndChildAtTheSameTime(t *testing.T) {
	srv := newServer(t, nil)
	defer shutdown(t, srv)
	k := newCounter()
	parent := srv.OfRegexp(regexp.MustCompile(`^/room-`))
	child := srv.Of("/room-1")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { parent.On(fmt.Sprint("event", i), nothing) })
		wg.Go(func() { child.On(fmt.Sprint("own", i), nothing) })
		wg.Go(func() { parent.UseEvents(k.wrap) })
	}
	wg.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if least := 8 * 17; k.made < least || k.made > 2*least {
		t.Errorf("8 middleware around 16 events, and those without a handler: composed %d times", k.made)
	}
}

// A curious value looks at its socket while it is decoded.
type curious struct{}

var looksAt *sio.Socket // of the one test that has such values

func (*curious) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

func (*curious) UnmarshalJSON([]byte) error {
	<-looksAt.Context().Done() // which needs the socket's lock, and acks do
	return nil
}

func TestKeysAreDecodedUnderNoLock(t *testing.T) {
	l := new(sharedLog)
	opts := &sio.Options{ConnectionStateRecovery: &sio.Recovery{Log: l.open}}
	key := sio.NewDataKey[*curious]("curious")
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		sockets := make(chan *sio.Socket, 2)
		srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
		v := arrive(t, srv, d.WebSocket(t))
		key.Set(<-sockets, new(curious))
		v.Abort()
		synctest.Wait()
		v.connect(t, d.WebSocket(t))
		looksAt = <-sockets
		found := make(chan bool)
		for range 2 {
			go func() {
				_, ok := key.Get(looksAt)
				found <- ok
			}()
		}
		synctest.Wait() // both decode
		must(t, looksAt.Disconnect())
		for range 2 {
			if ok := <-found; !ok {
				t.Error("the value has not been recovered")
			}
		}
	})
}
