package sio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// observer notes what it is told.
func observer(s *story) *sio.Observer {
	return &sio.Observer{
		SocketConnected: func(i sio.SocketConnectedInfo) {
			s.add("connected to %s, recovered %v", i.Socket.Namespace().Name(), i.Socket.Recovered())
		},
		SocketDisconnected: func(i sio.SocketDisconnectedInfo) {
			s.add("disconnected from %s: %s", i.Socket.Namespace().Name(), i.Reason)
		},
		SocketRefused: func(i sio.SocketRefusedInfo) { s.add("refused in %s: %s: %v", i.Namespace, i.Reason, i.Err) },
		EventHandled: func(i sio.EventHandledInfo) {
			s.add("event %s, known %v, %v: %s", i.Ctx.Event(), i.Known, i.Duration, i.Outcome)
		},
		AckDone:      func(i sio.AckDoneInfo) { s.add("ack of %s after %v: %s", i.Event, i.Duration, i.Outcome) },
		RecoveryDone: func(i sio.RecoveryDoneInfo) { s.add("recovery: %s", i.Outcome) },
		GuardRefused: func(i sio.GuardRefusedInfo) { s.add("%s %s refused %q: %s", i.Guard, i.Rule, i.Event, i.Code) },
		ClusterError: func(err error) { s.add("cluster: %v", err) },
	}
}

func observed(t *testing.T, opts sio.Options, f func(t *testing.T, srv *sio.Server, d siotest.Dialer, s *story)) {
	t.Helper()
	s := new(story)
	opts.Observers = append(opts.Observers, observer(s))
	bubble(t, &opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) { f(t, srv, d, s) })
}

func TestObserverOfSockets(t *testing.T) {
	observed(t, sio.Options{MaxNamespaces: 2}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, s *story) {
		srv.Of("/guarded").UseConnect(sio.Guard(func(c *sio.Ctx) error {
			c.ReportRefusal(sio.GuardError{Guard: "test", Rule: "all", Code: "no"})
			return &sio.Error{Message: "no"}
		}))
		srv.Of("/closed").UseConnect(sio.Guard(func(*sio.Ctx) error { return &sio.Error{Message: "closed"} }))
		srv.Of("/closing")
		opened := d.WebSocket(t)
		opened.Connect("/", "")
		for _, name := range []string{"guarded", "closed", "none"} {
			opened.Send("40/" + name)
			opened.Next()
		}
		opened.Connect("/closing", "")
		opened.Send("40/guarded")
		opened.Next()
		opened.Send("41/closing,")
		opened.Close()
		synctest.Wait()
		s.want(t,
			"connected to /, recovered false",
			`test all refused "connect": no`, "refused in /guarded: guard: no",
			"refused in /closed: middleware: closed",
			"refused in /none: invalid_namespace: <nil>",
			"connected to /closing, recovered false",
			"refused in /guarded: too_many_namespaces: <nil>",
			"disconnected from /closing: client namespace disconnect",
			"disconnected from /: transport close")
	})
}

func TestObserverOfEvents(t *testing.T) {
	book := new(logbook)
	observed(t, sio.Options{Logger: slog.New(book)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, s *story) {
		for name, h := range map[string]sio.Handler{
			"fine":    func(*sio.Ctx) error { return nil },
			"slow":    func(*sio.Ctx) error { time.Sleep(time.Second); return nil },
			"error":   func(*sio.Ctx) error { return &sio.Error{Message: "no"} },
			"broken":  func(*sio.Ctx) error { return errors.New("broken") },
			"panic":   func(*sio.Ctx) error { panic("oh no") },
			"exit":    func(*sio.Ctx) error { runtime.Goexit(); return nil },
			"no ack":  func(c *sio.Ctx) error { return c.Ack() },
			"refused": func(c *sio.Ctx) error { c.ReportRefusal(sio.GuardError{Guard: "test", Code: "no"}); return nil },
		} {
			srv.On(name, h)
		}
		c := d.WebSocket(t)
		c.Connect("/", "")
		for _, name := range []string{"fine", "slow", "error", "broken", "panic", "exit", "no ack", "refused", "other"} {
			c.Send(fmt.Sprintf("42[%q]", name))
			time.Sleep(2 * time.Second)
			synctest.Wait()
		}
		s.want(t,
			"connected to /, recovered false",
			"event fine, known true, 0s: ok",
			"event slow, known true, 1s: ok",
			"event error, known true, 0s: error",
			"event broken, known true, 0s: internal_error",
			"event panic, known true, 0s: panic",
			"event exit, known true, 0s: panic",
			"event no ack, known true, 0s: aborted",
			`test  refused "refused": no`, "event refused, known true, 0s: refused",
			"event other, known false, 0s: ok")
		if logged := book.above(); len(logged) != 3 {
			t.Errorf("logged %q, want the errors of three handlers", logged)
		}
	})
}

func TestObserverOfAcks(t *testing.T) {
	observed(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer, s *story) {
		sockets := make(chan *sio.Socket, 1)
		srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
		c := d.WebSocket(t)
		c.Connect("/", "")
		socket := <-sockets
		within := func(d time.Duration) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			t.Cleanup(cancel)
			return ctx
		}
		answered := ask(within(time.Minute), socket)
		id := asked(t, c, theQuestion)
		time.Sleep(time.Second)
		c.Send("43" + id + "[]")
		<-answered.done
		synctest.Wait()
		s.want(t, "connected to /, recovered false", "ack of question after 1s: ok")

		late := ask(within(10*time.Second), socket)
		<-late.done
		synctest.Wait()
		s.want(t, "connected to /, recovered false", "ack of question after 1s: ok", "ack of question after 10s: timeout")

		for range sio.BroadcastWithAck[int](within(time.Second), srv.Broadcast(), "all") {
		}
		gone := ask(within(time.Minute), socket)
		synctest.Wait()
		c.Close()
		<-gone.done
		synctest.Wait()
		got := s.told()[3:]
		slices.Sort(got) // the end of the socket comes in any order
		if want := []string{"ack of all after 1s: timeout", "ack of question after 0s: disconnected", "disconnected from /: transport close"}; !slices.Equal(got, want) {
			t.Errorf("observed %q, want %q", got, want)
		}
	})
}

