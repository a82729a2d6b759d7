// Package client_test runs the Go client against the official server in Node.js, and
// against the server of this project. Both have the same handlers: those of
// support/server.mjs and of goServer.
//
//	go test ./test/client -v -run 'TestClient/js/websocket'
package client_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/parser/msgpack"
	"github.com/sioplug/sioplug/internal/require"
)

// waitLimit is when waiting becomes a failure.
const waitLimit = time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// settings are the options of a server.
type settings struct {
	PingInterval int  // milliseconds
	PingTimeout  int  // milliseconds
	Recovery     bool // connection state recovery
	MsgPack      bool
	MaxPayload   int
	Transports   []string
	Deflate      bool
	Cookie       bool
	TLS          *tls.Certificate
}

// A target is a kind of server.
type target struct {
	name  string
	start func(t *testing.T, s settings) (url string)
}

func targets() []target { return []target{{"js", startJS}, {"sioplug", startGo}} }

// startJS runs the official server until the test ends.
func startJS(t *testing.T, s settings) string {
	t.Helper()
	node := require.Tool(t, "node")
	require.NodePackages(t, ".")
	o := map[string]any{"msgpack": s.MsgPack, "perMessageDeflate": s.Deflate}
	if s.PingInterval > 0 {
		o["pingInterval"], o["pingTimeout"] = s.PingInterval, s.PingTimeout
	}
	if s.Recovery {
		o["connectionStateRecovery"] = map[string]any{}
	}
	if s.MaxPayload > 0 {
		o["maxHttpBufferSize"] = s.MaxPayload
	}
	if s.Transports != nil {
		o["transports"] = s.Transports
	}
	if s.Cookie {
		o["cookie"] = true
	}
	scheme := "http"
	if s.TLS != nil {
		scheme = "https"
		o["tls"] = pemOf(t, s.TLS)
	}
	args, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "support/server.mjs", string(args))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	return scheme + "://127.0.0.1:" + strings.TrimSpace(port)
}

// startGo runs the server of this project until the test ends.
func startGo(t *testing.T, s settings) string {
	t.Helper()
	hs := httptest.NewUnstartedServer(goServer(s))
	if s.TLS != nil {
		hs.TLS = &tls.Config{Certificates: []tls.Certificate{*s.TLS}, MinVersion: tls.VersionTLS12}
		hs.EnableHTTP2 = true
		hs.StartTLS()
	} else {
		hs.Start()
	}
	t.Cleanup(func() {
		hs.CloseClientConnections()
		hs.Close()
	})
	return hs.URL
}

func goServer(s settings) http.Handler {
	o := &sio.Options{
		PingInterval: time.Duration(s.PingInterval) * time.Millisecond, PingTimeout: time.Duration(s.PingTimeout) * time.Millisecond,
		MaxHTTPBufferSize: s.MaxPayload, Transports: s.Transports, Logger: slog.New(slog.DiscardHandler),
	}
	if s.Recovery {
		o.ConnectionStateRecovery = &sio.Recovery{}
	}
	if s.MsgPack {
		o.Parser = msgpack.Parser{}
	}
	if s.Deflate {
		o.PerMessageDeflate = &sio.PerMessageDeflate{ServerContextTakeover: true, ClientContextTakeover: true}
	}
	if s.Cookie {
		o.Cookie = &sio.Cookie{}
	}
	srv := sio.New(o)
	items := new(itemList)
	handle(srv.Namespace, items)
	handle(srv.Of("/other"), items)
	auth := srv.Of("/auth")
	auth.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var a struct{ Token string }
		if err := c.Bind(&a); err != nil {
			return err
		}
		if a.Token != "secret" {
			return &sio.Error{Message: "no entry", Data: "try again"}
		}
		return nil
	}))
	handle(auth, items)
	srv.Of("/bare").UseConnect(sio.Guard(func(*sio.Ctx) error { return &sio.Error{Message: "no"} }))
	late := srv.Of("/late")
	late.UseConnect(sio.Guard(lateGuard))
	handle(late, items)
	handle(srv.OfRegexp(regexp.MustCompile(`^/n\d$`)), items)
	return srv
}

