package siofiberv3_test

import (
	"bytes"
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

	"github.com/gofiber/fiber/v3"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
)

// preforking has [TestMain] be a program with Prefork, and the processes that
// Fiber starts for it.
const preforking = "SIOPLUG_TEST_PREFORK"

// prefork is that program. It ends when Fiber does.
func prefork() {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	app := newApp()
	siofiberv3.Mount(app, srv)
	err := app.Listen("127.0.0.1:0", fiber.ListenConfig{EnablePrefork: true, DisableStartupMessage: true})
	fmt.Println("Listen returned:", err)
	os.Exit(1)
}

func TestPreforkIsRefused(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), preforking+"=1")
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		t.Errorf("it ended with %v", err)
	}
	for _, want := range []string{"siofiberv3: with Prefork", `sio.Options.Transports to []string{"websocket"}`, "Listen returned: exit status"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in: %s", want, out)
		}
	}
}

func refused(mount func()) (why string) {
	defer func() {
		if v := recover(); v != nil {
			why = fmt.Sprint(v)
		}
	}()
	mount()
	return ""
}

func TestPreforkGoesWithWebSocketOnly(t *testing.T) {
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
			for where, mount := range map[string]func(){
				"app":     func() { siofiberv3.Mount(newApp(), srv) },
				"group":   func() { siofiberv3.Mount(newApp().Group("/a"), srv) },
				"handler": func() { siofiberv3.Handler(srv) },
			} {
				why := refused(mount)
				if (why != "") != tt.refuse || why != "" && !strings.Contains(why, "turn Prefork off") {
					t.Errorf("%s: %q", where, why)
				}
			}
		})
	}
}

// BodyLimit refuses what the server would take before anybody here is asked, so
// the log has to say it.
func TestBodyLimitBelowMaxHTTPBufferSize(t *testing.T) {
	for name, tt := range map[string]struct {
		fiber fiber.Config
		sio   sio.Options
		warn  bool
	}{
		"defaults":       {},
		"lower":          {fiber: fiber.Config{BodyLimit: 999_999}, warn: true},
		"equal":          {fiber: fiber.Config{BodyLimit: 1_000_000}},
		"larger bodies":  {sio: sio.Options{MaxHTTPBufferSize: 10 << 20}, warn: true},
		"websocket only": {sio: sio.Options{MaxHTTPBufferSize: 10 << 20, Transports: []string{"websocket"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			tt.sio.Logger = slog.New(slog.NewTextHandler(&log, nil))
			mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
				app := newApp(tt.fiber)
				siofiberv3.Mount(app.Group("/"), srv)
				return serve(t, app)
			})
			_, d := mount.Serve(t, &tt.sio, func(*sio.Server) {})
			d.WebSocket(t)
			d.WebSocket(t)
			if got := strings.Count(log.String(), "fiber.Config.BodyLimit: raise it"); (got == 1) != tt.warn || got > 1 {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

// Fiber's timeouts are for requests.
func TestConnectionsOutliveFibersTimeouts(t *testing.T) {
	const limit = 2 * time.Second
	for name, config := range map[string]fiber.Config{
		"timeouts":          {ReadTimeout: limit, WriteTimeout: limit, IdleTimeout: limit},
		"ReduceMemoryUsage": {ReadTimeout: limit, WriteTimeout: limit, IdleTimeout: limit, ReduceMemoryUsage: true},
	} {
		t.Run(name, func(t *testing.T) {
			mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
				app := newApp(config)
				siofiberv3.Mount(app, srv)
				return serve(t, app)
			})
			srv, d := mount.Serve(t, nil, func(*sio.Server) {})
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

// An idle WebSocket costs one goroutine, which reads, and one descriptor. Neither
// fasthttp's goroutine nor its buffers are held; except over TLS.
func TestIdleWebSockets(t *testing.T) {
	const n = 20
	for name, tt := range map[string]struct {
		serve func(*testing.T, *fiber.App) siotest.Dialer
		held  int
	}{
		"plain": {serve, 0},
		"TLS":   {serveTLS, n},
	} {
		t.Run(name, func(t *testing.T) {
			app := newApp()
			srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
			siofiberv3.Mount(app, srv)
			d := tt.serve(t, app)
			d.WebSocket(t).Abort() // what is there once, is there now
			waitFor(t, "the end of the first one", func() bool { return srv.ClientsCount() == 0 })
			before := descriptors(t)
			clients := make([]*siotest.Client, n)
			for i := range clients {
				clients[i] = d.WebSocket(t)
				clients[i].Connect("/", "")
			}
			waitFor(t, "fasthttp to let go", func() bool { return goroutines("fasthttp.hijackConnHandler") == tt.held })
			waitFor(t, "one reader each", func() bool { return goroutines("internal/websocket.(*Conn).Serve") == n })
			waitFor(t, "one descriptor for each side", func() bool { return descriptors(t) <= before+2*n })
			for _, c := range clients {
				c.Abort()
			}
			waitFor(t, "the end", func() bool {
				return goroutines("internal/websocket.(*Conn).Serve") == 0 && goroutines("fasthttp.hijackConnHandler") == 0 &&
					descriptors(t) <= before
			})
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWebSocketsDoNotCountForConcurrency(t *testing.T) {
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := newApp(fiber.Config{Concurrency: 2})
		siofiberv3.Mount(app, srv)
		return serve(t, app)
	})
	_, d := mount.Serve(t, nil, func(*sio.Server) {})
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
