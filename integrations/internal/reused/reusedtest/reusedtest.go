// Package reusedtest tests that what a socket keeps of its request stays as it was,
// whatever the framework does with the memory of that request afterwards.
package reusedtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A Framework is what an integration has for its test. C is its context.
type Framework[C any] struct {
	// Mount serves at the path /t/alice/socket.io/, where "alice" is the parameter
	// "tenant", behind middleware.
	Mount func(t *testing.T, srv *sio.Server, middleware func(c C)) siotest.Dialer

	// Connect makes middleware for connects.
	Connect func(middleware func(c C)) sio.Middleware

	// Sources return "alice" of a request for her, in any way that the framework has:
	// it is in the header X-User, the cookie "user", the query parameter "user", the
	// path, and the body.
	Sources map[string]func(c C) string

	// Set leaves a value in the request, and Get finds it.
	Set func(c C, value any)
	Get func(s *sio.Socket) any

	// Refused are values that lead back to what the framework uses again.
	Refused map[string]func(c C) any

	// SetContext leaves a value in the context of the request.
	SetContext func(c C, key, value any)
}

type (
	name string
	user struct{ name string }
	key  struct{}
)

// A container is a value with a string in it.
type container struct {
	put func(s string) any
	get func(v any) string
}

func containers() map[string]container {
	return map[string]container{
		"string":              {func(s string) any { return s }, func(v any) string { return v.(string) }},
		"named string":        {func(s string) any { return name(s) }, func(v any) string { return string(v.(name)) }},
		"struct":              {func(s string) any { return user{s} }, func(v any) string { return v.(user).name }},
		"pointer":             {func(s string) any { return &user{s} }, func(v any) string { return v.(*user).name }},
		"pointer to a string": {func(s string) any { return &s }, func(v any) string { return *v.(*string) }},
		"slice":               {func(s string) any { return []user{{s}} }, func(v any) string { return v.([]user)[0].name }},
		"array":               {func(s string) any { return [1]any{s} }, func(v any) string { return v.([1]any)[0].(string) }},
		"map":                 {func(s string) any { return map[string]any{"name": s} }, func(v any) string { return v.(map[string]any)["name"].(string) }},
		"key of a map": {func(s string) any { return map[string]bool{s: true} }, func(v any) string {
			for s := range v.(map[string]bool) {
				return s
			}
			return ""
		}},
		"channel": {func(s string) any { c := make(chan string, 1); c <- s; return c }, func(v any) string {
			c := v.(chan string)
			s := <-c
			c <- s
			return s
		}},
		"function in a struct": {
			func(s string) any { return &struct{ name func() string }{func() string { return s }} },
			func(v any) string { return v.(*struct{ name func() string }).name() },
		},
		"context in a struct": {
			func(s string) any {
				return &struct{ context.Context }{context.WithValue(context.Background(), key{}, s)}
			},
			func(v any) string { return v.(*struct{ context.Context }).Value(key{}).(string) },
		},
		"query": {func(s string) any { return url.Values{"name": {s}} }, func(v any) string { return v.(url.Values).Get("name") }},
		"error": {func(s string) any { return &userError{s} }, func(v any) string { return v.(error).Error() }},
	}
}

type userError struct{ name string }

func (e *userError) Error() string { return e.name }

// Run tests an integration: each source of a string, each value that it can be in, and
// each way in which values reach a socket.
func Run[C any](t *testing.T, f Framework[C]) {
	t.Helper()
	header := f.Sources["header"]
	for name, value := range f.Refused {
		t.Run("refused "+name, func(t *testing.T) { refused(t, f, value) })
	}
	for way, test := range ways[C]() {
		t.Run(way, func(t *testing.T) {
			for what, c := range containers() {
				leave := func(r C) { f.Set(r, c.put(header(r))) }
				t.Run(what, func(t *testing.T) { test(t, f, leave, func(s *sio.Socket) string { return c.get(f.Get(s)) }) })
			}
			for where, source := range f.Sources {
				if where == "body" && way != "polling" {
					continue // there is none
				}
				leave := func(r C) { f.Set(r, &user{source(r)}) }
				t.Run("of the "+where, func(t *testing.T) { test(t, f, leave, func(s *sio.Socket) string { return f.Get(s).(*user).name }) })
			}
		})
		if way == "connect" {
			continue
		}
		t.Run(way+", context", func(t *testing.T) {
			leave := func(r C) { f.SetContext(r, key{}, &user{header(r)}) }
			test(t, f, leave, func(s *sio.Socket) string { return s.Handshake().Context.Value(key{}).(*user).name })
		})
	}
}

