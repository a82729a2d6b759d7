package sio_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// What servers do in a cluster is shown by the suite of siotest, with which package
// adapter tests its own. These are the things that only one server has to do with.

// A watchful cluster is told of rooms.
type watchful struct {
	*adapter.Memory

	saw  story
	busy atomic.Bool
}

type watcher struct {
	adapter.Adapter

	cluster *watchful
}

func (w *watchful) Join(namespace string, node adapter.Node) adapter.Adapter {
	return watcher{w.Memory.Join(namespace, node), w}
}

func (w watcher) RoomCreated(room string) { w.cluster.note("+" + room) }
func (w watcher) RoomDeleted(room string) { w.cluster.note("-" + room) }

func (w *watchful) note(what string) {
	if w.busy.Swap(true) {
		w.saw.add("two calls at the same time")
	}
	w.saw.add("%s", what)
	w.busy.Store(false)
}

func TestAdaptersAreToldWhichRoomsHaveMembers(t *testing.T) {
	cluster := &watchful{Memory: adapter.NewMemory()}
	bubble(t, &sio.Options{Adapter: cluster}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		cr := newCrowd(t, srv, d, "/", "ab", "b")
		ab, b := cr.sockets["ab"], cr.sockets["b"]
		must(t, ab.Leave("a", "b", "nowhere"))
		must(t, srv.To(b.ID()).Join("c"))
		must(t, b.Disconnect())
		synctest.Wait()
		told := cluster.saw.told()
		cluster.saw.want(t, append([]string{"+" + ab.ID(), "+a", "+b", "+" + b.ID(), "-a", "+c"}, told[6:]...)...)
		if rest := slices.Sorted(slices.Values(told[6:])); !slices.Equal(rest, sortedStrings("-"+b.ID(), "-b", "-c")) {
			t.Errorf("then it was told %q", rest)
		}
	})
}

func sortedStrings(list ...string) []string {
	slices.Sort(list)
	return list
}

// Whatever happens at the same time, for each room creation and deletion alternate.
func TestAdaptersAreToldOfRoomsInTurn(t *testing.T) {
	cluster := &watchful{Memory: adapter.NewMemory()}
	srv, d := loopback(t, &sio.Options{Adapter: cluster})
	cr := newCrowd(t, srv, d, "/", "u", "v", "w")
	var all sync.WaitGroup
	for _, s := range cr.sockets {
		all.Go(func() {
			for i := range 200 {
				must(t, s.Join("x", "y"))
				must(t, s.Leave([]string{"x", "y"}[i%2]))
				must(t, srv.To("y").Leave("x", "y"))
			}
		})
	}
	all.Wait()
	there := map[string]bool{}
	for _, what := range cluster.saw.told() {
		room, created := strings.CutPrefix(what, "+")
		if !created {
			room = strings.TrimPrefix(what, "-")
		}
		if there[room] == created {
			t.Fatalf("%s, which is so already", what)
		}
		there[room] = created
	}
}

// A broadcast to a parent may meet children that are about to end.
func TestSIO_CC_1_ChildrenThatEndDoNotMakeBroadcastsFail(t *testing.T) {
	cluster := adapter.NewMemory()
	srv, d := loopback(t, &sio.Options{Adapter: cluster, CleanupEmptyChildNamespaces: true})
	parent := srv.OfRegexp(regexp.MustCompile(`^/room-\d+$`))
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			must(t, parent.Emit("e"))
			must(t, parent.ServerSideEmit("e"))
			for a := range sio.BroadcastWithAck[sio.Args](t.Context(), parent.To("nobody"), "ask") {
				t.Errorf("%+v", a)
			}
		}
	})
	for i := range 30 {
		d.Connect(t, fmt.Sprintf("/room-%d", i%3), nil).Disconnect()
	}
	close(done)
	all.Wait()
}

func TestAfterShutdownOtherServersCannotBeTold(t *testing.T) {
	opts := &sio.Options{Adapter: adapter.NewMemory()}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, _ siotest.Dialer) {
		must(t, srv.Emit("before"))
		must(t, srv.Shutdown(t.Context()))
		for what, err := range map[string]error{
			"Emit":           srv.Emit("after"),
			"Join":           srv.To("a").Join("b"),
			"ServerSideEmit": srv.ServerSideEmit("after"),
		} {
			if !errors.Is(err, adapter.ErrClosed) {
				t.Errorf("%s: %v", what, err)
			}
		}
		must(t, srv.Broadcast().Local().Emit("to nobody"))
		_, err := srv.Broadcast().Fetch(t.Context())
		if !errors.Is(err, adapter.ErrClosed) {
			t.Errorf("Fetch: %v", err)
		}
	})
}

// A handler of another server that ignores its context holds up neither who asks nor
// a shutdown.
func TestSIO_CU_6_StubbornHandlersOfServerEventsHoldUpNobody(t *testing.T) {
	cluster := adapter.NewMemory()
	release := make(chan struct{})
	one, _ := loopback(t, &sio.Options{Adapter: cluster})
	two, _ := loopback(t, &sio.Options{Adapter: cluster})
	asked := make(chan struct{})
	two.OnServerEvent("ask", func(context.Context, sio.Args) (any, error) {
		close(asked)
		<-release
		return nil, nil //nolint:nilnil // no answer
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	var got []error
	for a := range sio.ServerSideEmitWithAck[sio.Args](ctx, one.Namespace, "ask") {
		got = append(got, a.Err)
	}
	if len(got) != 1 || !errors.Is(got[0], context.Canceled) {
		t.Errorf("got %v", got)
	}
	must(t, two.Shutdown(t.Context()))
	close(release)
}
