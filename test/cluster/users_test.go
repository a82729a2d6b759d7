package cluster_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/redis/go-redis/v9"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/redistest"
	"github.com/sioplug/sioplug/middleware/auth"
	"github.com/sioplug/sioplug/middleware/ratelimit"
	"github.com/sioplug/sioplug/middleware/users"
)

// TestUsers has users with tabs on two servers. Package users knows them once.
func TestUsers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"classic", "sharded dynamic", "streams", "memory"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUsersCluster(t, name)
			connection := u.connections(t)
			u.servers = []*usersServer{u.start(t, "a", connection()), u.start(t, "b", connection())}
			u.settle(t)
			u.testTabs(t)
			u.testNewestWins(t)
			u.testLeaving(t)
		})
	}
}

// TestUsersOfAKilledServer kills the process of a server. Its users go offline once.
func TestUsersOfAKilledServer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"classic", "streams"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUsersCluster(t, name)
			u.faulty = true
			u.servers = []*usersServer{u.start(t, "a", u.connections(t)()), u.startProcess(t, "b")}
			u.settle(t)
			u.tab(t, 1, "ann")
			u.tab(t, 1, "bob")
			u.tab(t, 0, "bob")
			u.want(t, "+ann", "+bob")
			time.Sleep(unsure)
			u.servers[1].kill()
			u.servers = u.servers[:1]
			u.want(t, "-ann")
			if !u.servers[0].people.Online("bob") || u.servers[0].people.Online("ann") {
				t.Error("wrong users are online")
			}
		})
	}
}

const (
	usersEnv   = "SIOPLUG_USERS_SERVER"
	usersGrace = time.Second

	// unsure is how old a call has to be for all servers to be sure that it was made.
	unsure = 3 * time.Second
)

var usersSecret = []byte("0123456789abcdef0123456789ABCDEF")

// A usersCluster is some servers that tell a diary of users who come and go.
type usersCluster struct {
	*cluster

	addr    string // of Redis
	servers []*usersServer
	tabs    int
	markers int
	seen    int // entries of the diary that were looked at
}

// A usersServer is one of them.
type usersServer struct {
	srv    *sio.Server
	people *users.Users // nil in another process
	addr   string
	gone   bool
	kill   func()
}

func newUsersCluster(t *testing.T, variantName string) *usersCluster {
	t.Helper()
	if variantName == "memory" {
		return &usersCluster{cluster: newCluster(t, variant{name: variantName, adapter: variantName})}
	}
	return &usersCluster{cluster: newCluster(t, variantOf(variantName)), addr: redistest.Start(t).Addr}
}

func variantOf(name string) variant {
	list := variants()
	return list[slices.IndexFunc(list, func(v variant) bool { return v.name == name })]
}

// connections returns a function that returns a connection for a server.
func (u *usersCluster) connections(t *testing.T) func() adapter.Cluster {
	t.Helper()
	if u.addr == "" {
		memory := adapter.NewMemory()
		return func() adapter.Cluster { return memory }
	}
	return func() adapter.Cluster {
		client := redis.NewClient(&redis.Options{Addr: u.addr})
		t.Cleanup(func() {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
		})
		return u.variant.goes(client)
	}
}

// newUsersServer makes a server that notes who comes and goes.
func newUsersServer(connection adapter.Cluster, log *slog.Logger, note func(call string)) (*sio.Server, *users.Users) {
	srv := sio.New(&sio.Options{Adapter: connection, Logger: log})
	verify := auth.HS256[jwt.RegisteredClaims](usersSecret)
	srv.UseConnect(auth.Require(verify))
	srv.Of("/one").UseConnect(auth.Require(verify), ratelimit.MaxPerUser(auth.Subject, 1, ratelimit.NewestWins()))
	srv.Of("/one").OnConnect(func(c *sio.Ctx) error { return c.Emit("welcome") })
	people := users.New(srv.Namespace, auth.Subject, &users.Options{
		Grace:     usersGrace,
		Logger:    log,
		OnOnline:  func(id string) { note("+" + id) },
		OnOffline: func(id string) { note("-" + id) },
	})
	return srv, people
}

const usersCalls = "calls about users"