// refused tests that a value is not kept, and that the log says what to do.
func refused[C any](t *testing.T, f Framework[C], value func(c C) any) {
	t.Helper()
	var log strings.Builder
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		t.Helper()
		return f.Mount(t, srv, func(c C) { f.Set(c, value(c)) })
	})
	found := make(chan any, 1)
	opts := &sio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	_, d := mount.Serve(t, opts, func(srv *sio.Server) {
		srv.OnConnect(func(c *sio.Ctx) error { found <- f.Get(c.Socket); return nil })
	})
	for range 2 {
		as(d, "alice").WebSocket(t).Connect("/", "")
		if got := <-found; got != nil {
			t.Errorf("kept %T", got)
		}
	}
	if n := strings.Count(log.String(), "leave copies of what handlers need instead"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

// A way is one by which a socket comes to have values of a request. Others make
// requests for somebody else afterwards.
type way[C any] func(t *testing.T, f Framework[C], leave func(c C), read func(s *sio.Socket) string)

func ways[C any]() map[string]way[C] {
	return map[string]way[C]{"polling": polling[C], "websocket": webSocket[C], "connect": connecting[C]}
}

// others is how many requests somebody else makes.
const others = 8

// polling is behind a proxy, which sends the requests of all users by one connection.
func polling[C any](t *testing.T, f Framework[C], leave func(c C), read func(s *sio.Socket) string) {
	t.Helper()
	sockets, d := serve(t, f, leave, nil)
	shared := dial(t, d)
	open := shared.request("alice", http.MethodGet, "EIO=4&transport=polling", "alice")
	_, open, _ = strings.Cut(open, `"sid":"`)
	sid, _, _ := strings.Cut(open, `"`)
	shared.request("alice", http.MethodPost, "EIO=4&transport=polling&sid="+sid, "40")
	alice := <-sockets
	for range others {
		check(t, read, alice)
		shared.request("admin", http.MethodGet, "EIO=4&transport=nonsense", "admin")
	}
	check(t, read, alice)
}

func webSocket[C any](t *testing.T, f Framework[C], leave func(c C), read func(s *sio.Socket) string) {
	t.Helper()
	sockets, d := serve(t, f, leave, nil)
	as(d, "alice").WebSocket(t).Connect("/", "")
	alice := <-sockets
	for range others {
		dial(t, d).request("admin", http.MethodGet, "EIO=4&transport=nonsense", "admin")
		check(t, read, alice)
	}
}

// connecting is by middleware of a namespace.
func connecting[C any](t *testing.T, f Framework[C], leave func(c C), read func(s *sio.Socket) string) {
	t.Helper()
	sockets, d := serve(t, f, func(C) {}, leave)
	as(d, "alice").WebSocket(t).Connect("/", "")
	alice := <-sockets
	for range others {
		as(d, "admin").WebSocket(t).Connect("/", "")
		<-sockets
		check(t, read, alice)
	}
}

func check(t *testing.T, read func(s *sio.Socket) string, alice *sio.Socket) {
	t.Helper()
	if got := read(alice); got != "alice" {
		t.Fatalf("the socket of alice is that of %q", got)
	}
}

func serve[C any](t *testing.T, f Framework[C], around, connect func(c C)) (<-chan *sio.Socket, siotest.Dialer) {
	t.Helper()
	sockets := make(chan *sio.Socket, 1)
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer { t.Helper(); return f.Mount(t, srv, around) })
	_, d := mount.Serve(t, nil, func(srv *sio.Server) {
		if connect != nil {
			srv.UseConnect(f.Connect(connect))
		}
		srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
	})
	return sockets, d
}

// as returns how to reach the server as somebody.
func as(d siotest.Dialer, who string) siotest.Dialer {
	d = d.At("/t/" + who + "/socket.io/")
	d.URL = d.Endpoint("user", who)
	d.Header = http.Header{"X-User": {who}, "Cookie": {"user=" + who}}
	return d
}

// A connection is one that its users share.
type connection struct {
	net.Conn

	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, d siotest.Dialer) *connection {
	t.Helper()
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &connection{c, t, bufio.NewReader(c)}
}

func (c *connection) request(who, method, query, body string) string {
	c.t.Helper()
	_, err := fmt.Fprintf(c, "%s /t/%s/socket.io/?user=%s&%s HTTP/1.1\r\nHost: x\r\nX-User: %s\r\nCookie: user=%s\r\nContent-Length: %d\r\n\r\n%s",
		method, who, who, query, who, who, len(body), body)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(answer)
}
