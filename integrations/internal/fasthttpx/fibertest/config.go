package fibertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/integrations/internal/mounttest"
)

// preforking has Main be a program with Prefork, and the processes that Fiber starts
// for it.
const preforking = "SIOPLUG_TEST_PREFORK"

// prefork is that program. It ends when Fiber does.
func (f Framework[C]) prefork() {
	exit(f.Prefork(sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})))
}

// exit ends a program of a test, which reads what it says.
func exit(err error) {
	say("Listen returned:", err)
	os.Exit(1)
}

func say(what ...any) { fmt.Println(what...) } //nolint:forbidigo // it is the output of a program

// PreforkIsRefused tests that a program with Prefork ends, and says why.
func (f Framework[C]) PreforkIsRefused(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), preforking+"=1")
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		t.Errorf("it ended with %v", err)
	}
	for _, want := range []string{f.Name + ": with Prefork", `sio.Options.Transports to []string{"websocket"}`, "Listen returned: exit status"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in: %s", want, out)
		}
	}
}

// Refused returns the text of the panic by which a mount refuses a server, if it does.
func Refused(mount func()) (why string) {
	defer func() {
		if v := recover(); v != nil {
			why = fmt.Sprint(v)
		}
	}()
	mount()
	return ""
}

// PreforkGoesWithWebSocketOnly tests which transports are refused in the processes that
// serve.
func (f Framework[C]) PreforkGoesWithWebSocketOnly(t *testing.T) {
	t.Helper()
	for name, tt := range map[string]struct {
		transports []string
		refuse     bool
	}{
		"default":   {nil, true},
		"both":      {[]string{"websocket", "polling"}, true},
		"polling":   {[]string{"polling"}, true},
		"websocket": {[]string{"websocket"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("FIBER_PREFORK_CHILD", "1") // as Fiber has it in the processes that serve
			srv := sio.New(&sio.Options{Transports: tt.transports})
			for where, mount := range f.Ways {
				why := Refused(func() { mount(srv) })
				if (why != "") != tt.refuse || why != "" && !strings.Contains(why, "turn Prefork off") {
					t.Errorf("%s: %q", where, why)
				}
			}
		})
	}
}

// BodyLimit tests that the log tells of a BodyLimit that refuses what the server would
// take, since nobody here is asked then.
func (f Framework[C]) BodyLimit(t *testing.T) {
	t.Helper()
	for name, tt := range map[string]struct {
		fiber Config
		sio   sio.Options
		warn  bool
	}{
		"defaults":       {},
		"lower":          {fiber: Config{BodyLimit: 999_999}, warn: true},
		"equal":          {fiber: Config{BodyLimit: 1_000_000}},
		"larger bodies":  {sio: sio.Options{MaxHTTPBufferSize: 10 << 20}, warn: true},
		"websocket only": {sio: sio.Options{MaxHTTPBufferSize: 10 << 20, Transports: []string{"websocket"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var log mounttest.Log
			tt.sio.Logger = log.Logger()
			_, d := f.serve(t, &tt.sio, mounttest.App{Group: "/", Config: tt.fiber})
			d.WebSocket(t)
			d.WebSocket(t)
			if got := strings.Count(log.String(), "fiber.Config.BodyLimit: raise it"); (got == 1) != tt.warn || got > 1 {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

// Timeouts tests that connections outlive Fiber's timeouts, which are for requests.
func (f Framework[C]) Timeouts(t *testing.T) {
	t.Helper()
	const limit = 2 * time.Second
	for name, config := range map[string]Config{
		"timeouts":          {ReadTimeout: limit, WriteTimeout: limit, IdleTimeout: limit},
		"ReduceMemoryUsage": {ReadTimeout: limit, WriteTimeout: limit, IdleTimeout: limit, ReduceMemoryUsage: true},
	} {
		t.Run(name, func(t *testing.T) {
			srv, d := f.serve(t, nil, mounttest.App{Config: config})
			polls, socket, upgraded := d.Polling(t), d.WebSocket(t), d.Polling(t)
			upgraded.Upgrade()
			clients := []*siotest.Client{polls, socket, upgraded}
			for _, c := range clients {
				c.Connect("/", "")
			}
			late := time.AfterFunc(limit+limit/2, func() { // with a poll that waits until then
				if err := srv.Emit("late"); err != nil {
					t.Error(err)
				}
			})
			defer late.Stop()
			for _, c := range clients {
				c.Want(`42["late"]`)
			}
		})
	}
}

// IdleWebSockets tests that an idle WebSocket costs one goroutine, which reads, and one
// descriptor. It holds neither fasthttp's goroutine nor its buffers; except over TLS.
func (f Framework[C]) IdleWebSockets(t *testing.T) {
	t.Helper()
	const n = 20
	readers := func() int {
		return goroutines("internal/websocket.(*Conn).AwaitInput") + goroutines("internal/websocket.(*Conn).Serve")
	}
	for name, tt := range map[string]struct {
		overTLS bool
		held    int
	}{
		"plain": {false, 0},
		"TLS":   {true, n},
	} {
		t.Run(name, func(t *testing.T) {
			srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
			d := f.Serve(t, srv, mounttest.App{TLS: tt.overTLS})
			d.WebSocket(t).Abort() // what is there once, is there now
			waitFor(t, "the end of the first one", func() bool { return srv.ClientsCount() == 0 })
			before := descriptors(t)
			clients := make([]*siotest.Client, n)
			for i := range clients {
				clients[i] = d.WebSocket(t)
				clients[i].Connect("/", "")
			}
			waitFor(t, "fasthttp to let go", func() bool { return goroutines("fasthttp.hijackConnHandler") == tt.held })
			waitFor(t, "one reader each", func() bool { return readers() == n })
			waitFor(t, "one descriptor for each side", func() bool { return descriptors(t) <= before+2*n })
			for _, c := range clients {
				c.Abort()
			}
			waitFor(t, "the end", func() bool {
				return readers() == 0 && goroutines("fasthttp.hijackConnHandler") == 0 && descriptors(t) <= before
			})
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Concurrency tests that WebSockets do not count for Fiber's limit of requests at a time.
func (f Framework[C]) Concurrency(t *testing.T) {
	t.Helper()
	_, d := f.serve(t, nil, mounttest.App{Config: Config{Concurrency: 2}})
	for range 10 {
		d.WebSocket(t).Connect("/", "")
	}
}

// goroutines counts those in whose stack a function is.
func goroutines(function string) (n int) {
	buf := make([]byte, 4<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, function) {
			n++
		}
	}
	return n
}

// descriptors counts the open sockets of this process.
func descriptors(t *testing.T) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("this system does not list descriptors: %v", err)
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name()))
		if err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