func TestObserverOfRecovery(t *testing.T) {
	observed(t, *recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer, s *story) {
		var v visitor
		v.connect(t, d.WebSocket(t))
		_ = srv.Emit("news", 1)
		v.event(t, v.Next())
		v.Abort()
		synctest.Wait()
		v.connect(t, d.WebSocket(t))
		v.Abort()
		time.Sleep(time.Hour) // too late
		v.connect(t, d.WebSocket(t))
		s.want(t,
			"connected to /, recovered false", "disconnected from /: transport close",
			"connected to /, recovered true", "recovery: ok", "disconnected from /: transport close",
			"recovery: unknown_session", "connected to /, recovered false")
	})
}

// Observers are told of the cluster's errors beside OnClusterError.
func TestObserverOfTheCluster(t *testing.T) {
	c := newTelling()
	var told []error
	opts := sio.Options{Adapter: c, OnClusterError: func(err error) { told = append(told, err) }}
	observed(t, opts, func(t *testing.T, _ *sio.Server, _ siotest.Dialer, s *story) {
		c.tell(errors.New("no broker"))
		c.tell(nil)
		synctest.Wait()
		s.want(t, "cluster: no broker", "cluster: <nil>")
		if len(told) != 2 {
			t.Errorf("OnClusterError got %v", told)
		}
	})
}

// The refusal of a request is a guard's if its error says so.
func TestObserverOfGuardsOfRequests(t *testing.T) {
	opts := sio.Options{UseRequest: []func(http.Header, *sio.Request) error{func(http.Header, *sio.Request) error {
		return &sio.HTTPError{Status: http.StatusTooManyRequests, Err: &sio.GuardError{Guard: "test", Rule: "handshakes", Code: "no"}}
	}}}
	observed(t, opts, func(t *testing.T, _ *sio.Server, d siotest.Dialer, s *story) {
		resp, err := d.HTTP(t).Get(d.Endpoint("EIO", "4", "transport", "polling"))
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != http.StatusTooManyRequests {
			t.Errorf("status %d", resp.StatusCode)
		}
		s.want(t, `test handshakes refused "": no`)
	})
}

// An observer that fails changes nothing, and keeps no other one from being called.
func TestObserversThatFail(t *testing.T) {
	for way, fail := range ways() {
		t.Run(way, func(t *testing.T) {
			book := new(logbook)
			bad := &sio.Observer{
				ServerStarted:      func(*sio.Server) { fail() },
				SessionOpened:      func(sio.SessionInfo) { fail() },
				SocketConnected:    func(sio.SocketConnectedInfo) { fail() },
				SocketDisconnected: func(sio.SocketDisconnectedInfo) { fail() },
			}
			if way != "goexit" { // that ends the handler's goroutine
				bad.EventHandled = func(sio.EventHandledInfo) { fail() }
			}
			opts := sio.Options{Logger: slog.New(book), Observers: []*sio.Observer{bad}}
			observed(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer, s *story) {
				echo(srv.Namespace)
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(`42["echo","hello"]`)
				c.Want(`42["echo","hello"]`)
				c.Close()
				synctest.Wait()
				s.want(t, "connected to /, recovered false", "event echo, known true, 0s: ok", "disconnected from /: transport close")
				for _, l := range book.above() {
					if !strings.HasPrefix(l, "ERROR a function of an observer failed moment=") {
						t.Errorf("logged %s", l)
					}
				}
				if n := len(book.above()); n < 4 {
					t.Errorf("logged %d times", n)
				}
			})
		})
	}
}

func TestObserversAreChecked(t *testing.T) {
	t.Parallel()
	defer func() {
		if got, want := recover(), "sio: Options.Observers has a nil observer"; got != want {
			t.Errorf("panic %v, want %s", got, want)
		}
	}()
	sio.New(&sio.Options{Observers: []*sio.Observer{nil}})
}

func TestServerStats(t *testing.T) {
	var started *sio.Server
	opts := sio.Options{Observers: []*sio.Observer{{ServerStarted: func(srv *sio.Server) { started = srv }}}}
	observed(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer, _ *story) {
		if started != srv {
			t.Error("the observer got another server")
		}
		srv.OnConnect(func(c *sio.Ctx) error { return c.Join("a", "b") })
		srv.Of("/other")
		one, two := d.WebSocket(t), d.Polling(t)
		one.Connect("/", "")
		one.Connect("/other", "")
		two.Connect("/", "")
		synctest.Wait()
		got := srv.Stats()
		if got.PacketsReceived < 3 || got.PacketsSent < 4 || got.BytesReceived < 6 || got.BytesSent < 100 || !got.Cluster.Healthy {
			t.Errorf("got %+v", got)
		}
		short := fmt.Sprint(got.PollingSessions, got.WebSocketSessions, got.Sockets, got.Namespaces, got.Rooms)
		if want := "1 1 3 2 2"; short != want {
			t.Errorf("sessions, sockets, namespaces and rooms are %s, want %s", short, want)
		}
	})
}