// An itemList has the events "item" that came.
type itemList struct {
	mu   sync.Mutex
	list []int
}

func (l *itemList) add(i int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, i)
}

func (l *itemList) get() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]int{}, l.list...)
}

func handle(n *sio.Namespace, items *itemList) {
	n.On("echo", func(c *sio.Ctx) error {
		values, err := c.Args().Values()
		if err != nil {
			return err
		}
		if c.WantsAck() {
			return c.Ack(values...)
		}
		return c.Emit("echo", values...)
	})
	n.On("fail", sio.Reply(func(*sio.Ctx, struct{}) (int, error) {
		return 0, &sio.Error{Message: "sold out", Data: map[string]any{"left": 0}}
	}))
	n.On("ask me", func(c *sio.Ctx) error {
		v, err := sio.EmitWithAck[int](c.Context(), c.Socket, "question", 20)
		return c.Ack(v, err == nil)
	})
	n.On("leave", func(c *sio.Ctx) error { return c.Disconnect() })
	n.On("leave all", func(c *sio.Ctx) error { return c.Close() })
	n.On("burst", func(c *sio.Ctx) error {
		var count, size int
		if err := c.Bind(&count, &size); err != nil {
			return err
		}
		for i := range count {
			if err := c.Emit("item", i, strings.Repeat("x", size)); err != nil {
				return err
			}
		}
		return nil
	})
	n.On("all", func(c *sio.Ctx) error {
		values, err := c.Args().Values()
		if err != nil {
			return err
		}
		name, _ := values[0].(string)
		return c.Namespace().Emit(name, values[1:]...)
	})
	n.On("item", func(c *sio.Ctx) error {
		var i int
		if err := c.Bind(&i); err != nil {
			return err
		}
		items.add(i)
		if c.WantsAck() {
			return c.Ack(i)
		}
		return nil
	})
	n.On("lost", func(c *sio.Ctx) error {
		var i int
		err := c.Bind(&i)
		items.add(i)
		return err
	})
	n.On("items", func(c *sio.Ctx) error { return c.Ack(items.get()) })
	n.On("handshake", func(c *sio.Ctx) error {
		h := c.Handshake()
		var auth any
		_ = json.Unmarshal(h.Auth, &auth)
		query := map[string]string{}
		for k, v := range h.Query {
			query[k] = v[0]
		}
		headers := map[string]string{}
		for k, v := range h.Header {
			headers[strings.ToLower(k)] = v[0]
		}
		return c.Ack(map[string]any{"auth": auth, "query": query, "headers": headers, "url": h.URL, "transport": c.Transport()})
	})
	handleMore(n)
	n.OnConnect(func(c *sio.Ctx) error { return c.Emit("hello", c.Recovered()) })
}

// within returns a context for calls that have to succeed.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	t.Cleanup(cancel)
	return ctx
}

// wait waits for a value.
func wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(waitLimit):
		t.Fatal("waiting for too long")
		panic("unreachable")
	}
}

// newSocket returns a socket that is shut down when the test ends.
func newSocket(t *testing.T, url string, o sioclient.Options) *sioclient.Socket {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := sioclient.New(url, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
		defer cancel()
		if err := s.Manager().Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return s
}

// connect returns a connected socket.
func connect(t *testing.T, url string, o sioclient.Options) *sioclient.Socket {
	t.Helper()
	s := newSocket(t, url, o)
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

// items returns the items that the server has got.
func items(t *testing.T, s *sioclient.Socket) []int {
	t.Helper()
	got, err := sioclient.EmitWithAck[[]int](within(t), s, "items")
	if err != nil {
		t.Fatal(err)
	}
	return got
}
