package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"go.uber.org/goleak"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	"github.com/sioplug/sioplug/test/network"
)

// waitLimit is when waiting becomes a failure.
const waitLimit = time.Minute

// A mount is a way to serve a server. What fasthttp reads and writes is not what net/http
// does: it reads bodies before it calls handlers, and writes answers after them.
type mount struct {
	name  string
	serve func(srv *sio.Server, l net.Listener, log *slog.Logger) (stop func(context.Context) error)
}

func mounts() []mount { return []mount{{"nethttp", serveNetHTTP}, {"fiber", serveFiber}} }

func serveNetHTTP(srv *sio.Server, l net.Listener, log *slog.Logger) (stop func(context.Context) error) {
	hs := &http.Server{
		Handler:           srv,
		ReadHeaderTimeout: waitLimit,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError),
	}
	go func() { _ = hs.Serve(l) }() // ends with stop
	return hs.Shutdown
}

type nolog struct{}

// Printf implements fasthttp.Logger.
func (nolog) Printf(string, ...any) {}

func serveFiber(srv *sio.Server, l net.Listener, _ *slog.Logger) (stop func(context.Context) error) {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Server().Logger = nolog{} // it has a line for each connection that breaks in a request
	siofiber.Mount(app, srv)
	go func() { _ = app.Listener(l) }() // ends with stop
	return app.ShutdownWithContext
}

// each runs a test with every mount.
func each(t *testing.T, f func(t *testing.T, m mount)) {
	t.Helper()
	for _, m := range mounts() {
		t.Run(m.name, func(t *testing.T) { f(t, m) })
	}
}

// A site is a server behind a network that fails, and what has happened there.
type site struct {
	t     *testing.T
	srv   *sio.Server
	addr  string         // of the server itself
	proxy *network.Proxy // in front of it
	log   loudLog

	mu       sync.Mutex
	events   map[string][]string // names of events, by what the client called itself
	opened   int
	reasons  map[sio.Reason]int
	observer *siotest.Peer

	clients    int // that are there when the test's own have gone
	goroutines int
}

// start starts a server. When the test ends, it checks that the server keeps nothing of the
// clients that have gone, has logged nothing above Debug, and that a client that was there
// all the time was not disturbed.
func start(t *testing.T, m mount, opts sio.Options, handle func(s *site)) *site {
	t.Helper()
	l := listen(t)
	s := &site{t: t, addr: l.Addr().String(), events: make(map[string][]string), reasons: make(map[sio.Reason]int)}
	opts.Logger = slog.New(&s.log)
	s.srv = sio.New(&opts)
	s.handle()
	if handle != nil {
		handle(s)
	}
	before := goleak.IgnoreCurrent()
	stop := m.serve(s.srv, l, opts.Logger)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
		defer cancel()
		if err := errors.Join(s.srv.Shutdown(ctx), stop(ctx)); err != nil {
			t.Errorf("stopping: %v", err)
		}
		if err := goleak.Find(append(leftByFastHTTP(), before)...); err != nil {
			t.Errorf("goroutines are left: %v", err)
		}
	})
	s.proxy = network.Start(t, s.addr)
	s.observer = siotest.Dialer{URL: "http://" + s.addr + "/socket.io/"}.Connect(t, "/", nil)
	s.watch()
	s.clients, s.goroutines = s.srv.ClientsCount(), goroutines()
	return s
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// handle sets the handlers that all tests have.
func (s *site) handle() {
	s.srv.OnConnect(func(*sio.Ctx) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.opened++
		return nil
	})
	s.srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reasons[r]++
	})
	s.srv.On("say", func(c *sio.Ctx) error { // the client's name, that of the event, and anything
		values, err := c.Args().Values()
		if err != nil {
			return err
		}
		s.note(fmt.Sprint(values[0]), fmt.Sprint(values[1]))
		if c.WantsAck() {
			return c.Ack(values[1])
		}
		return nil
	})
	s.srv.On("echo", sio.Reply(func(_ *sio.Ctx, v any) (any, error) { return v, nil }))
}

func (s *site) note(client, event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[client] = append(s.events[client], event)
}

