package sioadmin_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sioadmin "github.com/sioplug/sioplug/admin"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// An audit notes operations.
type audit struct {
	mu    sync.Mutex
	lines []string
}

func (a *audit) note(o sioadmin.Operation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, fmt.Sprint(o.Kind, " ", o.Namespace, " ", o.Rooms, " ", o.Detail, " ", o.Err))
}

func (a *audit) want(t *testing.T, lines ...string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if got, want := strings.Join(a.lines, "\n"), strings.Join(lines, "\n"); got != want {
		t.Errorf("the audit has\n%s\nwant\n%s", got, want)
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	a := new(audit)
	o := options(sioadmin.Production)
	o.OnOperation = a.note
	bubble(t, o, func(t *testing.T, w *world) {
		p := w.signIn(t)
		c, other := w.d.WebSocket(t), w.d.WebSocket(t)
		id := c.Connect("/", "")
		otherID := other.Connect("/", "")
		p.send("join", "/", "r1", id)
		p.send("join", "/", "r2")
		p.send("leave", "/", "r2", []string{id})
		synctest.Wait()
		for _, s := range fetch(t, w.srv) {
			want := map[string]string{id: fmt.Sprint([]string{id, "r1"}), otherID: fmt.Sprint([]string{otherID, "r2"})}[s.ID]
			if got := fmt.Sprint(s.Rooms); got != want {
				t.Errorf("the rooms of %s are %s, want %s", s.ID, got, want)
			}
		}
		p.send("emit", "/", "r1", "hello", 1, map[string]int{"a": 2})
		c.Want(`42["hello",1,{"a":2}]`)
		p.send("emit", "/", nil, "all")
		c.Want(`42["all"]`)
		other.Want(`42["all"]`)
		p.send("_disconnect", "/", false, id)
		c.Want("41")
		p.send("_disconnect", "/", true, "")
		other.Want("41")
		if rest := other.UntilClosed(); len(rest) > 0 {
			t.Errorf("got %q", rest)
		}
		synctest.Wait()
		a.want(t,
			"join / ["+id+"] r1 <nil>", "join / [] r2 <nil>", "leave / ["+id+"] r2 <nil>",
			"emit / [r1] hello <nil>", "emit / [] all <nil>",
			"disconnect / ["+id+"]  <nil>", "disconnect / [] close <nil>")
	})
}

// What the UI never sends changes nothing. Above all it does not mean everybody, and it
// makes no namespace.
func TestOperationsWithBadArguments(t *testing.T) {
	t.Parallel()
	bubble(t, options(sioadmin.Production), func(t *testing.T, w *world) {
		p := w.signIn(t)
		c := w.d.WebSocket(t)
		id := c.Connect("/", "")
		for i, args := range []string{
			`"_disconnect"`, `"_disconnect","/"`, `"_disconnect",1,true`, `"_disconnect","/",true,1`, `"_disconnect","/",true,{}`,
			`"_disconnect","/",true,[]`, `"_disconnect","/",true,[1]`, `"_disconnect","/",true,[""]`,
			`"join","/"`, `"join","/",1`, `"join","/",""`, `"leave","/",null`,
			`"emit","/",null`, `"emit","/",null,1`, `"emit","/",null,""`, `"join"`, `"emit"`,
		} {
			p.Send(fmt.Sprintf("42/admin,%d[%s]", i, args))
			if got, want := p.Next(), fmt.Sprintf(`43/admin,%d[{"error":{"message":"invalid arguments"}}]`, i); got != want {
				t.Errorf("%s got %s, want %s", args, got, want)
			}
		}
		p.Send(`42/admin,99["join","/none","r"]`)
		p.Want(`43/admin,99[{"error":{"message":"this server has no such namespace"}}]`)
		if all := w.srv.Namespaces(); len(all) != 2 {
			t.Errorf("there are %d namespaces, want 2", len(all))
		}
		c.Send(`42["still","here"]`)
		synctest.Wait()
		if all := fetch(t, w.srv); len(all) != 1 || all[0].ID != id || len(all[0].Rooms) != 1 {
			t.Errorf("there are %v, want one socket in its own room", all)
		}
	})
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	o := options(sioadmin.Development)
	o.ReadOnly = true
	bubble(t, o, func(t *testing.T, w *world) {
		p := w.open(t, credentials(username, password))
		if got, want := fmt.Sprint(p.await("config")), "[map[supportedFeatures:[AGGREGATED_EVENTS ALL_EVENTS]]]"; got != want {
			t.Errorf("the configuration is %s, want %s", got, want)
		}
		c := w.d.WebSocket(t)
		c.Connect("/", "")
		p.send("_disconnect", "/", true)
		p.send("join", "/", "r")
		p.send("emit", "/", nil, "e")
		synctest.Wait()
		if all := fetch(t, w.srv); len(all) != 1 || len(all[0].Rooms) != 1 {
			t.Errorf("there are %v, want one socket in its own room", all)
		}
	})
}

// A panic in the audit is logged, and the operation is done.
func TestOnOperationPanics(t *testing.T) {
	t.Parallel()
	o := options(sioadmin.Production)
	o.OnOperation = func(sioadmin.Operation) { panic("oh no") }
	bubbleWith(t, sio.Options{}, o, func(t *testing.T, w *world) {
		p := w.signIn(t)
		c := w.d.WebSocket(t)
		c.Connect("/", "")
		p.send("_disconnect", "/", false)
		c.Want("41")
		synctest.Wait()
		if got := w.log.String(); !strings.Contains(got, "OnOperation of the Admin UI failed") || !strings.Contains(got, "oh no") {
			t.Errorf("logged %q", got)
		}
	})
}

// ECO-AD-12, and the numbers are those of what clients did.
func TestServerStats(t *testing.T) {
	t.Parallel()
	bubble(t, options(sioadmin.Production), func(t *testing.T, w *world) {
		w.srv.On("echo", func(c *sio.Ctx) error { return c.Emit("echo") })
		p := w.signIn(t)
		first := p.await("server_stats")[0]
		for range 3 {
			c := w.d.WebSocket(t)
			c.Connect("/", "")
			c.Send(`42["echo"]`)
			c.Want(`42["echo"]`)
		}
		left := w.d.Polling(t)
		left.Connect("/", "")
		gone := w.d.WebSocket(t)
		gone.Close()
		before := time.Now()
		second := p.await("server_stats")[0]
		if took := time.Since(before); took > 2*time.Second {
			t.Errorf("the next numbers came after %v", took)
		}
		for path, want := range map[string]any{
			"serverId": "one", "clientsCount": 5.0, "pollingClientsCount": 1.0,
			"namespaces": "[map[name:/ socketsCount:4] map[name:/admin socketsCount:1]]",
		} {
			if got := field(second, path); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s is %v, want %v", path, got, want)
			}
		}
		for _, number := range []string{"pid", "uptime", "hostname"} {
			if field(second, number) == nil {
				t.Errorf("there is no %s", number)
			}
		}
		sums := make(map[string]float64)
		for _, s := range []any{first, second} {
			list, ok := field(s, "aggregatedEvents").([]any)
			if !ok {
				t.Errorf("aggregatedEvents is %v", field(s, "aggregatedEvents"))
			}
			for _, e := range list {
				count, _ := field(e, "count").(float64)
				sums[strings.TrimSpace(fmt.Sprint(field(e, "type"), " ", orNothing(field(e, "subType"))))] += count
				if at, _ := field(e, "timestamp").(float64); int64(at)%1000 != 0 {
					t.Errorf("the timestamp %v is not that of a second", at)
				}
			}
		}
		stats := w.srv.Stats()
		for kind, want := range map[string]float64{"rawConnection": 6, "rawDisconnection transport close": 1, "packetsIn": float64(stats.PacketsReceived)} {
			if sums[kind] != want {
				t.Errorf("%s is %v, want %v: %v", kind, sums[kind], want, sums)
			}
		}
	})
}

