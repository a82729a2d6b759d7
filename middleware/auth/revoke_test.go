package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

const tokenRevoked = `42["token_revoked",{"code":"token_revoked"}]`

func TestRevocation(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		who(srv)
		srv.UseConnect(auth.Require(hs256()))
		srv.On("authenticate", auth.Refresh(hs256()))
		first, second := enter(t, d, token(t, claims{"jti": "1"})), enter(t, d, token(t, claims{"jti": "2"}))
		bob := enter(t, d, token(t, claims{"sub": "bob", "jti": "3"}))
		bob.Send(`420["authenticate","` + token(t, claims{"sub": "bob", "jti": "4"}) + `"]`)
		bob.Want(`430[{"expiresIn":3600}]`)

		must(t, auth.RevokeToken(srv.Namespace, "2"))
		second.Want(tokenRevoked, "41")
		must(t, auth.RevokeToken(srv.Namespace, "3")) // bob has another one now
		must(t, auth.RevokeSubject(srv.Namespace, ""))
		must(t, auth.RevokeSubject(srv.Namespace, "ann"))
		first.Want(tokenRevoked, "41")
		bob.Send(`421["who"]`)
		bob.Want(`431["bob bob"]`)
		must(t, auth.RevokeToken(srv.Namespace, "4"))
		bob.Want(tokenRevoked, "41")
	})
}

func TestRevocationReachesAllServersOfACluster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cluster := adapter.NewMemory()
		start := func() (*sio.Server, siotest.Dialer) {
			srv := sio.New(&sio.Options{Adapter: cluster, Logger: slog.New(slog.DiscardHandler)})
			t.Cleanup(func() { must(t, srv.Shutdown(context.Background())) })
			srv.UseConnect(auth.Require(hs256()))
			who(srv)
			return srv, siotest.Pipes(t, srv)
		}
		one, toOne := start()
		two, toTwo := start()
		for _, revoke := range []func() error{
			func() error { return auth.RevokeSubject(one.Namespace, "ann") },
			func() error { return auth.RevokeSubject(two.Namespace, "ann") },
			func() error { return auth.RevokeToken(one.Namespace, "7") },
			func() error { return auth.RevokeToken(two.Namespace, "7") },
		} {
			ann := []*siotest.Client{enter(t, toOne, token(t, claims{"jti": "7"})), enter(t, toTwo, token(t, claims{"jti": "7"}))}
			bob := []*siotest.Client{enter(t, toOne, token(t, claims{"sub": "bob"})), enter(t, toTwo, token(t, claims{"sub": "bob"}))}
			synctest.Wait()
			must(t, revoke())
			for i := range ann {
				ann[i].Want(tokenRevoked, "41")
				answer(t, bob[i], `["who"]`, `["bob bob"]`)
			}
		}
	})
}

// Chats commonly let clients name the rooms that they join and leave.
func TestNobodyEscapesRevocationByLeavingRooms(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(hs256()))
		srv.On("authenticate", auth.Refresh(hs256()))
		srv.On("leave", sio.Reply(func(c *sio.Ctx, rooms []string) (string, error) { return "ok", c.Leave(rooms...) }))
		srv.On("leave all", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) {
			return "ok", c.Leave(append(c.Rooms(), c.Pinned()...)...)
		}))
		for _, tt := range []struct {
			refreshed bool
			revoke    func() error
		}{
			{false, func() error { return auth.RevokeSubject(srv.Namespace, "ann") }},
			{false, func() error { return auth.RevokeToken(srv.Namespace, "1") }},
			{true, func() error { return auth.RevokeSubject(srv.Namespace, "ann") }},
			{true, func() error { return auth.RevokeToken(srv.Namespace, "2") }},
		} {
			c := enter(t, d, token(t, claims{"jti": "1"}))
			if tt.refreshed {
				answer(t, c, `["authenticate","`+token(t, claims{"jti": "2"})+`"]`, `[{"expiresIn":3600}]`)
			}
			answer(t, c, `["leave",["auth:sub:ann","auth:jti:2","auth:jti:1"]]`, accepted)
			answer(t, c, `["leave all"]`, accepted)
			must(t, srv.Broadcast().Leave("auth:sub:ann", "auth:jti:1", "auth:jti:2"))
			must(t, tt.revoke())
			c.Want(tokenRevoked, "41")
		}
	})
}

// A blacklist is what servers share, in a database for example.
type blacklist struct {
	mu   sync.Mutex
	list map[string]bool
	err  error
}

