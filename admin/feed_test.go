package sioadmin_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sioadmin "github.com/sioplug/sioplug/admin"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// What the UI is told of a client, from its connection to its end (ECO-AD-13 to ECO-AD-19).
func TestDevelopment(t *testing.T) {
	t.Parallel()
	bubble(t, options(sioadmin.Development), func(t *testing.T, w *world) {
		name := sio.NewDataKey[string]("name")
		w.srv.OnConnect(func(c *sio.Ctx) error { return c.Join("r1") })
		w.srv.On("hello", func(c *sio.Ctx) error {
			name.Set(c.Socket, "Ann")
			return c.Emit("welcome", "Ann", []byte{1, 2, 3}, map[string]any{"picture": []byte{1}})
		})
		w.srv.On("part", func(c *sio.Ctx) error { return c.Leave("r1") })
		p := w.signIn(t)
		p.await("all_sockets")

		c := w.d.Polling(t)
		id := c.Connect("/", "")
		p.want(
			"room_joined / "+id+" "+id+" DATE",
			"socket_connected {"+id+" polling / map[] ["+id+"]} DATE",
			"room_joined / r1 "+id+" DATE")
		c.Upgrade()
		p.want("socket_updated map[id:" + id + " nsp:/ transport:websocket]")
		c.Send(`42["hello",1]`)
		p.want(
			"event_received / "+id+" [hello 1] DATE",
			"event_sent / "+id+" [welcome Ann (3 bytes of binary data) map[picture:(1 bytes of binary data)]] DATE",
			"socket_updated map[data:map[name:Ann] id:"+id+" nsp:/]")
		c.Send(`42["part"]`)
		p.want("event_received / "+id+" [part] DATE", "room_left / r1 "+id+" DATE")
		must(t, w.srv.Emit("news", "all"))
		p.want("event_sent / " + id + " [news all] DATE")
		c.Close()
		p.want("socket_disconnected / "+id+" transport close DATE", "room_left / "+id+" "+id+" DATE")
	})
}

// A page that comes later gets all sockets, in their rooms, with their data (ECO-AD-13).
func TestAllSockets(t *testing.T) {
	t.Parallel()
	bubble(t, options(sioadmin.Development), func(t *testing.T, w *world) {
		name := sio.NewDataKey[string]("name")
		w.srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { name.Set(c.Socket, "Ann"); return nil }))
		w.srv.OnConnect(func(c *sio.Ctx) error { return c.Join("r1", "r2") })
		w.srv.Of("/chat")
		c := w.d.WebSocket(t)
		ids := []string{c.Connect("/", ""), c.Connect("/chat", "")}
		p := w.signIn(t)
		list, _ := p.await("all_sockets")[0].([]any)
		got := make(map[any]string)
		clients := make(map[any]bool)
		for _, s := range list {
			got[field(s, "id")] = event{args: []any{s}}.String()
			if field(s, "nsp") != "/admin" {
				clients[field(s, "clientId")] = true
			}
		}
		for id, want := range map[string]string{
			ids[0]: " {" + ids[0] + " websocket / map[name:Ann] [" + ids[0] + " r1 r2]}",
			ids[1]: " {" + ids[1] + " websocket /chat map[] [" + ids[1] + "]}",
			p.id:   " {" + p.id + " websocket /admin map[] [" + p.id + "]}",
		} {
			if got[id] != want {
				t.Errorf("socket %s is described as\n %s\nwant\n %s", id, got[id], want)
			}
		}
		if len(got) != 3 || len(clients) != 1 || clients[c.SID()] {
			t.Errorf("%d sockets of %d clients are listed, want 3 and, for the two that are not the page's, 1: %v", len(got), len(clients), clients)
		}
	})
}

// Neither cookies nor tokens leave the server, whatever their names are.
func TestSecretsOfHandshakes(t *testing.T) {
	t.Parallel()
	o := options(sioadmin.Development)
	o.ShowHeaders, o.ShowQuery = []string{"x-tenant"}, []string{"room"}
	bubble(t, o, func(t *testing.T, w *world) {
		d := w.d
		d.Header = http.Header{
			"Cookie": {"s3cret=1"}, "Authorization": {"Bearer s3cret"}, "Proxy-Authorization": {"s3cret"},
			"X-Api-Key": {"s3cret"}, "Sec-Websocket-Protocol": {"s3cret"}, "Referer": {"http://a/?s3cret"},
			"User-Agent": {"test"}, "X-Tenant": {"blue"},
		}
		d.URL += "?token=s3cret&room=7"
		c := d.WebSocket(t)
		c.Connect("/", `{"token":"s3cret"}`)
		p := w.signIn(t)
		list, _ := p.await("all_sockets")[0].([]any)
		found := false
		for _, s := range list {
			if strings.Contains(fmt.Sprint(s), "s3cret") {
				t.Errorf("the UI gets a secret: %v", s)
			}
			if field(s, "nsp") != "/" {
				continue
			}
			found = true
			for want, got := range map[string]any{
				"test": field(s, "handshake", "headers", "user-agent"), "blue": field(s, "handshake", "headers", "x-tenant"),
				"7": field(s, "handshake", "query", "room"), "4": field(s, "handshake", "query", "EIO"),
				"/socket.io/?EIO=4&room=7&transport=websocket": field(s, "handshake", "url"),
			} {
				if got != want {
					t.Errorf("got %v, want %s", got, want)
				}
			}
		}
		if !found {
			t.Error("the client is not in the list")
		}
	})
}

