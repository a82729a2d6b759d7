package natsadapter_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A process without a server reaches the clients and handlers of all servers.
func TestEmitter(t *testing.T) {
	t.Parallel()
	for _, mode := range []natsadapter.SubscriptionMode{natsadapter.Static, natsadapter.Dynamic, natsadapter.DynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := startNATS(t)
			e := natsadapter.NewEmitter(s.connect(t), natsadapter.EmitterOptions{SubscriptionMode: mode})
			reloads := make(chan string, 10)
			var clients []*siotest.Peer
			var servers []*sio.Server
			var heard [2]atomic.Bool
			for i := range 2 {
				srv := sio.New(&sio.Options{Adapter: natsadapter.New(s.connect(t), natsadapter.Options{SubscriptionMode: mode})})
				srv.OnConnect(func(c *sio.Ctx) error { return c.Join("a.b") })
				srv.OnServerEvent("reload", func(_ context.Context, args sio.Args) (any, error) {
					var what string
					err := args.Bind(&what)
					reloads <- what
					return nil, err
				})
				srv.OnAnyOutgoing(func(*sio.Socket, string, sio.Args) { heard[i].Store(true) })
				t.Cleanup(func() {
					if err := srv.Shutdown(context.WithoutCancel(t.Context())); err != nil {
						t.Error(err)
					}
				})
				servers = append(servers, srv)
				clients = append(clients, siotest.Connect(t, srv, "/", nil))
			}
			ctx := t.Context()
			for _, srv := range servers {
				eventually(t, "the servers hear each other", func() bool {
					n, err := srv.Broadcast().Count(ctx)
					return n == 2 && err == nil
				})
			}
			eventually(t, "the room is subscribed to", func() bool { // until then, a broadcast to it is missed
				must(t, e.To("a.b").Emit(ctx, "probe"))
				return heard[0].Load() && heard[1].Load()
			})
			must(t, errors.Join(
				e.To("a.b").Emit(ctx, "first", []byte{1}, "x"),
				e.To("a.b").Join(ctx, "new"),
				e.To("new").Emit(ctx, "second"),
				e.Except("new").Emit(ctx, "nobody"),
				e.ServerSideEmit(ctx, "reload", "prices"),
				e.Emit(ctx, "third"),
				e.Disconnect(ctx),
			))
			for _, c := range clients {
				first := c.Next()
				for first.Name == "probe" {
					first = c.Next()
				}
				var blob []byte
				if first.Bind(&blob, new(string)); first.Name != "first" || !slices.Equal(blob, []byte{1}) {
					t.Errorf("got %s", first)
				}
				c.Expect("second")
				c.Expect("third")
			}
			if first, second := <-reloads, <-reloads; first != "prices" || second != "prices" {
				t.Errorf("server-side events with %s and %s", first, second)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An emitter says what was not sent.
func TestEmitterErrors(t *testing.T) {
	t.Parallel()
	s := startNATS(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "job", Password: "p", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"sio.n./", "sio.r./.>"}}}}}
	})
	nc := s.connect(t, nats.UserInfo("job", "p"))
	e := natsadapter.NewEmitter(nc)
	eventually(t, "it is connected", func() bool { return e.Emit(t.Context(), "allowed") == nil })
	if err := e.To("room").Emit(t.Context(), "allowed"); err != nil {
		t.Error(err)
	}
	if err := e.Of("/admin").Emit(t.Context(), "refused"); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("error %v", err)
	}
	s.stop()
	eventually(t, "the loss is seen", func() bool { return e.Emit(t.Context(), "lost") != nil })
}

// Wrong options panic, with the remedy.
func TestWrongOptions(t *testing.T) {
	t.Parallel()
	s := startNATS(t)
	nc := s.connect(t)
	for name, f := range map[string]func(){
		"nil":     func() { natsadapter.New(nil) },
		"echo":    func() { natsadapter.New(s.connect(t, nats.NoEcho())) },
		"prefix":  func() { natsadapter.New(nc, natsadapter.Options{SubjectPrefix: "a..b"}) },
		"star":    func() { natsadapter.NewEmitter(nc, natsadapter.EmitterOptions{SubjectPrefix: "a.*"}) },
		"mode":    func() { natsadapter.New(nc, natsadapter.Options{SubscriptionMode: "other"}) },
		"pending": func() { natsadapter.New(nc, natsadapter.Options{MaxPendingBytes: -1}) },
		"stream":  func() { natsadapter.NewJetStream(nc, natsadapter.JetStreamOptions{StreamName: "a.b"}) },
		"domain":  func() { natsadapter.NewJetStream(nc, natsadapter.JetStreamOptions{Domain: "a.b"}) },
		"bytes":   func() { natsadapter.NewJetStream(nc, natsadapter.JetStreamOptions{MaxBytes: -1}) },
		"timeout": func() { natsadapter.NewJetStream(nc, natsadapter.JetStreamOptions{AckTimeout: 1}) },
		"two":     func() { natsadapter.New(nc, natsadapter.Options{}, natsadapter.Options{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
