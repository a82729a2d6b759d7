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

const grace = 5 * time.Second

func settle() {
	time.Sleep(3 * time.Second)
	synctest.Wait()
}

// alone runs f with one server, in fake time.
func alone(t *testing.T, o users.Options, opts sio.Options, f func(t *testing.T, d *diary, s server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := new(diary)
		s := newServer(t, nil, d, o, opts)
		f(t, d, s)
	})
}

// A user with several sockets comes once and goes once, after the grace time.
func TestUsersComeAndGoOnce(t *testing.T) {
	t.Parallel()
	alone(t, users.Options{}, sio.Options{}, func(t *testing.T, d *diary, s server) {
		one := s.Connect(t, "/", as("ann"))
		two := s.Connect(t, "/", as("ann"))
		bob := s.Connect(t, "/", as("bob"))
		d.want(t, "+ann", "+bob")
		must(t, s.people.User("ann").Emit("mail", 1))
		one.Expect("mail")
		two.Expect("mail")
		if n, err := s.people.User("ann").Count(t.Context()); n != 2 || err != nil {
			t.Errorf("%d sockets, error %v", n, err)
		}
		all := slices.Sorted(s.people.All())
		if !slices.Equal(all, []string{"ann", "bob"}) || s.people.Len() != 2 {
			t.Errorf("online: %q, %d", all, s.people.Len())
		}
		one.Disconnect()
		two.Abort()
		time.Sleep(grace - time.Millisecond)
		d.want(t)
		if !s.people.User("ann").Online() {
			t.Error("offline within the grace time")
		}
		time.Sleep(time.Millisecond)
		d.want(t, "-ann")
		if s.people.Online("ann") || s.people.Len() != 1 {
			t.Error("still online")
		}
		bob.Disconnect()
		time.Sleep(grace)
		d.want(t, "-bob")
		s.mustBeQuiet(t)
	})
}

// A reload of the page is not noticed, however often.
func TestReloadsDoNotFlicker(t *testing.T) {
	t.Parallel()
	alone(t, users.Options{}, sio.Options{}, func(t *testing.T, d *diary, s server) {
		for range 20 {
			p := s.Connect(t, "/", as("ann"))
			time.Sleep(3 * time.Second)
			p.Abort()
			time.Sleep(grace - time.Millisecond)
		}
		d.want(t, "+ann")
		time.Sleep(grace)
		d.want(t, "-ann")
	})
}

func TestNoGrace(t *testing.T) {
	t.Parallel()
	alone(t, users.Options{Grace: -1}, sio.Options{}, func(t *testing.T, d *diary, s server) {
		for range 3 {
			p := s.Connect(t, "/", as("ann"))
			d.want(t, "+ann")
			p.Disconnect()
			d.want(t, "-ann")
		}
	})
}

// A recovered session is the same user, and its socket is in the user's room once.
func TestRecoveredSessionsKeepTheirUser(t *testing.T) {
	t.Parallel()
	alone(t, users.Options{}, sio.Options{ConnectionStateRecovery: &sio.Recovery{}}, func(t *testing.T, d *diary, s server) {
		ws := s.WebSocket(t)
		ws.Send(`40{"user":"ann"}`)
		answer := ws.Next()
		_, pid, _ := strings.Cut(answer, `"pid":"`)
		pid, _, _ = strings.Cut(pid, `"`)
		synctest.Wait() // the client is told that it was accepted before the socket joins the room
		must(t, s.people.User("ann").Emit("x"))
		event := ws.Next()
		offset := event[strings.LastIndex(event, `,"`)+2:]
		offset, _, _ = strings.Cut(offset, `"`)
		d.want(t, "+ann")
		ws.Abort()
		time.Sleep(grace - time.Second)
		back := s.WebSocket(t)
		back.Send(fmt.Sprintf(`40{"user":"ann","pid":%q,"offset":%q}`, pid, offset))
		back.Next()
		time.Sleep(2 * grace)
		d.want(t)
		for _, socket := range s.people.User("ann").Sockets() {
			if !socket.Recovered() || !slices.Equal(socket.Pinned(), []string{"users:id:ann"}) {
				t.Errorf("recovered: %t, pinned to %q", socket.Recovered(), socket.Pinned())
			}
		}
		if n, err := s.people.User("ann").Count(t.Context()); n != 1 || err != nil {
			t.Errorf("%d sockets, error %v", n, err)
		}
		back.Abort()
		time.Sleep(grace)
		d.want(t, "-ann")
	})
}

