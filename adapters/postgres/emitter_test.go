package postgresadapter_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/postgrestest"
)

// A process without a server reaches the clients and handlers of all servers.
func TestEmitter(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	e := postgresadapter.NewEmitter(connect(t, s.URL))
	reloads := make(chan string, 10)
	var clients []*siotest.Peer
	var servers []*sio.Server
	for range 2 {
		srv := sio.New(&sio.Options{Adapter: postgresadapter.New(connect(t, s.URL))})
		srv.OnConnect(func(c *sio.Ctx) error { return c.Join("a.b") })
		srv.OnServerEvent("reload", func(_ context.Context, args sio.Args) (any, error) {
			var what string
			err := args.Bind(&what)
			reloads <- what
			return nil, err
		})
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
	must(t, errors.Join(
		e.To("a.b").Emit(ctx, "first", []byte{1}, "x"),
		e.To("a.b").Join(ctx, "new"),
		e.To("new").Emit(ctx, "second", strings.Repeat("x", 10_000)),
		e.Except("new").Emit(ctx, "nobody"),
		e.ServerSideEmit(ctx, "reload", "prices"),
		e.Emit(ctx, "third"),
		e.Disconnect(ctx),
	))
	for _, c := range clients {
		first := c.Next()
		var blob []byte
		if first.Bind(&blob, new(string)); first.Name != "first" || !slices.Equal(blob, []byte{1}) {
			t.Errorf("got %s", first)
		}
		if second := c.Next(); second.Name != "second" {
			t.Errorf("got %s", second)
		}
		c.Expect("third")
	}
	if first, second := <-reloads, <-reloads; first != "prices" || second != "prices" {
		t.Errorf("server-side events with %s and %s", first, second)
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
	s := postgrestest.Start(t)
	pool := connect(t, s.URL)
	e := postgresadapter.NewEmitter(pool, postgresadapter.EmitterOptions{TableName: "missing"})
	if err := e.Emit(t.Context(), "small"); err != nil {
		t.Error(err)
	}
	if err := e.Emit(t.Context(), "binary", []byte{1}); err == nil || !strings.Contains(err.Error(), `relation "missing" does not exist`) {
		t.Errorf("error %v", err)
	}
	if err := e.To("\xff").Emit(t.Context(), "no text"); err == nil {
		t.Error("no error")
	}
	s.Stop()
	if err := e.Emit(t.Context(), "lost"); err == nil {
		t.Error("no error")
	}
}