func (b *blacklist) add(subject string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.list == nil {
		b.list = make(map[string]bool)
	}
	b.list[subject] = true
}

func (b *blacklist) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *blacklist) has(_ context.Context, t auth.Token) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.list[t.Subject], b.err
}

func TestRevokedTokensStayOutside(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var bl blacklist
		srv.UseConnect(auth.Require(hs256(), auth.Revoked(bl.has)))
		srv.On("authenticate", auth.Refresh(hs256()))
		c := enter(t, d, token(t, nil))
		bl.add("ann")
		answer(t, c, `["authenticate","`+token(t, nil)+`"]`, `[{"error":`+revoked+`}]`)
		must(t, auth.RevokeSubject(srv.Namespace, "ann"))
		c.Want(tokenRevoked, "41")
		c.Send(`40{"token":"` + token(t, nil) + `"}`)
		c.Want("44" + revoked)
		c = enter(t, d, token(t, claims{"sub": "bob"}))
		answer(t, c, `["authenticate","`+token(t, claims{"sub": "bob"})+`"]`, `[{"expiresIn":3600}]`)
	})
}

// Between the look at the list and the moment when the socket can be found there
// is time for a revocation.
func TestRevocationWhileTheClientConnects(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var bl blacklist
		var a audit
		srv.UseConnect(auth.Require(hs256(), auth.Revoked(bl.has), a.observe()),
			sio.Guard(func(*sio.Ctx) error {
				bl.add("ann")
				return auth.RevokeSubject(srv.Namespace, "ann")
			}))
		srv.OnConnect(func(*sio.Ctx) error { t.Error("connected"); return nil })
		c := enter(t, d, token(t, nil))
		c.Want(tokenRevoked, "41")
		a.want(t, "refused ann token_revoked")
	})
}

func TestRevocationWhileATokenIsRefreshed(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var revokedIDs sync.Map
		srv.UseConnect(auth.Require(hs256(), auth.Revoked(func(_ context.Context, tok auth.Token) (bool, error) {
			_, found := revokedIDs.Load(tok.ID)
			return found, nil
		})))
		srv.On("authenticate", auth.Refresh(auth.With(hs256(), func(_ context.Context, id *auth.Identity) error {
			revokedIDs.Store(id.ID, true) // just after it was verified
			return auth.RevokeToken(srv.Namespace, id.ID)
		})))
		c := enter(t, d, token(t, claims{"jti": "1"}))
		answer(t, c, `["authenticate","`+token(t, claims{"jti": "2"})+`"]`, `[{"error":`+revoked+`}]`)
		must(t, auth.RevokeToken(srv.Namespace, "2")) // it is not the socket's
		must(t, auth.RevokeToken(srv.Namespace, "1"))
		c.Want(tokenRevoked, "41")
	})
}

func TestListOfRevokedTokensThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var bl blacklist
		srv.UseConnect(auth.Require(hs256(), auth.Revoked(bl.has)))
		srv.On("authenticate", auth.Refresh(hs256()))
		c := enter(t, d, token(t, nil))
		bl.fail(errors.New("connection refused"))
		answer(t, c, `["authenticate","`+token(t, nil)+`"]`, failed)
		other := d.WebSocket(t)
		other.Send(`40{"token":"` + token(t, nil) + `"}`)
		other.Want("44" + internal)
		bl.fail(auth.ErrUnavailable)
		other.Send(`40{"token":"` + token(t, nil) + `"}`)
		other.Want("44" + unavailable)
	})
}

func TestWhatIsKnownOfAToken(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var got auth.Token
		know := auth.Revoked(func(_ context.Context, tok auth.Token) (bool, error) { got = tok; return false, nil })
		start := time.Now()
		srv.UseConnect(auth.Require(hs256(auth.Leeway(time.Minute)), know))
		srv.Of("/user").UseConnect(auth.From(func(*sio.Socket) (*user, error) { return &user{"ann"}, nil }, know))
		c := enter(t, d, token(t, claims{"jti": "7", "iss": "me", "iat": start.Unix()}))
		synctest.Wait()
		want := auth.Token{Issuer: "me", Subject: "ann", ID: "7", IssuedAt: start, Expires: start.Add(time.Hour)}
		if !got.IssuedAt.Equal(want.IssuedAt) || !got.Expires.Equal(want.Expires) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		got.IssuedAt, got.Expires = want.IssuedAt, want.Expires
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		c.Connect("/user", "")
		synctest.Wait()
		if want = (auth.Token{Subject: "ann"}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