// Nobody has no room, and no calls. What cannot be an id is refused.
func TestNobodyAndIDsThatCannotBe(t *testing.T) {
	t.Parallel()
	alone(t, users.Options{}, sio.Options{}, func(t *testing.T, d *diary, s server) {
		p := s.Connect(t, "/", nil)
		s.Connect(t, "/", as(" \t "))
		d.want(t)
		must(t, s.Socket(p.ID()).Join("users:id:", "users:id: \t ")) // by name
		for _, nobody := range []string{"", " \t "} {
			if n, err := s.people.User(nobody).Count(t.Context()); n != 0 || err != nil || s.people.Online(nobody) {
				t.Errorf("%q has %d sockets, error %v", nobody, n, err)
			}
		}
		for id, want := range map[string]bool{strings.Repeat("x", users.MaxID): true, strings.Repeat("x", users.MaxID+1): false} {
			ws := s.WebSocket(t)
			ws.Connect("/", fmt.Sprintf(`{"user":%q}`, id))
			synctest.Wait()
			if !want {
				ws.Want(`42["user_refused",{"code":"invalid_user"}]`, "41")
			}
			if s.people.Online(id) != want {
				t.Errorf("%d bytes: online %t", len(id), !want)
			}
		}
		s.mustBeQuiet(t)
	})
}

// A socket that changes its user moves: there are calls for both, and the rooms follow.
func TestSocketsThatChangeTheirUser(t *testing.T) {
	t.Parallel()
	alone(t, users.Options{}, sio.Options{}, func(t *testing.T, d *diary, s server) {
		p := s.Connect(t, "/", nil)
		d.want(t)
		p.Emit("become", "ann")
		d.want(t, "+ann")
		p.Emit("become", "bob")
		d.want(t, "+bob")
		must(t, s.people.User("ann").Emit("wrong"))
		must(t, s.people.User("bob").Emit("right"))
		p.Expect("right")
		time.Sleep(grace)
		d.want(t, "-ann")
		p.Emit("become", "bob")
		p.Emit("become", "")
		time.Sleep(grace)
		d.want(t, "-bob")
	})
}

// A slow function delays calls and nothing else. It misses what undoes itself.
func TestSlowFunctions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		release := make(chan struct{})
		log := new(logbook)
		srv := sio.New(&sio.Options{Logger: log.logger()})
		people := users.New(srv.Namespace, userOf, &users.Options{
			Grace: time.Second, Logger: log.logger(),
			OnOnline: func(id string) {
				if id == "slow" {
					<-release
				}
				if id == "panic" {
					panic("no")
				}
				d.note("+" + id)
			},
			OnOffline: func(id string) { d.note("-" + id) },
		})
		dial := siotest.Pipes(t, srv)
		dial.Connect(t, "/", as("slow"))
		for range 1000 {
			p := dial.Connect(t, "/", as("ann"))
			p.Disconnect()
			time.Sleep(time.Second)
		}
		dial.Connect(t, "/", as("panic"))
		dial.Connect(t, "/", as("bob"))
		d.want(t)
		if people.Len() != 3 {
			t.Errorf("%d are online", people.Len())
		}
		close(release)
		d.want(t, "+slow", "+bob")
		if !strings.Contains(log.String(), "OnOnline or OnOffline of package users failed") {
			t.Error("the panic is not in the log")
		}
		must(t, srv.Shutdown(context.Background()))
		time.Sleep(time.Minute)
		d.want(t) // no calls after Shutdown
	})
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	srv := sio.New(nil)
	defer func() { must(t, srv.Shutdown(context.Background())) }()
	users.New(srv.Namespace, userOf, nil)
	for name, f := range map[string]func(){
		"users: New needs a namespace":              func() { users.New(nil, userOf, nil) },
		"users: New needs a namespace, and":         func() { users.New(srv.Of("/x"), nil, nil) },
		"users: New is not for ":                    func() { users.New(srv.OfFunc(func(string, *sio.Handshake) bool { return true }), userOf, nil) },
		"users: Options.MaxUsers is negative":       func() { users.New(srv.Of("/x"), userOf, &users.Options{MaxUsers: -1}) },
		`sio: OnServerEvent("sioplug:users"): name`: func() { users.New(srv.Namespace, userOf, nil) },
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.HasPrefix(text, name) {
					t.Errorf("panic %q, want %q", text, name)
				}
			}()
			f()
		}()
	}
}

