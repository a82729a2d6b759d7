package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/bench/internal/app"
	"github.com/sioplug/sioplug/bench/internal/handlers"
	sio "github.com/sioplug/sioplug/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves the benchmark's handlers, behind middleware that is told which
// server it is for, and returns options for the load on it.
func serve(t *testing.T, fault func(srv *sio.Server) sio.Middleware) options {
	t.Helper()
	return serveWith(t, nil, fault)
}

func serveWith(t *testing.T, with *sio.Options, fault func(srv *sio.Server) sio.Middleware) options {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the load generator reads /proc")
	}
	srv := sio.New(with)
	handlers.Register(srv)
	if fault != nil {
		srv.UseEvents(fault(srv))
	}
	mux := http.NewServeMux()
	app.Control(mux)
	mux.Handle("/socket.io/", srv)
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		if err := srv.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		s.Close()
	})
	return options{
		servers: []endpoint{{s.Listener.Addr().String(), os.Getpid()}}, clients: 20, rooms: 2, inFlight: 2, rate: 1000, size: 200, burst: 2,
		warm: 10 * time.Millisecond, dur: 50 * time.Millisecond, settle: 10 * time.Millisecond, patience: time.Minute,
	}
}

func TestEveryScenario(t *testing.T) {
	o := serve(t, nil)
	want := map[string]string{
		"idle": "bytes_gc", "rate": "p999_us", "echo": "gc_per_million", "bcast": "p99_us", "rooms": "leave_cpu_us",
	}
	for name := range scenarios() {
		t.Run(name, func(t *testing.T) {
			o := o
			if name == "upgrade" {
				o.dur = 500 * time.Millisecond // a client waits for the end of its poll
			}
			key := want[name]
			if key == "" {
				key = "cpu_us"
			}
			var values map[string]float64
			for _, ok := values[key]; !ok && o.dur < 30*time.Second; _, ok = values[key] {
				var err error
				if values, err = measure(t.Context(), name, o); err != nil {
					t.Fatal(err)
				}
				o.dur *= 4 // on a slow machine nothing may have been done in the time
			}
			if _, ok := values[key]; !ok || values["clients"] != 20 {
				t.Errorf("values = %v, want %s, and clients = 20", values, key)
			}
		})
	}
}

// on makes middleware for one event.
func on(event string, instead func(c *sio.Ctx, next sio.Handler) error) func(*sio.Server) sio.Middleware {
	return func(*sio.Server) sio.Middleware {
		return func(next sio.Handler) sio.Handler {
			return func(c *sio.Ctx) error {
				if c.Event() != event {
					return next(c)
				}
				return instead(c, next)
			}
		}
	}
}

func twice(c *sio.Ctx, next sio.Handler) error {
	if err := next(c); err != nil {
		return err
	}
	return next(c)
}

func lost(*sio.Ctx, sio.Handler) error { return nil }

// changed hands on other arguments.
func changed(args ...any) func(c *sio.Ctx, next sio.Handler) error {
	return func(c *sio.Ctx, next sio.Handler) error {
		other, err := c.WithArgs(args...)
		if err != nil {
			return err
		}
		return next(other)
	}
}

// swapped handles the second event of each client after the third.
func swapped() func(c *sio.Ctx, next sio.Handler) error {
	type client struct {
		events int
		second *sio.Ctx
	}
	var mu sync.Mutex
	clients := map[string]*client{}
	return func(c *sio.Ctx, next sio.Handler) error {
		mu.Lock()
		of := clients[c.ID()]
		if of == nil {
			of = &client{}
			clients[c.ID()] = of
		}
		mu.Unlock()
		of.events++
		switch of.events {
		case 2:
			of.second = c
			return nil
		case 3:
			return errors.Join(next(c), next(of.second))
		}
		return next(c)
	}
}

// lostToOne emits to all but the one who asks, with the right arguments.
func lostToOne(srv *sio.Server) sio.Middleware {
	return on("bcast", func(c *sio.Ctx, _ sio.Handler) error {
		pad := strings.Repeat("x", 200)
		return errors.Join(srv.Except(c.ID()).Emit("b", 0, pad), srv.Except(c.ID()).Emit("b", 1, pad))
	})(srv)
}

func toEverybody(srv *sio.Server) sio.Middleware {
	return on("room", func(*sio.Ctx, sio.Handler) error {
		pad := strings.Repeat("x", 200)
		return errors.Join(srv.Emit("b", 0, pad), srv.Emit("b", 1, pad))
	})(srv)
}

func unasked(srv *sio.Server) sio.Middleware {
	srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("hello") })
	return func(next sio.Handler) sio.Handler { return next }
}

