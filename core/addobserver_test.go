package sio_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestAddObserver(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		s, closed := new(story), new(story)
		before := d.WebSocket(t)
		before.Connect("/", "")
		o := observer(s)
		o.ServerStarted = func(started *sio.Server) { s.add("started, the same server: %v", started == srv) }
		o.SessionOpened = func(i sio.SessionInfo) { s.add("opened %s", i.Transport) }
		o.SessionClosed = func(i sio.SessionClosedInfo) { closed.add("closed %s", i.Transport) }
		srv.AddObserver(o)
		srv.On("hello", func(*sio.Ctx) error { return nil })
		after := d.WebSocket(t)
		after.Connect("/", "")
		after.Send(`42["hello"]`)
		synctest.Wait()
		before.Close()
		synctest.Wait()
		s.want(t,
			"started, the same server: true",
			"opened websocket", "connected to /, recovered false", "event hello, known true, 0s: ok",
			"disconnected from /: transport close")
		closed.want(t, "closed websocket")
		if n := len(srv.Options().Observers); n != 1 {
			t.Errorf("the options have %d observers, want the one that was added", n)
		}
	})
}

// An observer can be added while clients come and go: see -race.
func TestAddObserverWhileClientsConnect(t *testing.T) {
	t.Parallel()
	srv, d := loopback(t, nil)
	added := make(chan struct{})
	go func() {
		defer close(added)
		for range 20 {
			srv.AddObserver(&sio.Observer{EventHandled: func(sio.EventHandledInfo) {}, SessionOpened: func(sio.SessionInfo) {}})
		}
	}()
	for range 10 {
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["hello"]`)
		c.Close()
	}
	<-added
}

func TestAddObserverNil(t *testing.T) {
	t.Parallel()
	srv, _ := loopback(t, nil)
	defer func() {
		if v := recover(); v != "sio: AddObserver got a nil observer" {
			t.Errorf("panicked with %v", v)
		}
	}()
	srv.AddObserver(nil)
}

// The sockets of a client have one session.
func TestObserverOfTheSessionOfSockets(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.Of("/other")
		s := new(story)
		srv.AddObserver(&sio.Observer{
			SocketConnected:    func(i sio.SocketConnectedInfo) { s.add("%s in %s", i.Session.ID(), i.Socket.Namespace().Name()) },
			SocketDisconnected: func(i sio.SocketDisconnectedInfo) { s.add("%s gone", i.Session.ID()) },
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Connect("/other", "")
		c.Send("41")
		synctest.Wait()
		s.want(t, c.SID()+" in /", c.SID()+" in /other", c.SID()+" gone")
	})
}

func TestObserverOfShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, nil)
		s := new(story)
		srv.AddObserver(&sio.Observer{ShutdownStarted: func(told *sio.Server) {
			time.Sleep(time.Second)
			s.add("shutdown, the same server: %v", told == srv)
		}})
		for range 2 {
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.want(t, "shutdown, the same server: true")
		late := new(story)
		srv.AddObserver(&sio.Observer{ShutdownStarted: func(*sio.Server) { late.add("too late") }})
		late.want(t, "too late")
	})
}

func TestObserverThatHangsInShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, nil)
		release := make(chan struct{})
		defer close(release)
		srv.AddObserver(&sio.Observer{ShutdownStarted: func(*sio.Server) { <-release }})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_ = srv.Shutdown(ctx) // nil if all the rest was done within the time
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("Shutdown took %v, want about the second of its context", took)
		}
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Error("Shutdown did not wait for the observer")
		}
	})
}

func TestObserverOfData(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		s := new(story)
		name, secret := sio.NewDataKey[string]("name"), sio.NewKey[string]("secret")
		srv.AddObserver(&sio.Observer{SocketDataSet: func(i sio.SocketDataSetInfo) {
			v, _ := name.Get(i.Socket)
			s.add("%s is %s, connected %v", i.Key, v, i.Socket.Connected())
		}})
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			name.Set(c.Socket, "Ann")
			return nil
		}))
		srv.On("rename", func(c *sio.Ctx) error {
			secret.Set(c.Socket, "s")
			name.Set(c.Socket, "Bo")
			return nil
		})
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["rename"]`)
		synctest.Wait()
		s.want(t, "name is Ann, connected false", "name is Bo, connected true")
	})
}