// The sockets of a user can be on any server. One server makes each call.
func TestUsersOfACluster(t *testing.T) {
	t.Parallel()
	servers(t, 3, func(t *testing.T, d *diary, nodes []server, _ adapter.Cluster) {
		var peers [][]*siotest.Peer
		for i := range 10 {
			id := fmt.Sprint("user", i)
			var sockets []*siotest.Peer
			for _, n := range nodes { // at the same moment
				sockets = append(sockets, n.Connect(t, "/", as(id)))
			}
			peers = append(peers, sockets)
			settle()
			d.want(t, "+"+id)
		}
		for i, n := range nodes {
			if n.people.Len() != 10 || !n.people.Online("user7") {
				t.Errorf("server %d knows %d users", i, n.people.Len())
			}
		}
		must(t, nodes[0].people.User("user3").Emit("mail"))
		for _, p := range peers[3] {
			p.Expect("mail")
		}
		if n, err := nodes[1].people.User("user3").Count(t.Context()); n != 3 || err != nil {
			t.Errorf("%d sockets, error %v", n, err)
		}
		for _, sockets := range peers {
			sockets[0].Disconnect()
			sockets[1].Abort()
		}
		time.Sleep(time.Minute)
		d.want(t)
		for _, sockets := range peers {
			sockets[2].Disconnect()
		}
		time.Sleep(grace - time.Millisecond)
		d.want(t)
		time.Sleep(time.Second)
		var all []string
		for i := range 10 {
			all = append(all, fmt.Sprint("-user", i))
		}
		d.want(t, all...)
		for i, n := range nodes {
			if n.people.Len() != 0 {
				t.Errorf("server %d knows %d users", i, n.people.Len())
			}
		}
	})
}

// A client that goes to another server within the grace time is not noticed.
func TestUsersWhoChangeTheServer(t *testing.T) {
	t.Parallel()
	servers(t, 2, func(t *testing.T, d *diary, nodes []server, _ adapter.Cluster) {
		for i := range 6 {
			p := nodes[i%2].Connect(t, "/", as("ann"))
			time.Sleep(time.Minute)
			p.Abort()
			time.Sleep(grace - 100*time.Millisecond)
		}
		d.want(t, "+ann")
		time.Sleep(time.Second)
		d.want(t, "-ann")
	})
}

// With EveryServer, each one makes all calls.
func TestEveryServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := adapter.NewMemory()
		var diaries [2]diary
		var nodes []server
		for i := range diaries {
			nodes = append(nodes, newServer(t, cluster, &diaries[i], users.Options{EveryServer: true}, sio.Options{}))
		}
		settle()
		p := nodes[0].Connect(t, "/", as("ann"))
		settle()
		diaries[0].want(t, "+ann")
		diaries[1].want(t, "+ann")
		p.Disconnect()
		time.Sleep(grace)
		settle()
		diaries[0].want(t, "-ann")
		diaries[1].want(t, "-ann")
	})
}

// A server that starts later learns who is online, and makes no calls for that.
func TestServersThatStartLater(t *testing.T) {
	t.Parallel()
	servers(t, 2, func(t *testing.T, d *diary, nodes []server, cluster adapter.Cluster) {
		var want []string
		for i := range 1200 { // more than one message has
			id := fmt.Sprint("user", i)
			nodes[i%2].Connect(t, "/", as(id))
			want = append(want, "+"+id)
		}
		settle()
		d.want(t, want...)
		late := newServer(t, cluster, d, users.Options{}, sio.Options{})
		settle()
		d.want(t)
		if late.people.Len() != 1200 || !late.people.Online("user1199") {
			t.Errorf("it knows %d users", late.people.Len())
		}
		late.Connect(t, "/", as("ann"))
		settle()
		d.want(t, "+ann")
	})
}
