package auth_test

import (
	"context"
	"regexp"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// tenants is a server with two patterns of namespaces.
type tenants struct {
	*sio.Server
	siotest.Dialer

	teams, shops *sio.Namespace
	rooms        *auth.Rooms // of teams
}

func newTenants(t *testing.T, cluster adapter.Cluster, f may) tenants {
	t.Helper()
	srv := sio.New(&sio.Options{Adapter: cluster})
	t.Cleanup(func() { must(t, srv.Shutdown(context.Background())) })
	s := tenants{Server: srv, Dialer: siotest.Pipes(t, srv)}
	s.teams = srv.OfRegexp(regexp.MustCompile("^/team-[0-9]$"))
	s.shops = srv.OfFunc(func(name string, _ *sio.Handshake) bool { return name == "/shop" })
	s.teams.UseConnect(auth.Require(hs256()))
	s.shops.UseConnect(auth.Require(hs256()))
	s.rooms = auth.NewRooms(s.teams, f)
	s.teams.On("join", sio.Bind(func(c *sio.Ctx, names []string) error { return s.rooms.Enter(c, names...) }))
	s.teams.On("rooms", sio.Reply(func(c *sio.Ctx, _ struct{}) ([]string, error) { return c.Rooms()[1:], nil }))
	return s
}

// A child of a parent may exist only on another server than the one that is told of changed
// rights. It is not missed.
func TestRecheckReachesChildrenThatOnlyOtherServersHave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var db rights
		db.set("ann", "red")
		db.set("bob", "red")
		cluster := adapter.NewMemory()
		one, two := newTenants(t, cluster, db.may), newTenants(t, cluster, db.may)
		both := one.Connect(t, "/team-1", withToken(token(t, nil)))
		there := two.Connect(t, "/team-1", withToken(token(t, nil)))
		only := two.Connect(t, "/team-2", withToken(token(t, nil)))
		bob := two.Connect(t, "/team-2", withToken(token(t, claims{"sub": "bob"})))
		for _, p := range []*siotest.Peer{both, there, only, bob} {
			must(t, p.Ask("join", []string{"team:red"}).Err())
		}
		db.set("ann")
		db.set("bob")
		must(t, one.rooms.Recheck(t.Context(), "ann"))
		synctest.Wait()
		for _, p := range []*siotest.Peer{both, there, only} {
			wantLeft(t, p, "team:red")
			wantRooms(t, p)
		}
		wantRooms(t, bob, "team:red") // nobody has asked
	})
}

// Likewise for a revocation. Other users and other parents are not concerned.
func TestRevocationReachesChildrenThatOnlyOtherServersHave(t *testing.T) {
	t.Parallel()
	for name, revoke := range map[string]func(*sio.Namespace) error{
		"subject": func(ns *sio.Namespace) error { return auth.RevokeSubject(ns, "ann") },
		"token":   func(ns *sio.Namespace) error { return auth.RevokeToken(ns, "7") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cluster := adapter.NewMemory()
				allow := func(context.Context, *auth.Identity, string) error { return nil }
				one, two := newTenants(t, cluster, allow), newTenants(t, cluster, allow)
				ann := withToken(token(t, claims{"jti": "7"}))
				only := two.Connect(t, "/team-2", ann)
				shop := two.Connect(t, "/shop", ann)
				bob := two.Connect(t, "/team-2", withToken(token(t, claims{"sub": "bob"})))
				must(t, revoke(one.teams))
				synctest.Wait()
				only.Expect(auth.EventRevoked)
				for _, p := range []*siotest.Peer{shop, bob} {
					if two.Of(map[bool]string{true: "/shop", false: "/team-2"}[p == shop]).Socket(p.ID()) == nil {
						t.Error("another socket was disconnected")
					}
				}
				if n := len(two.teams.Broadcast().Sockets()); n != 1 {
					t.Errorf("%d sockets are left", n)
				}
			})
		})
	}
}
