package sio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// Nothing of one child keeps what is emitted from the others.
func TestAnErrorInOneChildKeptServerSideEventsFromTheOthers(t *testing.T) {
	errDown := errors.New("down")
	memory := adapter.NewMemory()
	bubble(t, &sio.Options{Adapter: failing{memory, errDown}}, func(t *testing.T, srv *sio.Server, _ siotest.Dialer) {
		other := newServer(t, &sio.Options{Adapter: memory})
		defer shutdown(t, other)
		var got story
		parents := []*sio.Namespace{srv.OfRegexp(dynamic), other.OfRegexp(dynamic)}
		parents[1].OnServerEvent("event", func(context.Context, sio.Args) (any, error) { got.add("event"); return nil, nil })
		for i := range 20 {
			name := fmt.Sprint("/dynamic-", i)
			srv.Of(name)
			other.Of(name)
		}
		if err := parents[0].ServerSideEmit("event"); !errors.Is(err, errDown) {
			t.Errorf("error %v", err)
		}
		synctest.Wait()
		if n := len(got.told()); n != 19 {
			t.Errorf("%d of 19 children were told", n)
		}
	})
}

// failing is a cluster in which one namespace cannot publish.
type failing struct {
	adapter.Cluster

	err error
}

type deaf struct {
	adapter.Adapter

	err error
}

func (f failing) Join(ns string, n adapter.Node) adapter.Adapter {
	a := f.Cluster.Join(ns, n)
	if ns == "/dynamic-7" {
		return deaf{a, f.err}
	}
	return a
}

func (d deaf) Publish(*adapter.Message) error { return d.err }

// Other servers cannot be slowed down, so what waits for a slow handler has a bound;
// the operator is told.
func TestServerSideEventsHadNoBound(t *testing.T) {
	l := new(logbook)
	memory := adapter.NewMemory()
	bubble(t, &sio.Options{Adapter: memory, Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, _ siotest.Dialer) {
		other := newServer(t, &sio.Options{Adapter: memory})
		defer shutdown(t, other)
		over := make(chan struct{})
		handled := 0
		srv.OnServerEvent("event", func(_ context.Context, args sio.Args) (any, error) {
			<-over
			var i int
			if err := args.Bind(&i); err != nil || i != handled {
				t.Errorf("event %d came as number %d: %v", i, handled, err)
			}
			handled++
			return nil, nil
		})
		emit := func(n int, args ...any) {
			for i := range n {
				must(t, other.ServerSideEmit("event", append([]any{i}, args...)...))
				if i == 0 {
					synctest.Wait() // until it is being handled
				}
			}
			synctest.Wait()
		}
		emit(10_001 + 5) // one of them is handled
		if line := l.one(t, "server-side events are dropped"); !strings.HasPrefix(line, "ERROR") {
			t.Error(line)
		}
		close(over)
		synctest.Wait()
		if line := l.one(t, "server-side events were dropped"); !strings.HasSuffix(line, "dropped=5") {
			t.Error(line)
		}
		if handled != 10_001 {
			t.Errorf("%d were handled", handled)
		}
		over, handled = make(chan struct{}), 0
		emit(24, make([]byte, 1<<20))
		close(over)
		synctest.Wait()
		if handled != 17 { // 16 MiB, and the one that was being handled
			t.Errorf("%d events of 1 MiB were handled", handled)
		}
	})
}