func orNothing(v any) any {
	if v == nil {
		return ""
	}
	return v
}

// Production tells nothing of single clients.
func TestProduction(t *testing.T) {
	t.Parallel()
	bubble(t, options(sioadmin.Production), func(t *testing.T, w *world) {
		p := w.signIn(t)
		c := w.d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`42["secret"]`)
		c.Close()
		for range 5 {
			if e := p.next(); e.name != "server_stats" {
				t.Errorf("the page gets %s", e)
			}
		}
	})
}

// Clients can make namespaces. The list of them is bounded.
func TestManyNamespaces(t *testing.T) {
	t.Parallel()
	bubble(t, options(sioadmin.Production), func(t *testing.T, w *world) {
		for i := range 150 {
			w.srv.Of(fmt.Sprint("/n", i))
		}
		c := w.d.WebSocket(t)
		c.Connect("/n149", "")
		p := w.signIn(t)
		list, _ := field(p.await("server_stats")[0], "namespaces").([]any)
		if len(list) != 101 || field(list[100], "name") != "(others)" {
			t.Fatalf("%d namespaces are listed, want 100 and the others", len(list))
		}
		if got := fmt.Sprint(list[:2]); got != "[map[name:/admin socketsCount:1] map[name:/n149 socketsCount:1]]" {
			t.Errorf("the largest namespaces are %s", got)
		}
	})
}

// Each page shows and controls all servers of a cluster.
func TestCluster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := adapter.NewMemory()
		world := func(id string) *world {
			o := options(sioadmin.Development)
			o.ServerID, o.SessionKey = id, []byte(strings.Repeat("k", 32))
			return newWorld(t, sio.Options{Adapter: bus}, o)
		}
		one, two := world("one"), world("two")
		there := two.d.WebSocket(t)
		name := sio.NewDataKey[string]("name")
		two.srv.OnConnect(func(c *sio.Ctx) error { name.Set(c.Socket, "Bo"); return nil })
		early := there.Connect("/", "")
		p := one.signIn(t)
		list, _ := p.await("all_sockets")[0].([]any)
		found := ""
		for _, s := range list {
			if field(s, "id") == early {
				found = event{args: []any{s}}.String()
				if id, _ := field(s, "clientId").(string); len(id) != 12 || id == there.SID()[:12] {
					t.Errorf("the id of the client is %q", id)
				}
			}
		}
		if want := " {" + early + " websocket / map[name:Bo] [" + early + "]}"; found != want {
			t.Errorf("the socket of the other server is described as %q, want %q", found, want)
		}
		late := two.d.WebSocket(t).Connect("/", "")
		seen := make(map[any]bool)
		for range 40 {
			switch e := p.next(); e.name {
			case "server_stats":
				seen[field(e.args[0], "serverId")] = true
			case "socket_connected":
				seen[field(e.args[0], "id")] = true
			case "all_sockets":
				seen["again"] = true
			}
			if len(seen) == 4 {
				break
			}
		}
		for _, want := range []string{"one", "two", late, "again"} {
			if !seen[want] {
				t.Errorf("the page has not seen %s", want)
			}
		}
		p.send("_disconnect", "/", false, early)
		there.Want("41")
	})
}

// A server that has ended leaves no goroutine behind.
func TestInstrumentAfterShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := sio.New(nil)
		must(t, srv.Shutdown(t.Context()))
		if _, err := sioadmin.Instrument(srv, options(sioadmin.Development)); err != nil {
			t.Error(err)
		}
	}) // the bubble fails if a goroutine is left
}
