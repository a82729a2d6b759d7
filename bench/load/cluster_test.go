package main

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// serveCluster serves three servers that memory connects. Each says that it knows so many.
func serveCluster(t *testing.T, known int, fault func(srv *sio.Server) sio.Middleware) options {
	t.Helper()
	cluster := adapter.NewMemory()
	var o options
	for range 3 {
		var asked atomic.Int64
		one := serveWith(t, &sio.Options{Adapter: cluster}, func(srv *sio.Server) sio.Middleware {
			srv.On("servers", func(c *sio.Ctx) error {
				return c.Ack(min(int(asked.Add(1)), known)) // it takes a while to know all
			})
			if fault != nil {
				return fault(srv)
			}
			return func(next sio.Handler) sio.Handler { return next }
		})
		one.servers = append(o.servers, one.servers...)
		o = one
	}
	o.clients = 30
	return o
}

func TestClusterIsMeasured(t *testing.T) {
	o := serveCluster(t, 3, nil)
	o.redis = fakeRedis(t, "used_cpu_sys:1.5\r\n\r\nused_cpu_user:0.25\r\ntotal_net_input_bytes:10\r\ntotal_net_output_bytes:30\r\n")
	for name, keys := range map[string][]string{
		"bcast": {"cpu_us", "p99_us", "message_cpu_us", "first_cpu_us", "others_cpu_us", "redis_cpu_us", "redis_in_bytes", "redis_out_bytes"},
		"rooms": {"cpu_us", "p99_us", "message_cpu_us", "redis_cpu_us"},
	} {
		values, err := measure(t.Context(), name, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if _, ok := values[key]; !ok {
				t.Errorf("%s: values = %v, want %s", name, values, key)
			}
		}
		if _, ok := values["first_cpu_us"]; ok != (name == "bcast") {
			t.Errorf("%s: values = %v: first_cpu_us needs one server that sends", name, values)
		}
	}
}

func TestMessagesCostAllServers(t *testing.T) {
	r := &run{
		options: options{servers: make([]endpoint, 3), redis: "there", clients: 30}, fanout: 30, values: map[string]float64{},
	}
	const ms = time.Millisecond
	from := sample{servers: []time.Duration{1 * ms, 1 * ms, 1 * ms}, server: 3 * time.Millisecond, units: 30, redis: redisSample{time.Millisecond, 10, 100}}
	to := sample{servers: []time.Duration{7 * ms, 2 * ms, 3 * ms}, server: 12 * time.Millisecond, units: 90, redis: redisSample{3 * time.Millisecond, 50, 700}}
	r.sinceInCluster(from, to) // two messages, 20 deliveries of each server
	for key, want := range map[string]float64{
		"message_cpu_us": 4500, "first_cpu_us": 300, "others_cpu_us": 75, "redis_cpu_us": 1000, "redis_in_bytes": 20, "redis_out_bytes": 300,
	} {
		if got := r.values[key]; got != want {
			t.Errorf("%s = %v, want %v", key, got, want)
		}
	}
}

func TestClusterThatDoesNotForm(t *testing.T) {
	o := serveCluster(t, 2, nil)
	o.patience = 200 * time.Millisecond
	if _, err := measure(t.Context(), "bcast", o); err == nil || !strings.Contains(err.Error(), "finding the other servers took longer") {
		t.Errorf("err = %v, want it to say that servers are missing", err)
	}
}

func TestLostBetweenServersIsNoticed(t *testing.T) {
	o := serveCluster(t, 3, func(srv *sio.Server) sio.Middleware {
		return on("bcast", func(*sio.Ctx, sio.Handler) error {
			pad := strings.Repeat("x", 200)
			for i := range 2 {
				if err := srv.To().Local().Emit("b", i, pad); err != nil {
					return err
				}
			}
			return nil
		})(srv)
	})
	o.patience = 500 * time.Millisecond
	if _, err := measure(t.Context(), "bcast", o); err == nil || !strings.Contains(err.Error(), "took longer than 500ms") {
		t.Errorf("err = %v, want it to say that it took too long", err)
	}
}

func TestMissingDeliveriesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, fail := context.WithCancelCause(t.Context())
		b := newBroadcast(&run{options: options{clients: 30, size: 1, burst: 2, patience: time.Second}, fail: fail})
		b.round(ctx, func() error {
			b.missing.Add(-20)
			return nil
		})
		if err := context.Cause(ctx); err == nil || err.Error() != "a round took longer than 1s: 40 of 60 deliveries are missing" {
			t.Errorf("err = %v, want it to say how many are missing", err)
		}
	})
}

// fakeRedis answers anything with a text, and closes the connection.
func fakeRedis(t *testing.T, text string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 100))
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

func TestAskRedis(t *testing.T) {
	const all = "total_net_input_bytes:10\r\ntotal_net_output_bytes:30\r\nused_cpu_sys:1.5\r\nused_cpu_user:0.25\r\n"
	got, err := askRedis(fakeRedis(t, all))
	if want := (redisSample{1750 * time.Millisecond, 10, 30}); err != nil || got != want {
		t.Errorf("askRedis = %v, %v, want %v", got, err, want)
	}
	for name, text := range map[string]string{
		"error":   "-NOAUTH Authentication required.\r\n",
		"no cpu":  strings.ReplaceAll(all, "used_cpu_sys", "other"),
		"garbage": strings.ReplaceAll(all, "1.5", "x"),
	} {
		if _, err := askRedis(fakeRedis(t, text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := askRedis("127.0.0.1:1"); err == nil {
		t.Error("nobody there: no error")
	}
}

func TestServersOfACluster(t *testing.T) {
	servers, err := parseServers("127.0.0.1:1,127.0.0.1:2", "3,4")
	if err != nil {
		t.Fatal(err)
	}
	o := options{servers: servers}
	want := []endpoint{{"127.0.0.1:1", 3}, {"127.0.0.1:2", 4}}
	if !slices.Equal(o.servers, want) {
		t.Errorf("servers = %v, want %v", o.servers, want)
	}
	if o.server(0) != want[0] || o.server(1) != want[1] || o.server(2) != want[0] {
		t.Error("clients do not connect to one server after the other")
	}
	for _, pids := range []string{"3", "3,4,5", "3,x"} {
		if _, err := parseServers("127.0.0.1:1,127.0.0.1:2", pids); err == nil {
			t.Errorf("process ids %s: no error", pids)
		}
	}
	if _, err := measure(context.Background(), "bcast", options{}); err == nil {
		t.Error("no servers: no error")
	}
}
