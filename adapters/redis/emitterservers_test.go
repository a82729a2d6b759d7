package redisadapter_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/redistest"
)

// Two servers with one client each get what a process that is no server sends.
func TestEmittersReachServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		connect func(redis.UniversalClient) adapter.Cluster
		emitter func(redis.UniversalClient) redisadapter.Emitter
	}{
		"classic": {
			func(r redis.UniversalClient) adapter.Cluster { return redisadapter.Classic(r) },
			func(r redis.UniversalClient) redisadapter.Emitter { return redisadapter.ClassicEmitter(r) },
		},
		"sharded": {
			func(r redis.UniversalClient) adapter.Cluster { return redisadapter.Sharded(r) },
			func(r redis.UniversalClient) redisadapter.Emitter { return redisadapter.ShardedEmitter(r) },
		},
		"streams": {
			func(r redis.UniversalClient) adapter.Cluster { return redisadapter.Streams(r) },
			func(r redis.UniversalClient) redisadapter.Emitter { return redisadapter.StreamsEmitter(r) },
		},
		"three streams": {
			func(r redis.UniversalClient) adapter.Cluster {
				return redisadapter.Streams(r, redisadapter.StreamsOptions{StreamCount: 3})
			},
			func(r redis.UniversalClient) redisadapter.Emitter {
				return redisadapter.StreamsEmitter(r, redisadapter.StreamsEmitterOptions{StreamCount: 3})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, redistest.Start(t).Addr)
			a, b := newEmitterServer(t, c.connect(client)), newEmitterServer(t, c.connect(client))
			e := c.emitter(client).Of("chat")
			a.await(t, e)
			b.await(t, e)
			emitterReaches(t, e, a, b)
		})
	}
}

// An emitterServer is a server with a client in a namespace.
type emitterServer struct {
	*siotest.Peer

	ready chan struct{} // closed when the server hears the emitter
	once  sync.Once
	heard chan string // the other server-side events
}

func newEmitterServer(t *testing.T, c adapter.Cluster) *emitterServer {
	t.Helper()
	s := &emitterServer{ready: make(chan struct{}), heard: make(chan string, 1)}
	srv := sio.New(&sio.Options{Adapter: c, Logger: slog.New(slog.DiscardHandler)})
	srv.Of("/chat").OnServerEvent("hear", func(_ context.Context, args sio.Args) (any, error) {
		var word string
		err := args.Bind(&word)
		if word == "first" {
			s.once.Do(func() { close(s.ready) })
		} else {
			s.heard <- word
		}
		return nil, err
	})
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s.Peer = siotest.Connect(t, srv, "/chat", nil)
	return s
}

// await waits until the server hears the emitter.
func (s *emitterServer) await(t *testing.T, e redisadapter.Emitter) {
	t.Helper()
	for {
		if err := e.ServerSideEmit(t.Context(), "hear", "first"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.ready:
			return
		default:
		}
	}
}

func emitterReaches(t *testing.T, e redisadapter.Emitter, a, b *emitterServer) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(s *emitterServer, event, want string) {
		t.Helper()
		var got string
		s.Expect(event, &got)
		if got != want {
			t.Fatalf("%s: got %q, want %q", event, got, want)
		}
	}
	ctx := t.Context()
	must(e.Emit(ctx, "all", "1"))
	expect(a, "all", "1")
	expect(b, "all", "1")
	must(e.To(a.ID()).Join(ctx, "r"))
	must(e.To("r").Emit(ctx, "room", "2"))
	expect(a, "room", "2")
	must(e.Except("r").Emit(ctx, "others", "3"))
	expect(b, "others", "3")
	must(e.To(b.ID()).Emit(ctx, "private", map[string]any{"file": []byte("abc")}))
	var file struct{ File []byte }
	if b.Expect("private", &file); string(file.File) != "abc" {
		t.Errorf("got %q", file.File)
	}
	must(e.To("r").Leave(ctx, "r"))
	must(e.To("r").Emit(ctx, "room", "4"))
	must(e.Emit(ctx, "all", "5"))
	expect(a, "all", "5")
	expect(b, "all", "5")
	must(e.ServerSideEmit(ctx, "hear", "second"))
	if x, y := <-a.heard, <-b.heard; x != "second" || y != "second" {
		t.Errorf("the servers hear %q and %q", x, y)
	}
	must(e.To(a.ID()).Disconnect(ctx))
	if got := a.Disconnected(); got != siotest.ServerDisconnect {
		t.Errorf("disconnected by %s", got)
	}
	must(e.Close(ctx))
	if got := b.Disconnected(); got != siotest.ServerDisconnect && got != siotest.TransportClose {
		t.Errorf("disconnected by %s", got)
	}
}
