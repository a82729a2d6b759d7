package siotest_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A witness is a test that may fail.
type witness struct {
	testing.TB

	mu     sync.Mutex
	failed []string
}

func (w *witness) Errorf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = append(w.failed, fmt.Sprintf(format, args...))
}

func (w *witness) Fatalf(format string, args ...any) {
	w.Errorf(format, args...)
	runtime.Goexit()
}

// failure returns the words with which f fails its test.
func failure(tb testing.TB, f func(tb testing.TB)) string {
	tb.Helper()
	w := &witness{TB: tb}
	done := make(chan struct{})
	go func() { // ends with f
		defer close(done)
		f(w)
	}()
	<-done
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.failed, "\n")
}

// Whatever does not happen as a test says is a failure that says why.
func TestFailures(t *testing.T) {
	for want, f := range map[string]func(tb testing.TB, srv *sio.Server){
		`connecting to "/": not authorized`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			srv.UseConnect(sio.Guard(func(*sio.Ctx) error { return &sio.Error{Message: "not authorized"} }))
			siotest.Connect(tb, srv, "/", nil)
		},
		`connecting to "/": io server disconnect`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { return c.Close() }))
			siotest.Connect(tb, srv, "/", nil)
		},
		`auth payload x does not encode as an object`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			siotest.Connect(tb, srv, "/", "x")
		},
		`encoding "x": argument 0: json: unsupported type: chan int`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			siotest.Connect(tb, srv, "/", nil).Emit("x", make(chan int))
		},
		`emitting "x": io: read/write on closed pipe`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			p := siotest.Connect(tb, srv, "/", nil)
			p.Abort()
			p.Emit("x")
		},
		`waiting for "x": the server sends nothing`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			siotest.Connect(tb, srv, "/", nil).Expect("x")
		},
		`waiting for an event: io server disconnect`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			srv.OnConnect(func(c *sio.Ctx) error { return c.Disconnect() })
			siotest.Connect(tb, srv, "/", nil).Next()
		},
		`the next event is ["event",1,{"x":2}], want "x"`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			emitting(tb, srv, 1, map[string]int{"x": 2}).Expect("x")
		},
		`decoding ["event","x"]: argument 0: json: cannot unmarshal string into Go value of type int`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			emitting(tb, srv, "x").Expect("event", new(int))
		},
		`decoding ["event"]: argument 0: missing`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			emitting(tb, srv).Expect("event", new(int))
		},
		`the server did not ask for an ack of ["event"]`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			emitting(tb, srv).Expect("event").Ack()
		},
		`the server emitted ["event"]`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			p := emitting(tb, srv)
			synctest.Wait()
			p.ExpectNone()
		},
		`waiting for the ack of "x": the server sends nothing`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			siotest.Connect(tb, srv, "/", nil).Ask("x").Bind()
		},
		`"x" failed: internal error`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			srv.On("x", sio.Reply(func(*sio.Ctx, any) (int, error) { return 0, &sio.Error{Message: "internal error"} }))
			siotest.Connect(tb, srv, "/", nil).Ask("x", 1).Bind(new(int))
		},
		`decoding the ack of "x", ["y"]: argument 1: missing`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			srv.On("x", func(c *sio.Ctx) error { return c.Ack("y") })
			siotest.Connect(tb, srv, "/", nil).Ask("x").Bind(new(string), new(string))
		},
		`the server does not disconnect the client`: func(tb testing.TB, srv *sio.Server) {
			tb.Helper()
			siotest.Connect(tb, srv, "/", nil).Disconnected()
		},
		`clients cannot send "disconnect", whose name is reserved`: func(tb testing.TB, _ *sio.Server) {
			tb.Helper()
			siotest.NewCtx(tb, "disconnect")
		},
		`connect has 2 arguments, want an auth payload or none`: func(tb testing.TB, _ *sio.Server) {
			tb.Helper()
			siotest.NewCtx(tb, "connect", nil, 1)
		},
		`the server does not take what the client sends: it may be too much`: func(tb testing.TB, _ *sio.Server) {
			tb.Helper()
			siotest.NewCtx(tb, "x", slices.Repeat([]any{[]byte("attachment")}, 11)...)
		},
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := sio.New(nil)
				t.Cleanup(func() { shutdown(t, srv) })
				got := failure(t, func(tb testing.TB) { tb.Helper(); f(tb, srv) })
				if !strings.HasPrefix(got, "siotest: "+want) || strings.Contains(got, "\n") {
					t.Errorf("failed with %q, want %q", got, want)
				}
			})
		})
	}
}

// emitting returns a client that was just sent an event.
func emitting(tb testing.TB, srv *sio.Server, args ...any) *siotest.Peer {
	tb.Helper()
	p := siotest.Connect(tb, srv, "/", nil)
	if err := srv.Emit("event", args...); err != nil {
		tb.Errorf("emitting: %v", err)
	}
	return p
}

// What is no Socket.IO is a failure of the server's, even if nobody waits.
func TestServerThatSpeaksSomethingElse(t *testing.T) {
	for name, initial := range map[string]string{"nonsense": "hello", "another namespace": `2/other,["x"]`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := sio.New(&sio.Options{InitialPacket: initial})
				t.Cleanup(func() { shutdown(t, srv) })
				got := failure(t, func(tb testing.TB) { siotest.Connect(tb, srv, "/", nil) })
				if !strings.Contains(got, "does not understand") {
					t.Errorf("failed with %q", got)
				}
			})
		})
	}
}