// start starts a server in this process, which stops with the test.
func (u *usersCluster) start(t *testing.T, name string, connection adapter.Cluster) *usersServer {
	t.Helper()
	log := slog.New(noErrors{slog.NewTextHandler(t.Output(), nil), t, u.faulty}).With(slog.String("server", name))
	srv, people := newUsersServer(connection, log, func(call string) { u.diary.add(usersCalls, call) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &goServer{id: name, addr: ln.Addr().String(), srv: srv, web: &http.Server{Handler: srv}, served: make(chan error, 1), released: make(chan struct{})}
	go func() { s.served <- s.web.Serve(ln) }()
	t.Cleanup(func() { s.stop(t) })
	return &usersServer{srv: srv, people: people, addr: s.addr, kill: func() { s.stop(t) }}
}

// startProcess starts a server in a process of its own: this program, started again.
func (u *usersCluster) startProcess(t *testing.T, name string) *usersServer {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), usersEnv+"="+u.variant.name+" at "+u.addr)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s, addr, done := new(usersServer), make(chan string, 1), make(chan struct{})
	go func() { // ends with the process
		defer close(done)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if at, ok := strings.CutPrefix(lines.Text(), "at "); ok {
				addr <- at
				continue
			}
			u.diary.add(usersCalls, lines.Text())
		}
	}()
	s.kill = func() {
		if !s.gone {
			s.gone = true
			_ = cmd.Process.Kill()
			<-done
			_ = cmd.Wait()
		}
	}
	t.Cleanup(s.kill)
	select {
	case s.addr = <-addr:
	case <-done:
		t.Fatalf("server %s does not start", name)
	}
	return s
}

