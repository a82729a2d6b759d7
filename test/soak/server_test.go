package soak_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	sio "github.com/sioplug/sioplug/core"
	sioprometheus "github.com/sioplug/sioplug/observe/prometheus"
)

// serverEnv has the address of Redis for a server in a process of its own: this program,
// started again.
const serverEnv = "SIOPLUG_SOAK_REDIS"

// sessionLife is how long a server keeps the session of a client that was cut off.
const sessionLife = 2 * time.Second

// redisBuffer is the size in bytes of a buffer of a connection with Redis.
const redisBuffer = 4096

// A usage is what a server keeps.
type usage struct {
	Heap       uint64 // bytes that are alive after a garbage collection
	Goroutines int
	Clients    int
	Rooms      int
	Namespaces int
	Lost       uint64 // messages for the other server
}

func use(srv *sio.Server) usage {
	for range 2 { // the second one frees what is in pools
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{
		Heap: m.HeapAlloc, Goroutines: runtime.NumGoroutine(), Clients: srv.ClientsCount(),
		Rooms: len(srv.Rooms()), Namespaces: len(srv.Namespaces()), Lost: srv.Cluster().Lost,
	}
}

// runServer is a server until its standard input ends.
func runServer() {
	client := redis.NewClient(&redis.Options{
		Addr: os.Getenv(serverEnv),
		// The buffers of one more connection for pipelines, 256 KiB by default, would hide
		// what the server keeps.
		ReadBufferSize: redisBuffer, WriteBufferSize: redisBuffer,
		PipelineReadBufferSize: redisBuffer, PipelineWriteBufferSize: redisBuffer,
	})
	metrics := sioprometheus.New(nil)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	srv := sio.New(&sio.Options{
		Observers:               []*sio.Observer{metrics.Observer()},
		Adapter:                 redisadapter.Streams(client),
		ConnectionStateRecovery: &sio.Recovery{MaxDisconnectionDuration: sessionLife},
		PingInterval:            2 * time.Second,
		PingTimeout:             5 * time.Second,

		CleanupEmptyChildNamespaces: true,

		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	handle(srv.Namespace)
	handle(srv.OfFunc(func(name string, _ *sio.Handshake) bool { return strings.HasPrefix(name, "/game-") }))
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/usage", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(use(srv)) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	hs := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = hs.Serve(l) }()
	fmt.Println(l.Addr())
	_, _ = os.Stdin.Read(make([]byte, 1))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = srv.Shutdown(ctx)
	_ = hs.Shutdown(ctx)
	_ = client.Close()
}

// handle sets the handlers of a namespace.
func handle(n *sio.Namespace) {
	n.On("join", sio.Bind(func(c *sio.Ctx, room string) error { return c.Join(room) }))
	n.On("say", sio.Bind(func(c *sio.Ctx, room string) error { return c.Namespace().To(room).Emit("said", c.ID()) }))
	n.On("echo", sio.Reply(func(_ *sio.Ctx, v any) (any, error) { return v, nil }))
	n.On("bytes", sio.Reply(func(_ *sio.Ctx, p []byte) ([]byte, error) { return p, nil }))
	n.On("ask me", func(c *sio.Ctx) error {
		v, err := sio.EmitWithAck[int](c.Context(), c.Socket, "question", 20)
		if err != nil {
			return err
		}
		return c.Ack(v)
	})
}

// A server is a process.
type server struct {
	name  string
	addr  string
	url   string
	asked *http.Client // has one connection, so that asking changes nothing
}

// startServer starts a server that ends with the test.
func startServer(t *testing.T, name, redisAddr string) server {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), serverEnv+"="+redisAddr)
	cmd.Stderr = t.Output()
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
		if err := cmd.Wait(); err != nil {
			t.Errorf("server %s: %v", name, err)
		}
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	asked := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	t.Cleanup(asked.CloseIdleConnections)
	addr = strings.TrimSpace(addr)
	return server{name, addr, "http://" + addr, asked}
}

// usage asks a server what it keeps.
func (s server) usage(t *testing.T) (u usage) {
	t.Helper()
	res, err := s.asked.Get(s.url + "/usage")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(&u); err != nil {
		t.Fatal(err)
	}
	return u
}
