package sioclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		serveBenchmark()
		return
	}
	goleak.VerifyTestMain(m)
}

// waitLimit is when waiting becomes a failure.
const waitLimit = time.Minute

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

// ways are the ways to connect.
func ways() map[string]sioclient.Options {
	return map[string]sioclient.Options{
		"polling":   {Transports: []string{"polling"}},
		"websocket": {Transports: []string{"websocket"}},
		"upgrade":   {Transports: []string{"polling", "websocket"}},
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// options returns options for a server of siotest.
func options(d siotest.Dialer, o sioclient.Options) *sioclient.Options {
	o.DialContext = d.Dial
	o.TLS = d.TLS
	if o.Logger == nil {
		o.Logger = quiet()
	}
	return &o
}

// newSocket returns a socket that is shut down when the test ends.
func newSocket(t *testing.T, d siotest.Dialer, namespace string, o sioclient.Options) *sioclient.Socket {
	t.Helper()
	s, err := sioclient.New(d.At(namespace).URL, options(d, o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutdown(t, s) })
	return s
}

func shutdown(t *testing.T, s *sioclient.Socket) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	if err := s.Manager().Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// connect returns a connected socket.
func connect(t *testing.T, d siotest.Dialer, namespace string, o sioclient.Options) *sioclient.Socket {
	t.Helper()
	s := newSocket(t, d, namespace, o)
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	return s
}

type note struct {
	Text  string
	Image []byte
	More  []note
}

// newServer returns a server with the handlers that the tests use.
func newServer(o *sio.Options) *sio.Server {
	if o == nil {
		o = new(sio.Options)
	}
	o.Logger = quiet()
	srv := sio.New(o)
	srv.On("echo", func(c *sio.Ctx) error {
		values, err := c.Args().Values()
		if err != nil {
			return err
		}
		if c.WantsAck() {
			return c.Ack(values...)
		}
		return c.Emit("echo", values...)
	})
	srv.On("note", sio.Reply(func(_ *sio.Ctx, n note) (note, error) { return n, nil }))
	srv.On("fail", sio.Reply(func(*sio.Ctx, struct{}) (int, error) {
		return 0, &sio.Error{Message: "sold out", Data: map[string]any{"left": 0}}
	}))
	srv.On("ask me", func(c *sio.Ctx) error {
		go func() {
			v, err := sio.EmitWithAck[int](c.Context(), c.Socket, "question", 20)
			_ = c.Ack(v, err == nil)
		}()
		return nil
	})
	srv.On("leave", func(c *sio.Ctx) error { return c.Disconnect() })
	srv.Of("/auth").UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var a struct{ Token string }
		if err := c.Bind(&a); err != nil {
			return err
		}
		if a.Token != "secret" {
			return &sio.Error{Message: "no entry", Data: "try again"}
		}
		return nil
	}))
	return srv
}

func loopback(t *testing.T, h http.Handler) siotest.Dialer {
	t.Helper()
	return siotest.Loopback(t, h)
}

func asServerError(t *testing.T, err error) *sio.Error {
	t.Helper()
	var e *sio.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want one of the server", err)
	}
	return e
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	p, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}
