package users_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/users"
)

// A server that shuts down says so: its users have the grace time to come to another one,
// and others make its calls at once.
func TestAServerShutsDown(t *testing.T) {
	t.Parallel()
	servers(t, 3, func(t *testing.T, d *diary, nodes []server, _ adapter.Cluster) {
		nodes[2].Connect(t, "/", as("ann"))
		nodes[2].Connect(t, "/", as("bob"))
		nodes[2].Connect(t, "/", as("cid"))
		nodes[0].Connect(t, "/", as("cid"))
		time.Sleep(time.Minute)
		d.want(t, "+ann", "+bob", "+cid")
		must(t, nodes[2].Shutdown(context.Background()))
		nodes[1].Connect(t, "/", as("bob"))
		var want []string
		for i := range 20 { // some of them were the calls of the third server
			id := fmt.Sprint("user", i)
			nodes[0].Connect(t, "/", as(id))
			want = append(want, "+"+id)
		}
		time.Sleep(grace - time.Second)
		d.want(t, want...)
		time.Sleep(2 * time.Second)
		d.want(t, "-ann")
		time.Sleep(time.Minute)
		d.want(t)
	})
}

// Until others notice that a server was killed, they leave calls to it. Then they make them.
func TestCallsOfAServerThatWasKilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nodes, diaries, last := cutCluster(t, users.Options{})
		gone := nodes[0].Connect(t, "/", as("gone"))
		settle()
		diaries[0].take()
		time.Sleep(time.Minute)
		last.cut.Store(true)
		gone.Disconnect()
		var all []string
		for i := range 30 {
			id := fmt.Sprint("user", i)
			nodes[i%2].Connect(t, "/", as(id))
			all = append(all, "+"+id)
		}
		time.Sleep(time.Second)
		made := diaries[0].take()
		if len(made) == len(all) {
			t.Error("the killed server was responsible for nobody")
		}
		time.Sleep(30 * time.Second)
		made = append(made, diaries[0].take()...)
		all = append(all, "-gone")
		slices.Sort(made)
		slices.Sort(all)
		if !slices.Equal(made, all) {
			t.Errorf("calls %q, want %q", made, all)
		}
	})
}

// A server whose functions are slow says that its calls wait. When it fails, others make
// them.
func TestCallsThatWaitWhenAServerIsKilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := adapter.NewMemory()
		last := &cuttable{Cluster: memory}
		d, release := new(diary), make(chan struct{})
		a := newServer(t, memory, d, users.Options{}, sio.Options{})
		srv := sio.New(&sio.Options{Adapter: last})
		slow := func(string) { <-release }
		users.New(srv.Namespace, userOf, &users.Options{OnOnline: slow, OnOffline: slow})
		settle()
		var all []string
		for i := range 20 {
			id := fmt.Sprint("user", i)
			a.Connect(t, "/", as(id))
			all = append(all, "+"+id)
		}
		time.Sleep(time.Minute)
		last.cut.Store(true)
		time.Sleep(30 * time.Second)
		d.want(t, all...)
		close(release)
		must(t, srv.Shutdown(context.Background()))
	})
}

// A user with many tabs is one entry, and comes and goes once.
func TestManyTabs(t *testing.T) {
	t.Parallel()
	servers(t, 2, func(t *testing.T, d *diary, nodes []server, _ adapter.Cluster) {
		var peers []*siotest.Peer
		for i := range 1000 {
			peers = append(peers, nodes[i%2].Connect(t, "/", as("ann")))
		}
		settle()
		d.want(t, "+ann")
		if n, err := nodes[1].people.User("ann").Count(t.Context()); n != 1000 || err != nil {
			t.Errorf("%d sockets, error %v", n, err)
		}
		for _, p := range peers[1:] {
			p.Abort()
		}
		time.Sleep(time.Minute)
		d.want(t)
		peers[0].Disconnect()
		time.Sleep(grace + time.Second)
		d.want(t, "-ann")
	})
}

// Of two calls of Update at the same time, the one that asked last decides.
func TestUpdatesAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := sio.New(nil)
		answers := make(chan string)
		people := users.New(srv.Namespace, func(s *sio.Socket) string {
			if id, ok := userKey.Get(s); ok && id == "wait" {
				return <-answers
			}
			return userOf(s)
		}, nil)
		p := siotest.Pipes(t, srv).Connect(t, "/", as("ann"))
		synctest.Wait()
		s := srv.Socket(p.ID())
		userKey.Set(s, "wait")
		go func() { must(t, people.Update(s)) }()
		synctest.Wait()
		userKey.Set(s, "bob")
		must(t, people.Update(s))
		answers <- "ann" // it was true when the first call asked
		synctest.Wait()
		if !people.Online("bob") || strings.Join(s.Pinned(), " ") != "users:id:bob" {
			t.Errorf("pinned to %q", s.Pinned())
		}
		must(t, srv.Shutdown(context.Background()))
	})
}

// A function of OnRoom runs while a socket joins the room of its user. It may call Update
// for that socket, also with another user: the last one asked for decides.
func TestUpdateInAFunctionOfOnRoom(t *testing.T) {
	t.Parallel()
	alone(t, users.Options{Grace: -1}, sio.Options{}, func(t *testing.T, d *diary, s server) {
		s.OnRoom(func(e sio.RoomEvent) {
			socket := s.Socket(e.Socket)
			if e.Kind != sio.RoomJoined || socket == nil {
				return
			}
			if e.Room == "users:id:ann" {
				userKey.Set(socket, "bob")
			}
			must(t, s.people.Update(socket))
		})
		p := s.Connect(t, "/", as("ann"))
		d.want(t, "+bob")
		if rooms := s.Socket(p.ID()).Pinned(); !slices.Equal(rooms, []string{"users:id:bob"}) {
			t.Errorf("pinned to %q", rooms)
		}
		p.Emit("become", "cid")
		d.want(t, "-bob", "+cid")
		p.Disconnect()
		d.want(t, "-cid")
		s.mustBeQuiet(t)
	})
}