// said returns the events of a client that have come.
func (s *site) said(client string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events[client])
}

// ended returns how many sockets ended for a reason.
func (s *site) ended(r sio.Reason) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reasons[r]
}

// watch checks that the observer is served.
func (s *site) watch() {
	s.t.Helper()
	var got int
	s.observer.Ask("echo", 1).Bind(&got)
	if got != 1 {
		s.t.Errorf("the observer got %d", got)
	}
}

// settle waits until all clients but the observer have gone, and checks what is left. All
// of their sockets have to have ended for one of the reasons.
func (s *site) settle(reasons ...sio.Reason) {
	s.t.Helper()
	s.watch()
	s.eventually("clients, sockets, rooms and connections are as before", func() string {
		s.mu.Lock()
		open := s.opened
		for _, n := range s.reasons {
			open -= n
		}
		s.mu.Unlock()
		if n := s.srv.ClientsCount(); n != s.clients || open != 1 || len(s.srv.Rooms()) > 1 || s.proxy.Conns() > 0 {
			return fmt.Sprintf("%d clients, %d sockets, %d rooms, %d connections", n, open, len(s.srv.Rooms()), s.proxy.Conns())
		}
		return ""
	})
	http.DefaultClient.CloseIdleConnections()
	s.eventually("goroutines are as before", func() string {
		if n := goroutines(); n > s.goroutines {
			return fmt.Sprintf("%d goroutines, %d before", n, s.goroutines)
		}
		return ""
	})
	s.mu.Lock()
	for r, n := range s.reasons {
		if !slices.Contains(reasons, r) {
			s.t.Errorf("%d sockets ended for the reason %q", n, r)
		}
	}
	s.mu.Unlock()
	s.log.quiet(s.t)
}

// goroutines returns the number of goroutines, without the workers of fasthttp: it keeps
// idle ones for ten seconds.
func goroutines() int {
	stacks := make([]byte, 8<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for one := range bytes.SplitSeq(stacks, []byte("\n\n")) {
		if !bytes.Contains(one, []byte("(*workerPool).workerFunc(")) || bytes.Contains(one, []byte("(*Server).serveConn(")) {
			n++
		}
	}
	return n
}

// eventually waits until f returns "", or else fails with what it returned.
func (s *site) eventually(what string, f func() string) {
	s.t.Helper()
	eventually(s.t, what, f)
}

func eventually(t *testing.T, what string, f func() string) {
	t.Helper()
	end := time.After(waitLimit)
	for {
		wrong := f()
		if wrong == "" {
			return
		}
		select {
		case <-end:
			t.Fatalf("%s: %s", what, wrong)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// client returns a client that comes back soon. It is shut down when the test ends, or by
// leave.
func (s *site) client(o sioclient.Options) *sioclient.Socket {
	s.t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	o.ReconnectionDelay, o.ReconnectionDelayMax = 5*time.Millisecond, 20*time.Millisecond
	c, err := sioclient.New(s.proxy.URL(), &o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { leave(s.t, c) })
	return c
}

func leave(t *testing.T, c *sioclient.Socket) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	if err := c.Manager().Shutdown(ctx); err != nil {
		t.Errorf("shutting a client down: %v", err)
	}
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

// A loudLog keeps the records above Debug, which no client may cause.
type loudLog struct {
	mu      sync.Mutex
	records []string
}

// Enabled implements [slog.Handler].
func (*loudLog) Enabled(_ context.Context, level slog.Level) bool { return level > slog.LevelDebug }

// Handle implements [slog.Handler].
func (l *loudLog) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool { b.WriteString(" " + a.String()); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, b.String())
	return nil
}

// WithAttrs implements [slog.Handler].
func (l *loudLog) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements [slog.Handler].
func (l *loudLog) WithGroup(string) slog.Handler { return l }

// quiet checks that nothing was logged, but for texts that contain one of these.
func (l *loudLog) quiet(t *testing.T, except ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		if !slices.ContainsFunc(except, func(e string) bool { return strings.Contains(r, e) }) {
			t.Errorf("logged: %s", r)
		}
	}
	l.records = nil
}