func TestFaultsAreNoticed(t *testing.T) {
	// What never comes is noticed by the patience that it takes. On a slow machine
	// that may be the connecting, which is reported in the same words.
	const impatient = "took longer than 500ms"
	tests := []struct {
		fault, scenario string
		middleware      func(*sio.Server) sio.Middleware
		want            string
	}{
		{"changed", "echo", on("echo", changed("other")), "want"},
		{"lost", "echo", on("echo", lost), impatient},
		{"twice", "echo", on("echo", twice), "want"},
		{"out of order", "echo", on("echo", swapped()), "want"},
		{"changed", "polling", on("echo", changed("other")), "want"},
		{"changed", "upgrade", on("echo", changed("other")), "want"},
		{"changed", "rate", on("echo", changed("other")), "want"},
		{"lost", "rate", on("echo", lost), impatient},
		{"changed", "ack", on("echoAck", changed("other")), "want"},
		{"lost", "ack", on("echoAck", lost), impatient},
		{"changed", "binary", on("bin", changed([]byte("other"))), "want"},
		{"changed", "json", on("json", changed(app.Order{})), "want"},
		{"lost", "bcast", on("bcast", lost), impatient},
		{"lost to one", "bcast", lostToOne, impatient},
		{"changed", "bcast", on("bcast", changed(2, 3)), "want"},
		{"twice", "bcast", on("bcast", twice), "twice"},
		{"too much", "bcast", on("bcast", changed(3, 200)), "want"},
		{"too little", "bcast", on("bcast", changed(1, 200)), impatient},
		{"to other rooms", "rooms", toEverybody, "delivery"},
		{"never joined", "rooms", on("join", func(c *sio.Ctx, _ sio.Handler) error { return c.Ack() }), impatient},
		{"unasked", "idle", unasked, "while idle"},
	}
	for _, tt := range tests {
		t.Run(tt.scenario+" "+tt.fault, func(t *testing.T) {
			o := serve(t, tt.middleware)
			if tt.want == impatient {
				o.patience = 500 * time.Millisecond
			}
			if _, err := measure(t.Context(), tt.scenario, o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	o := serve(t, nil)
	o.servers = []endpoint{{"127.0.0.1:1", os.Getpid()}}
	for name := range scenarios() {
		if _, err := measure(t.Context(), name, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestOptionsAreBounded(t *testing.T) {
	tests := []struct {
		name   string
		change func(o *options)
	}{
		{"another machine", func(o *options) { o.servers[1].addr = "192.0.2.1:80" }},
		{"a name", func(o *options) { o.servers[0].addr = "localhost:80" }},
		{"Redis on another machine", func(o *options) { o.redis = "192.0.2.1:80" }},
		{"no servers", func(o *options) { o.servers = nil }},
		{"more clients on one server", func(o *options) { o.clients = 101 }},
		{"no clients", func(o *options) { o.clients = 0 }},
		{"too many clients", func(o *options) { o.clients = maxClients + 1 }},
		{"too long", func(o *options) { o.dur = maxTime }},
		{"nothing in flight", func(o *options) { o.inFlight = 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options{servers: []endpoint{{"127.0.0.1:80", 0}, {"127.0.0.1:81", 0}}, clients: maxClients, rooms: 1, inFlight: 1, rate: 1, size: 1, burst: 1, dur: time.Second}
			if err := o.check(); err != nil {
				t.Fatal(err)
			}
			tt.change(&o)
			if _, err := measure(t.Context(), "idle", o); err == nil {
				t.Error("no error")
			}
		})
	}
	if _, err := measure(t.Context(), "sleep", options{}); err == nil || !strings.Contains(err.Error(), "sleep") {
		t.Errorf("err = %v, want it to name the scenario", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	o := serve(t, nil)
	o.dur = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := measure(ctx, "echo", o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestScriptsHaveTheSizeAndNoTwoMessagesAlike(t *testing.T) {
	const size = 1024
	for name, s := range map[string]script{
		"text": textScript(size), "ack": ackScript(size), "binary": binaryScript(size), "json": jsonScript(size),
	} {
		seen := map[string]bool{}
		for _, client := range []int{0, 7, 12} {
			for seq := range 3 {
				message := s.request(nil, client, seq)
				if s.attachment != nil {
					message = append(message, s.attachment(nil, client, seq)...)
				}
				if n := len(message); n < size || n > size+300 {
					t.Errorf("%s: %d bytes, want about %d", name, n, size)
				}
				if seen[string(message)] {
					t.Errorf("%s: %.50q comes twice", name, message)
				}
				seen[string(message)] = true
			}
		}
	}
}

func TestDocumentIsWhatEncodersMakeOfIt(t *testing.T) {
	text, _ := strings.CutPrefix(string(jsonScript(1024).request(nil, 1, 2)), `42["json",`)
	text = strings.TrimSuffix(text, "]")
	var o app.Order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(o)
	if err != nil || string(b) != text {
		t.Errorf("encoded again: %s, %v\nwant %s", b, err, text)
	}
}

func TestTimes(t *testing.T) {
	var ts times
	take := func() map[string]float64 {
		values := make(map[string]float64)
		ts.take(values)
		return values
	}
	if got := take(); len(got) > 0 {
		t.Errorf("of nothing: %v", got)
	}
	for i := 200; i > 0; i-- {
		ts.add(time.Duration(i) * time.Millisecond)
	}
	if got, want := take(), (map[string]float64{"p50_us": 101_000, "p99_us": 199_000, "p999_us": 200_000}); !maps.Equal(got, want) {
		t.Errorf("take = %v, want %v", got, want)
	}
	if got := take(); len(got) > 0 {
		t.Errorf("take did not forget: %v", got)
	}
}

func TestJiffies(t *testing.T) {
	if got := jiffies([]byte(" S 1 20 300 4000"), 2, 4, 9); got != 40_200*time.Millisecond {
		t.Errorf("jiffies = %v", got)
	}
}

func TestProc(t *testing.T) {
	o := serve(t, nil) // skips where there is no /proc
	rss, err := residentBytes(o.servers[0].pid)
	if err != nil || rss < 1<<20 || rss > 1<<34 {
		t.Errorf("residentBytes = %v, %v", rss, err)
	}
	var used time.Duration
	for used == 0 { // until a jiffy is full
		if used, err = cpuTime(o.servers[0].pid); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := machineTime(); err != nil || all < used {
		t.Errorf("machineTime = %v, %v, less than the %v of one process", all, err, used)
	}
	const nobody = -1
	_, err1 := cpuTime(nobody)
	_, err2 := residentBytes(nobody)
	if err1 == nil || err2 == nil {
		t.Errorf("errors of a process that is not there: %v, %v", err1, err2)
	}
}
