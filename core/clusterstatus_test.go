package sio_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// A tellingCluster tells of errors and of its status.
type tellingCluster struct {
	adapter.Cluster

	tell   func(err error)
	calls  []string
	status func() adapter.Status
}

// unreported hides the status of a Memory's adapter.
type unreported struct{ adapter.Adapter }

func newTelling() *tellingCluster { return &tellingCluster{Cluster: adapter.NewMemory()} }

func (c *tellingCluster) NotifyErrors(f func(err error)) {
	c.calls, c.tell = append(c.calls, "NotifyErrors"), f
}

func (c *tellingCluster) Join(namespace string, n adapter.Node) adapter.Adapter {
	c.calls = append(c.calls, "Join "+namespace)
	return unreported{c.Cluster.Join(namespace, n)}
}

func (c *tellingCluster) Status() adapter.Status { return c.status() }

// Errors come one at a time and in order. A function that fails does not stop the others.
func TestOnClusterError(t *testing.T) {
	for way, fail := range ways() {
		t.Run(way, func(t *testing.T) {
			c := newTelling()
			var book logbook
			var got story
			var busy atomic.Bool
			var srv *sio.Server
			opts := &sio.Options{Adapter: c, Logger: slog.New(&book), OnClusterError: func(err error) {
				if busy.Swap(true) {
					t.Error("two calls at the same time")
				}
				defer busy.Store(false)
				srv.Cluster() // there is no lock
				time.Sleep(time.Second)
				got.add("%v", err)
				if err != nil && err.Error() == "2" {
					fail()
				}
			}}
			c.status = func() adapter.Status { return adapter.Status{Healthy: true} }
			bubble(t, opts, func(t *testing.T, s *sio.Server, _ siotest.Dialer) {
				srv = s
				for i := range 4 {
					c.tell(fmt.Errorf("%d", i))
				}
				c.tell(nil)
				time.Sleep(time.Minute)
				got.want(t, "0", "1", "2", "3", "<nil>")
				if want := []string{"NotifyErrors", "Join /"}; !slices.Equal(c.calls, want) {
					t.Errorf("called %q, want %q", c.calls, want)
				}
				if logged := book.above(); len(logged) != 1 || !strings.HasPrefix(logged[0], "ERROR OnClusterError failed about=2 err=") {
					t.Errorf("logged %q", logged)
				}
			})
		})
	}
}

// A function that hangs makes errors go, and the log says so.
func TestTooManyErrorsOfTheCluster(t *testing.T) {
	c := newTelling()
	var book logbook
	var release chan struct{} // of the bubble
	calls := 0
	opts := &sio.Options{Adapter: c, Logger: slog.New(&book), OnClusterError: func(error) { <-release; calls++ }}
	bubble(t, opts, func(t *testing.T, _ *sio.Server, _ siotest.Dialer) {
		release = make(chan struct{})
		c.tell(errors.New("first"))
		synctest.Wait()
		for range 110 {
			c.tell(errors.New("next"))
		}
		close(release)
		synctest.Wait()
		want := []string{
			"ERROR errors of the cluster are dropped: OnClusterError is too slow",
			"ERROR errors of the cluster were dropped, because OnClusterError was too slow dropped=10",
		}
		if logged := book.above(); calls != 101 || !slices.Equal(logged, want) {
			t.Errorf("%d calls, logged %q", calls, logged)
		}
	})
}

func TestErrorsOfTheClusterAreLogged(t *testing.T) {
	c := newTelling()
	var book logbook
	bubble(t, &sio.Options{Adapter: c, Logger: slog.New(&book)}, func(t *testing.T, _ *sio.Server, _ siotest.Dialer) {
		c.tell(nil) // the first connection
		c.tell(errors.New("no broker"))
		c.tell(nil)
		c.tell(nil)
		synctest.Wait()
		want := []string{"ERROR the cluster reports an error err=no broker", "INFO the cluster is healthy again"}
		if logged := book.above(); !slices.Equal(logged, want) {
			t.Errorf("logged %q", logged)
		}
	})
}

func TestStatusOfTheCluster(t *testing.T) {
	t.Run("without an adapter", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, srv *sio.Server, _ siotest.Dialer) {
			if s := srv.Cluster(); !s.Healthy || s.Since.IsZero() || s.Err != nil || len(s.Members) > 0 {
				t.Errorf("status %+v", s)
			}
			must(t, srv.Shutdown(t.Context()))
			if s := srv.Cluster(); s.Healthy || !errors.Is(s.Err, adapter.ErrClosed) {
				t.Errorf("after Shutdown: %+v", s)
			}
		})
	})
	t.Run("in memory", func(t *testing.T) {
		cluster(t, 3, sio.Options{}, func(t *testing.T, fl *fleet) {
			ids := make([]string, 3)
			for i, srv := range fl.servers {
				ids[i] = srv.Cluster().Server
			}
			for i, srv := range fl.servers {
				s := srv.Cluster()
				var members []string
				for _, m := range s.Members {
					members = append(members, m.ID)
				}
				others := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == ids[i] })
				if slices.Sort(members); !s.Healthy || !slices.Equal(members, sortedStrings(others...)) {
					t.Errorf("server %d: %+v, want the members %q", i, s, others)
				}
			}
			must(t, fl.servers[2].Shutdown(t.Context()))
			if s := fl.servers[0].Cluster(); len(s.Members) != 1 || s.Members[0].ID != ids[1] {
				t.Errorf("after a shutdown: %+v", s)
			}
		})
	})
	t.Run("of the cluster", func(t *testing.T) {
		c := newTelling()
		bubble(t, &sio.Options{Adapter: c}, func(t *testing.T, srv *sio.Server, _ siotest.Dialer) {
			c.status = func() adapter.Status { return adapter.Status{Server: "me", Healthy: true, Lost: 7} }
			if s := srv.Cluster(); !s.Healthy || s.Server != "me" || s.Lost != 7 {
				t.Errorf("status %+v", s)
			}
			c.status = func() adapter.Status { return adapter.Status{} }
			if s := srv.Cluster(); s.Healthy || s.Err == nil {
				t.Errorf("not healthy, and no error: %+v", s)
			}
			for way, fail := range ways() {
				c.status = func() adapter.Status { fail(); return adapter.Status{Healthy: true} }
				if s := srv.Cluster(); s.Healthy || s.Err == nil {
					t.Errorf("%s: %+v", way, s)
				}
			}
		})
	})
}
