package redisadapter_test

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/redistest"
)

// rightsOf returns the command in docs/security.md that makes a user.
func rightsOf(t *testing.T, user string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ACL SETUSER ` + user + ` .*$`).Find(page)
	if line == nil {
		t.Fatalf("docs/security.md has no rights for %q", user)
	}
	return strings.Fields(string(line))
}

// The rights in docs/security.md are all that servers and emitters need.
func TestRightsOfTheDocument(t *testing.T) {
	t.Parallel()
	for user, use := range map[string]func(redis.UniversalClient) (func() adapter.Cluster, redisadapter.Emitter){
		"classic": func(c redis.UniversalClient) (func() adapter.Cluster, redisadapter.Emitter) {
			return func() adapter.Cluster { return redisadapter.Classic(c) }, redisadapter.ClassicEmitter(c)
		},
		"sharded": func(c redis.UniversalClient) (func() adapter.Cluster, redisadapter.Emitter) {
			return func() adapter.Cluster { return redisadapter.Sharded(c) }, redisadapter.ShardedEmitter(c)
		},
		"streams": func(c redis.UniversalClient) (func() adapter.Cluster, redisadapter.Emitter) {
			return func() adapter.Cluster { return redisadapter.Streams(c) }, redisadapter.StreamsEmitter(c)
		},
	} {
		for _, on := range []string{"one server", "a Redis Cluster"} {
			t.Run(user+" on "+on, func(t *testing.T) {
				t.Parallel()
				var client redis.UniversalClient
				var servers []*redistest.Server
				if on == "one server" {
					servers = append(servers, redistest.Start(t))
					client = redis.NewClient(&redis.Options{Addr: servers[0].Addr, Username: user, Password: "secret"})
				} else {
					c := redistest.StartCluster(t, 0)
					servers = c.Masters
					client = redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Username: user, Password: "secret"})
				}
				t.Cleanup(func() { _ = client.Close() })
				for _, s := range servers {
					s.MustDo(rightsOf(t, user)...)
					if on != "one server" {
						s.MustDo(strings.Fields("ACL SETUSER " + user + " +cluster|slots +command")...)
					}
				}
				newCluster, emitter := use(client)
				emitter = emitter.Of("chat")
				a, b := newEmitterServer(t, newCluster()), newEmitterServer(t, newCluster())
				a.await(t, emitter)
				b.await(t, emitter)
				emitterReaches(t, emitter, a, b)
				if p, ok := newCluster().(adapter.LogProvider); ok {
					keepSession(t, p)
				}
				askAll(t, newCluster)
				for _, s := range servers {
					if denied := s.MustDo("ACL", "LOG"); len(denied) > 0 {
						t.Errorf("denied: %q", denied)
					}
				}
			})
		}
	}
}

// keepSession saves a session and claims it.
func keepSession(t *testing.T, p adapter.LogProvider) {
	t.Helper()
	l := p.NewLog("/", time.Minute)
	defer l.Close()
	if err := l.Save(t.Context(), &adapter.Session{ID: "id", PID: "pid"}); err != nil {
		t.Error(err)
	}
	if _, err := l.Claim(t.Context(), "pid", "1-1"); !errors.Is(err, adapter.ErrUnknownSession) { // the offset is not in the stream
		t.Error(err)
	}
}

// askAll has servers publish, ask and answer.
func askAll(t *testing.T, newCluster func() adapter.Cluster) {
	t.Helper()
	first, second := sio.New(&sio.Options{Adapter: newCluster()}), sio.New(&sio.Options{Adapter: newCluster()})
	for _, srv := range []*sio.Server{first, second} {
		defer func() { _ = srv.Shutdown(t.Context()) }()
		srv.Of("/chat").OnServerEvent("who", func(context.Context, sio.Args) (any, error) { return "me", nil })
	}
	for heard := false; !heard; { // second may not have joined yet
		for a := range sio.ServerSideEmitWithAck[string](t.Context(), first.Of("/chat"), "who") {
			heard = heard || a.Err == nil && a.Value == "me"
		}
	}
	if err := errors.Join(first.Of("/chat").To("nobody").Emit("event"), first.Of("/chat").Emit("event", []byte("binary"))); err != nil {
		t.Error(err)
	}
	if n, err := first.Of("/chat").Broadcast().Count(t.Context()); n != 0 || err != nil {
		t.Errorf("%d clients, %v", n, err)
	}
	if all, err := second.Of("/chat").Broadcast().Fetch(t.Context()); len(all) != 0 || err != nil {
		t.Errorf("%d clients, %v", len(all), err)
	}
}
