package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// A brokenCluster is one whose broker is away.
type brokenCluster struct {
	*adapter.Memory

	publish func() error
}

func (c brokenCluster) Join(namespace string, node adapter.Node) adapter.Adapter {
	return brokenAdapter{c.Memory.Join(namespace, node), c.publish}
}

type brokenAdapter struct {
	adapter.Adapter

	publish func() error
}

func (a brokenAdapter) Publish(*adapter.Message) error { return a.publish() }

// Other servers may not be told; this one's sockets are disconnected all the same.
func TestRevocationWithABrokerThatIsAway(t *testing.T) {
	t.Parallel()
	away := errors.New("broker is away")
	revocations := map[string]func(ns *sio.Namespace) error{
		"subject": func(ns *sio.Namespace) error { return auth.RevokeSubject(ns, "ann") },
		"token":   func(ns *sio.Namespace) error { return auth.RevokeToken(ns, "7") },
	}
	for name, publish := range map[string]func() error{
		"error": func() error { return away },
		"panic": func() error { panic(away) },
	} {
		for what, revoke := range revocations {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				opts := &sio.Options{Adapter: brokenCluster{adapter.NewMemory(), publish}}
				bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
					srv.UseConnect(auth.Require(hs256()))
					c := enter(t, d, token(t, claims{"jti": "7"}))
					synctest.Wait()
					if err := revoke(srv.Namespace); err == nil || name == "error" && !errors.Is(err, away) {
						t.Errorf("error %v", err)
					}
					c.Want(tokenRevoked, "41")
				})
			})
		}
	}
}

func TestRevocationWithAnAdapterThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		cluster := brokenCluster{adapter.NewMemory(), func() error { <-release; return nil }}
		srv := sio.New(&sio.Options{Adapter: cluster, Logger: slog.New(slog.DiscardHandler)})
		defer func() { must(t, srv.Shutdown(context.Background())) }()
		srv.UseConnect(auth.Require(hs256()))
		c := enter(t, siotest.Pipes(t, srv), token(t, nil))
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- auth.RevokeSubject(srv.Namespace, "ann") }()
		c.Want(tokenRevoked, "41")
		close(release)
		must(t, <-done)
	})
}

// Who is revoked while away does not come back as what it was.
func TestRevocationReachesSessionsThatWaitToBeRecovered(t *testing.T) {
	t.Parallel()
	for way, recovery := range recoveries() {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			bubble(t, &sio.Options{ConnectionStateRecovery: &recovery}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.UseConnect(auth.Require(hs256()))
				srv.On("leave", sio.Reply(func(*sio.Ctx, struct{}) (string, error) {
					return "ok", srv.Broadcast().Leave("auth:sub:ann", "auth:sub:bob")
				}))
				c, other := d.WebSocket(t), enter(t, d, token(t, claims{"sub": "bob"}))
				c.Send(`40{"token":"` + token(t, nil) + `"}`)
				v := newVisitor(t, c)
				must(t, srv.To(v.id).Emit("news"))
				v.readOffset(t)
				c.Abort()
				synctest.Wait()
				other.Send(`42["leave"]`) // which does not take ann out of the room that is hers
				synctest.Wait()
				must(t, auth.RevokeSubject(srv.Namespace, "ann"))
				must(t, srv.To("auth:sub:ann").Emit("secret"))
				c = v.comeBack(t, d, token(t, nil))
				if back := newVisitor(t, c); back.id == v.id || back.pid == v.pid {
					t.Error("recovered")
				}
			})
		})
	}
}
