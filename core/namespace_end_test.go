package sio_test

import (
	"context"
	"log/slog"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

func namesOf(srv *sio.Server) []string {
	var names []string
	for _, n := range srv.Namespaces() {
		names = append(names, n.Name())
	}
	return names
}

func TestNamespacesAreListed(t *testing.T) {
	cleaned(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, _ *story) {
		want := func(names ...string) {
			t.Helper()
			if got := namesOf(srv); !slices.Equal(got, names) {
				t.Errorf("namespaces %q, want %q", got, names)
			}
		}
		srv.OnNewNamespace(func(n *sio.Namespace) {
			if slices.Contains(srv.Namespaces(), n) {
				t.Errorf("%s is listed before clients can connect to it", n.Name())
			}
		})
		want("/")
		srv.Of("/z")
		srv.Of("/a")
		srv.Of("/dynamic-5")
		c := d.WebSocket(t)
		c.Connect("/dynamic-10", "")
		want("/", "/a", "/dynamic-10", "/dynamic-5", "/z")
		c.Send("41/dynamic-10,")
		synctest.Wait()
		want("/", "/a", "/dynamic-5", "/z")
	})
}

// For one name, the two are told in turn.
func TestTheEndOfAChildIsTold(t *testing.T) {
	for name, opts := range map[string]sio.Options{
		"with its last client": {},
		"when nobody can come back": {
			ConnectionStateRecovery: &sio.Recovery{MaxDisconnectionDuration: time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s story
			cleaned(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer, _ *story) {
				srv.OnNewNamespace(func(n *sio.Namespace) { s.add("new %s", n.Name()) })
				srv.OnNamespaceEnd(func(n *sio.Namespace) {
					s.add("end %s, %d clients", n.Name(), len(n.Broadcast().Sockets()))
					time.Sleep(20 * time.Second) // clients wait
					s.add("ended")
				})
				srv.Of("/static")
				a, b := d.WebSocket(t), d.WebSocket(t)
				a.Connect("/static", "")
				a.Connect("/dynamic-1", "")
				a.Abort()
				time.Sleep(2 * time.Second)
				b.Send("40/dynamic-1,")
				for {
					p := b.Next()
					if strings.HasPrefix(p, "40/dynamic-1,{") {
						break
					}
				}
				s.want(t, "new /static", "new /dynamic-1", "end /dynamic-1, 0 clients", "ended", "new /dynamic-1")
				srv.Of("/dynamic-1") // it stays
				b.Send("41/dynamic-1,")
				time.Sleep(time.Hour)
				s.want(t, "new /static", "new /dynamic-1", "end /dynamic-1, 0 clients", "ended", "new /dynamic-1")
			})
		})
	}
}

func TestOnNamespaceEndThatFails(t *testing.T) {
	l := new(logbook)
	cleaned(t, sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, made *story) {
		var s story
		srv.OnNamespaceEnd(func(*sio.Namespace) { s.add("first"); panic("oops") })
		srv.OnNamespaceEnd(func(*sio.Namespace) { s.add("second"); runtime.Goexit() })
		srv.OnNamespaceEnd(func(*sio.Namespace) { s.add("third") })
		c := d.WebSocket(t)
		c.Connect("/dynamic-1", "")
		c.Send("41/dynamic-1,")
		synctest.Wait()
		s.want(t, "first", "second", "third")
		c.Connect("/dynamic-1", "") // the name is free
		made.want(t, "/dynamic-1", "/dynamic-1")
		if got := l.above(); len(got) != 2 || !strings.Contains(got[0], "OnNamespaceEnd failed ns=/dynamic-1") {
			t.Errorf("log: %q", got)
		}
	})
}

// A failingCluster panics where a client brings a namespace about.
type failingCluster struct{ adapter.Cluster }

func (c failingCluster) Join(namespace string, n adapter.Node) adapter.Adapter {
	if namespace == "/fails" {
		panic("oops")
	}
	return c.Cluster.Join(namespace, n)
}

// Whoever was not told of the beginning is not told of the end.
func TestTheEndOfANamespaceThatNeverBeganIsNotTold(t *testing.T) {
	var s story
	opts := &sio.Options{
		Logger: slog.New(new(logbook)), CleanupEmptyChildNamespaces: true,
		Adapter: failingCluster{adapter.NewMemory()},
	}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.OfRegexp(regexp.MustCompile("^/fails"))
		srv.OnNewNamespace(func(n *sio.Namespace) { s.add("new %s", n.Name()) })
		srv.OnNamespaceEnd(func(n *sio.Namespace) { s.add("end %s", n.Name()) })
		c := d.WebSocket(t)
		c.Send("40/fails,")
		c.Want(`44/fails,{"message":"internal error"}`)
		must(t, srv.Shutdown(context.Background())) // which ends none
		s.want(t)
	})
}