// More events than may be shown are counted.
func TestManyEvents(t *testing.T) {
	t.Parallel()
	o := options(sioadmin.Development)
	o.MaxEventsPerSecond = 3
	bubble(t, o, func(t *testing.T, w *world) {
		p := w.signIn(t)
		p.await("all_sockets")
		c := w.d.WebSocket(t)
		id := c.Connect("/", "")
		for i := range 10 {
			c.Send(fmt.Sprintf(`42["e",%d]`, i))
		}
		p.want("room_joined / "+id+" "+id+" DATE", "socket_connected {"+id+" websocket / map[] ["+id+"]} DATE")
		for i := range 3 {
			p.want(fmt.Sprintf("event_received / %s [e %d] DATE", id, i))
		}
		p.want("event_received /  [(7 more events are not shown)] DATE")
		time.Sleep(time.Second)
		c.Send(`42["e","` + strings.Repeat("x", 20_000) + `"]`)
		p.want("event_received / " + id + " [e (20002 bytes)] DATE")
		c.Send(`42["` + strings.Repeat("n", 1000) + `"]`)
		p.want("event_received / " + id + " [" + strings.Repeat("n", 200) + "...] DATE")
	})
}

// Nobody looks: nothing is queued, and a page that comes has it all.
func TestNobodyLooks(t *testing.T) {
	t.Parallel()
	bubble(t, options(sioadmin.Development), func(t *testing.T, w *world) {
		c := w.d.WebSocket(t)
		id := c.Connect("/", "")
		must(t, w.srv.Broadcast().Join("late"))
		c.Send(`42["hello"]`)
		synctest.Wait()
		p := w.signIn(t)
		list := fmt.Sprint(p.await("all_sockets"))
		if !strings.Contains(list, "rooms:["+id+" late]") {
			t.Errorf("the list is %s", list)
		}
	})
}

// Namespaces of patterns are told of as well, and forgotten at their end.
func TestChildNamespaces(t *testing.T) {
	t.Parallel()
	so := sio.Options{CleanupEmptyChildNamespaces: true}
	bubbleWith(t, so, options(sioadmin.Development), func(t *testing.T, w *world) {
		w.srv.OfFunc(func(name string, _ *sio.Handshake) bool { return strings.HasPrefix(name, "/tenant-") })
		p := w.signIn(t)
		p.await("all_sockets")
		for range 2 {
			c := w.d.WebSocket(t)
			id := c.Connect("/tenant-1", "")
			c.Send(`42/tenant-1,["hello"]`)
			p.want("room_joined /tenant-1 "+id+" "+id+" DATE",
				"socket_connected {"+id+" websocket /tenant-1 map[] ["+id+"]} DATE",
				"event_received /tenant-1 "+id+" [hello] DATE")
			c.Close()
			p.want("socket_disconnected /tenant-1 "+id+" transport close DATE", "room_left /tenant-1 "+id+" "+id+" DATE")
			synctest.Wait()
		}
	})
}

// A page gets neither too little nor anything twice, however clients change while its list
// is made.
func TestListsAndChangesAgree(t *testing.T) {
	t.Parallel()
	bubble(t, options(sioadmin.Development), func(t *testing.T, w *world) {
		w.srv.On("join", sio.Bind(func(c *sio.Ctx, room string) error { return c.Join(room) }))
		w.srv.On("leave", sio.Bind(func(c *sio.Ctx, room string) error { return c.Leave(room) }))
		clients := make(chan *siotest.Client, 8)
		for range cap(clients) {
			c := w.d.WebSocket(t)
			c.Connect("/", "")
			clients <- c
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 400 {
				c := <-clients
				room := fmt.Sprint("r", i%5)
				if c.TrySend(`42["join","`+room+`"]`, `42["leave","r2"]`) != nil {
					t.Error("sending failed")
				}
				clients <- c
			}
		}()
		p := w.signIn(t)
		<-done
		synctest.Wait()
		want := make(map[string]bool)
		for _, s := range fetch(t, w.srv) {
			for _, room := range s.Rooms {
				want[s.ID+" "+room] = true
			}
		}
		got := make(map[string]bool)
		w.srv.Of("/end")
		w.d.WebSocket(t).Connect("/end", "")
		listed := false
		for e := p.nextState(); e.name != "room_joined" || e.args[0] != "/end"; e = p.nextState() {
			if listed = listed || e.name == "all_sockets"; listed { // changes before are part of it
				apply(t, got, e)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the page has\n%v\nwant\n%v", got, want)
		}
	})
}

func fetch(t *testing.T, srv *sio.Server) []sio.RemoteSocket {
	t.Helper()
	all, err := srv.Broadcast().Fetch(t.Context())
	must(t, err)
	return all
}

// apply does what the UI does, and fails where it would show something twice.
func apply(t *testing.T, members map[string]bool, e event) {
	t.Helper()
	change := func(id, room any, joined bool) {
		key := fmt.Sprint(id, " ", room)
		if members[key] == joined {
			t.Errorf("told twice of %s: %s", key, e)
		}
		if members[key] = joined; !joined {
			delete(members, key)
		}
	}
	switch e.name {
	case "all_sockets":
		clear(members)
		list, _ := e.args[0].([]any)
		for _, s := range list {
			rooms, _ := field(s, "rooms").([]any)
			for _, room := range rooms {
				if field(s, "nsp") == "/" {
					change(field(s, "id"), room, true)
				}
			}
		}
	case "room_joined":
		change(e.args[2], e.args[1], true)
	case "room_left":
		change(e.args[2], e.args[1], false)
	}
}