// runUsersServer is a server until its process is killed.
func runUsersServer() {
	name, addr, _ := strings.Cut(os.Getenv(usersEnv), " at ")
	client := redis.NewClient(&redis.Options{Addr: addr})
	srv, _ := newUsersServer(variantOf(name).goes(client), slog.Default(), func(call string) { fmt.Println(call) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("at " + ln.Addr().String())
	go func() { fmt.Fprintln(os.Stderr, http.Serve(ln, srv)) }()
	time.Sleep(5 * time.Minute) // nobody needs it for longer
}

// tab connects an official client of a user.
func (u *usersCluster) tab(t *testing.T, server int, user string) *client {
	t.Helper()
	return u.tabIn(t, server, "/", user)
}

func (u *usersCluster) tabIn(t *testing.T, server int, ns, user string) *client {
	t.Helper()
	u.tabs++
	claims := jwt.RegisteredClaims{Subject: user, ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(usersSecret)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{peer: u.peer, name: fmt.Sprintf("%s's tab %d", user, u.tabs), ns: ns}
	c.connect(t, connect{Op: "connect", URL: "http://" + u.servers[server].addr, NS: ns, Token: token, Transports: []string{"websocket"}})
	return c
}

// settle waits until all servers know of a user of each, and have been there for long enough
// to make calls.
func (u *usersCluster) settle(t *testing.T) {
	t.Helper()
	for i := range u.servers {
		u.tab(t, i, fmt.Sprint("first", i))
	}
	u.diary.within(t, patience, usersCalls, 0, func(entries []string) bool { return len(entries) >= len(u.servers) })
	for i := range u.servers {
		first := fmt.Sprint("first", i)
		u.wait(t, "users of all servers", func(s *usersServer) bool { return s.people.Online(first) })
	}
	time.Sleep(3 * time.Second) // until then, a call may be made twice
	u.seen = u.diary.length(usersCalls)
}

// wait waits until something is true on all servers in this process.
func (u *usersCluster) wait(t *testing.T, what string, ok func(s *usersServer) bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if !slices.ContainsFunc(u.servers, func(s *usersServer) bool { return s.people != nil && !ok(s) }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("there are not: %s", what)
		}
	}
}

// want waits until these calls were made since the last time, and then for calls about other
// users, which come behind any other call. It fails if there are more.
func (u *usersCluster) want(t *testing.T, calls ...string) {
	t.Helper()
	has := func(entries []string, calls []string) bool {
		return !slices.ContainsFunc(calls, func(c string) bool { return !slices.Contains(entries, c) })
	}
	if !u.diary.within(t, patience, usersCalls, u.seen, func(entries []string) bool { return has(entries, calls) }) {
		t.Fatalf("calls %q, want %q", u.diary.since(usersCalls, u.seen), calls)
	}
	var markers []string
	for i := range 8 { // with calls of all servers in all likelihood
		u.markers++
		marker := fmt.Sprint("marker", u.markers)
		u.tab(t, i%len(u.servers), marker)
		markers = append(markers, "+"+marker)
	}
	if !u.diary.within(t, patience, usersCalls, u.seen, func(entries []string) bool { return has(entries, markers) }) {
		t.Fatalf("calls %q, want %q", u.diary.since(usersCalls, u.seen), markers)
	}
	got := u.diary.since(usersCalls, u.seen)
	slices.Sort(got)
	if twice := slices.Compact(slices.Clone(got)); len(twice) != len(got) {
		t.Errorf("calls %q: some were made twice", got)
	}
	got = slices.DeleteFunc(got, func(c string) bool { return strings.HasPrefix(c[1:], "marker") || strings.HasPrefix(c[1:], "first") })
	u.seen = u.diary.length(usersCalls)
	slices.Sort(calls)
	if !slices.Equal(got, calls) {
		t.Errorf("calls %q, want %q", got, calls)
	}
}

// testTabs: two tabs on two servers come once, get what is for their user, and go once.
func (u *usersCluster) testTabs(t *testing.T) {
	t.Helper()
	one, two := u.tab(t, 0, "ann"), u.tab(t, 1, "ann")
	other := u.tab(t, 1, "bob")
	u.want(t, "+ann", "+bob")
	for i, s := range u.servers {
		u.wait(t, "two tabs", func(*usersServer) bool {
			n, err := s.people.User("ann").Count(t.Context())
			return err == nil && n == 2
		})
		mail := fmt.Sprint("mail from server ", i)
		if err := s.people.User("ann").Emit(mail); err != nil {
			t.Error(err)
		}
		u.diary.until(t, received(one.name), 0, canonical([]any{mail}))
		u.diary.until(t, received(two.name), 0, canonical([]any{mail}))
	}
	if n := u.diary.length(received(other.name)); n != 0 {
		t.Errorf("bob got %q", u.diary.since(received(other.name), 0))
	}
	one.disconnect(t)
	time.Sleep(2 * usersGrace)
	u.want(t)
	two.disconnect(t)
	u.want(t, "-ann")
	other.disconnect(t)
	u.want(t, "-bob")
	u.wait(t, "only others", func(s *usersServer) bool { return !s.people.Online("ann") && !s.people.Online("bob") })
}

// testNewestWins: in the namespace /one, a user has one socket, the last one.
func (u *usersCluster) testNewestWins(t *testing.T) {
	t.Helper()
	var last *client
	for i := range 5 {
		c := u.tabIn(t, i%len(u.servers), "/one", "ann")
		u.diary.until(t, received(c.name), 0, canonical([]any{"welcome"}))
		if last != nil {
			before := u.diary.until(t, disconnected(last.name), 0, "io server disconnect")
			told := u.diary.since(received(last.name), 0)
			if want := canonical([]any{"rate_limited", map[string]any{"code": "replaced", "event": "connect"}}); len(before) > 0 || len(told) != 2 || told[1] != want {
				t.Errorf("%s got %q, want %s", last.name, told, want)
			}
		}
		last = c
	}
	if err := u.servers[0].srv.Of("/one").Emit("done"); err != nil {
		t.Error(err)
	}
	u.diary.until(t, received(last.name), 0, canonical([]any{"done"}))
}

// testLeaving stops a server. Its users go offline after the grace time, once, unless they
// come back on another server.
func (u *usersCluster) testLeaving(t *testing.T) {
	t.Helper()
	u.tab(t, 1, "cid")
	u.tab(t, 1, "dan")
	u.want(t, "+cid", "+dan")
	time.Sleep(unsure)
	u.servers[1].kill() // a shutdown
	u.servers = u.servers[:1]
	u.tab(t, 0, "dan")
	if !u.diary.within(t, patience, usersCalls, u.seen, func(entries []string) bool { return slices.Contains(entries, "-cid") }) {
		t.Fatalf("calls %q, want -cid", u.diary.since(usersCalls, u.seen))
	}
	entries := u.diary.since(usersCalls, u.seen)
	slices.Sort(entries)
	if unique := slices.Compact(slices.Clone(entries)); len(unique) != len(entries) || slices.Contains(entries, "-dan") || slices.Contains(entries, "+dan") {
		t.Errorf("calls %q", entries)
	}
}
