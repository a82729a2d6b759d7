package sio_test

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// Whatever takes its time while a namespace comes about: the client's heartbeat, and
// its other namespaces, go on.
func TestNamespacesInTheMakingHeldUpTheHeartbeat(t *testing.T) {
	pause := func() { time.Sleep(5 * time.Minute) }
	for name, setup := range map[string]func(srv *sio.Server){
		"OfFunc": func(srv *sio.Server) {
			srv.OfFunc(func(string, *sio.Handshake) bool { pause(); return true })
		},
		"OnNewNamespace": func(srv *sio.Server) {
			srv.OfRegexp(dynamic)
			srv.OnNewNamespace(func(*sio.Namespace) { pause() })
		},
	} {
		for transport, open := range transports() {
			t.Run(name+" "+transport, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					setup(srv)
					echo(srv.Namespace)
					c, late := open(t, d), open(t, d) // which waits for the same one
					begin := time.Now()
					var all sync.WaitGroup
					for _, c := range []*siotest.Client{c, late} {
						c.Connect("/", "")
						c.Send("40/dynamic-1,")
						mustEcho(t, c)
						all.Go(func() {
							if p, err := c.TryNext(); !strings.HasPrefix(p, "40/dynamic-1,{") {
								t.Errorf("answer %q, %v", p, err)
							}
						})
					}
					all.Wait()
					if took := time.Since(begin).Round(time.Second); took != 5*time.Minute {
						t.Errorf("connected after %v", took)
					}
				})
			})
		}
	}
}

// CONNECTs that wait for the application's code count as namespaces.
func TestNamespacesInTheMakingCount(t *testing.T) {
	bubble(t, &sio.Options{MaxNamespaces: 3}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		over := make(chan struct{})
		defer close(over)
		srv.OfFunc(func(string, *sio.Handshake) bool { <-over; return false })
		c := d.WebSocket(t)
		for i := range 4 {
			c.Send(fmt.Sprintf("40/%d,", i))
		}
		c.Want(`44/3,{"message":"too many namespaces"}`)
		for name, packet := range map[string]string{"twice": "40/1,", "too early": `42/1,["event"]`} {
			c := d.WebSocket(t, "40/1,", packet)
			if before := c.UntilClosed(); len(before) > 0 {
				t.Errorf("%s: got %q", name, before)
			}
		}
	})
}

// A client that has gone brings no namespace about.
func TestNamespacesCameAboutForClientsThatHadGone(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		over := make(chan struct{})
		var made story
		srv.OnNewNamespace(func(n *sio.Namespace) { made.add("%s", n.Name()) })
		srv.OfFunc(func(string, *sio.Handshake) bool { <-over; return true })
		c := d.WebSocket(t, "40/dynamic,")
		time.Sleep(time.Second)
		c.Abort()
		synctest.Wait()
		close(over)
		synctest.Wait()
		made.want(t)
	})
}

func TestNamesOfNamespacesHadNoBound(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var asked story
		srv.OfFunc(func(name string, _ *sio.Handshake) bool { asked.add("%d", len(name)); return true })
		byHand := "/" + strings.Repeat("h", 2000)
		srv.Of(byHand)
		c := d.WebSocket(t)
		long := "/" + strings.Repeat("n", 1023)
		c.Connect(long, "")
		c.Connect(byHand, "")
		c.Send("40" + long + "n,")
		c.Want("44" + long + `n,{"message":"Invalid namespace"}`)
		asked.want(t, "1024")
	})
}

// Clients make up names and leave again. The server keeps some of the empty
// namespaces, and forgets those that have been empty for the longest time.
func TestEmptyNamespacesHadNoBound(t *testing.T) {
	const kept, more = 10_000, 500
	for name, o := range map[string]*sio.Options{
		"without clean-up": {},
		"with recovery":    {CleanupEmptyChildNamespaces: true, ConnectionStateRecovery: &sio.Recovery{}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, o, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				made := map[string]int{}
				var mu sync.Mutex
				srv.OnNewNamespace(func(n *sio.Namespace) {
					mu.Lock()
					defer mu.Unlock()
					made[n.Name()]++
				})
				srv.OfRegexp(dynamic)
				pinned := srv.Of("/dynamic-0")
				stays := d.WebSocket(t)
				stays.Connect("/dynamic-1", "")
				come := func(from, to int) {
					c := d.WebSocket(t)
					for i := from; i < to; i++ {
						c.Connect(fmt.Sprint("/dynamic-", i), "")
					}
					c.Abort() // it may come back, with recovery
					synctest.Wait()
				}
				for i := 0; i < kept+more; i += 100 {
					come(i, i+100)
				}
				first, last := 2, kept+more-1
				come(first, first+1) // which has been forgotten
				come(last, last+1)   // which has not
				mu.Lock()
				defer mu.Unlock()
				for name, times := range map[string]int{
					"/dynamic-0": 1, "/dynamic-1": 1, fmt.Sprint("/dynamic-", first): 2, fmt.Sprint("/dynamic-", last): 1,
				} {
					if made[name] != times {
						t.Errorf("%s was made %d times, want %d", name, made[name], times)
					}
				}
				must(t, srv.Of("/dynamic-1").Emit("still here"))
				if p := stays.Next(); !strings.HasPrefix(p, `42/dynamic-1,["still here"`) {
					t.Error(p)
				}
				if srv.Of("/dynamic-0") != pinned {
					t.Error("a namespace that the application holds was forgotten")
				}
			})
		})
	}
}

// A roll notes who is in a cluster.
type roll struct {
	adapter.Cluster

	saw   *story
	leave func() // called before an adapter is closed
}

type member struct {
	adapter.Adapter

	roll *roll
	ns   string
}

func (r *roll) Join(ns string, n adapter.Node) adapter.Adapter {
	r.saw.add("join %s", ns)
	return &member{r.Cluster.Join(ns, n), r, ns}
}

func (m *member) Close() error {
	if m.roll.leave != nil {
		m.roll.leave()
	}
	m.roll.saw.add("leave %s", m.ns)
	return m.Adapter.Close()
}

// An adapter that subscribes by the namespace's name would be deaf if the old one left
// after the new one had joined.
func TestANamespaceJoinedBeforeTheOldOneOfItsNameHadLeft(t *testing.T) {
	r := &roll{Cluster: adapter.NewMemory(), saw: new(story)}
	o := &sio.Options{Adapter: r, CleanupEmptyChildNamespaces: true}
	bubble(t, o, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		over := make(chan struct{})
		r.leave = func() { <-over }
		srv.OfRegexp(dynamic)
		a := d.WebSocket(t)
		a.Connect("/dynamic-1", "")
		a.Send("41/dynamic-1,")
		time.Sleep(time.Second) // it is leaving
		a.Send("40/dynamic-1,")
		made := make(chan *sio.Namespace)
		go func() { made <- srv.Of("/dynamic-1") }()
		synctest.Wait()
		r.saw.want(t, "join /", "join /dynamic-1")
		close(over)
		if p := a.Next(); !strings.HasPrefix(p, "40/dynamic-1,{") {
			t.Error(p)
		}
		must(t, (<-made).Emit("hello"))
		a.Want(`42/dynamic-1,["hello"]`)
		r.saw.want(t, "join /", "join /dynamic-1", "leave /dynamic-1", "join /dynamic-1")
	})
}

func TestNamespacesThatWereMadeAfterShutdownStayedInTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &roll{Cluster: adapter.NewMemory(), saw: new(story)}
		srv := newServer(t, &sio.Options{Adapter: r, ConnectionStateRecovery: &sio.Recovery{Log: func(string) adapter.Log {
			r.saw.add("log")
			return adapter.NewMemoryLog(adapter.MemoryLogOptions{})
		}}})
		must(t, srv.Shutdown(t.Context()))
		n := srv.Of("/late")
		n.OnConnect(func(*sio.Ctx) error { return nil })
		if srv.Of("/late") != n || n.Name() != "/late" {
			t.Error("it is not the same namespace")
		}
		if err := n.Emit("event"); !errors.Is(err, adapter.ErrClosed) {
			t.Errorf("Emit: %v", err)
		}
		if err := n.ServerSideEmit("event"); !errors.Is(err, adapter.ErrClosed) {
			t.Errorf("ServerSideEmit: %v", err)
		}
		for a := range sio.BroadcastWithAck[int](t.Context(), n.Broadcast(), "event") {
			t.Errorf("answer %+v", a)
		}
		r.saw.want(t, "log", "join /", "leave /")
		must(t, srv.Shutdown(t.Context()))
	})
}

// What is opened while Shutdown runs is closed all the same.
func TestShutdownClosesNamespacesInTheMaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		r := &roll{Cluster: adapter.NewMemory(), saw: new(story)}
		srv := newServer(t, &sio.Options{Adapter: r, ConnectionStateRecovery: &sio.Recovery{Log: func(ns string) adapter.Log {
			if ns == "/late" {
				<-over
			}
			return adapter.NewMemoryLog(adapter.MemoryLogOptions{})
		}}})
		made := make(chan struct{})
		go func() {
			srv.Of("/late")
			close(made)
		}()
		synctest.Wait()
		must(t, srv.Shutdown(t.Context()))
		close(over)
		<-made
		r.saw.want(t, "join /", "leave /", "join /late", "leave /late")
	})
}

// The application's code that makes a log or joins a cluster may use the server.
func TestCodeThatMakesANamespaceUsedTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var srv *sio.Server
		o := &sio.Options{ConnectionStateRecovery: &sio.Recovery{Log: func(ns string) adapter.Log {
			if ns != "/" {
				n := srv.Of(ns) // itself
				n.On("event", func(*sio.Ctx) error { return nil })
				must(t, n.Emit("to nobody"))
				must(t, srv.Of("/").Emit("to nobody"))
				if len(n.Rooms()) != 0 || srv.OfFunc(func(string, *sio.Handshake) bool { return false }) == nil {
					t.Error("the server is of no use")
				}
			}
			return adapter.NewMemoryLog(adapter.MemoryLogOptions{})
		}}}
		srv = newServer(t, o)
		defer shutdown(t, srv)
		srv.Of("/a")
	})
}

// Code that panics, or ends its goroutine, leaves nothing behind that keeps others from
// that namespace.
func TestCodeThatMakesANamespaceFails(t *testing.T) {
	for name, fail := range map[string]func(){"panic": func() { panic("oops") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			fails := true
			l := new(logbook)
			r := &roll{Cluster: adapter.NewMemory(), saw: new(story)}
			o := &sio.Options{Logger: slog.New(l), Adapter: r, ConnectionStateRecovery: &sio.Recovery{Log: func(ns string) adapter.Log {
				if ns != "/" && fails {
					fail()
				}
				return adapter.NewMemoryLog(adapter.MemoryLogOptions{})
			}}}
			bubble(t, o, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.OfRegexp(dynamic)
				done := make(chan any)
				go func() {
					defer func() { done <- recover() }()
					srv.Of("/dynamic-1")
				}()
				<-done
				if name == "panic" {
					c := d.WebSocket(t)
					c.Send("40/dynamic-2,")
					c.Want(`44/dynamic-2,{"message":"internal error"}`)
					l.one(t, "making a namespace failed")
				}
				fails = false
				c := d.WebSocket(t)
				c.Connect("/dynamic-1", "")
				c.Connect("/dynamic-2", "")
			})
		})
	}
}
