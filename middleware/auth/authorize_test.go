package auth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

func ok(c *sio.Ctx) error { return c.Ack("ok") }

// want sends an event and compares the answer.
func answer(t *testing.T, c *siotest.Client, event, want string) {
	t.Helper()
	c.Send("420" + event)
	if got := c.Next(); got != "430"+want {
		t.Errorf("%s: %s, want %s", event, got, want)
	}
}

const (
	accepted = `["ok"]`
	denied   = `[{"error":` + forbidden + `}]`
	failed   = `[{"error":` + internal + `}]`
	nonsense = `[{"error":{"message":"invalid payload"}}]`
)

func TestScopesAndRoles(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(hs256()))
		srv.On("read", ok, auth.Scope("chat:read"))
		srv.On("both", ok, auth.Scope("chat:read", "chat:write"))
		srv.On("moderate", ok, auth.Role("admin", "moderator"))
		tests := map[string]struct {
			claims claims
			want   string // one letter per event: may it?
		}{
			"nothing":           {nil, "nnn"},
			"one scope":         {claims{"scope": "chat:read"}, "ynn"},
			"both, as text":     {claims{"scope": "x chat:write  chat:read"}, "yyn"},
			"both, as a list":   {claims{"scope": []string{"chat:write", "chat:read"}}, "yyn"},
			"another case":      {claims{"scope": "Chat:Read", "roles": "Admin"}, "nnn"},
			"part of a scope":   {claims{"scope": "chat:readers chat", "roles": []string{"administrator"}}, "nnn"},
			"two in an element": {claims{"scope": []string{"chat:read chat:write"}}, "nnn"},
			"one of the roles":  {claims{"roles": []string{"moderator"}}, "nny"},
			"a role as text":    {claims{"roles": "user admin"}, "nny"},
			"scope is null":     {claims{"scope": json.RawMessage("null")}, "nnn"},
		}
		for name, tt := range tests {
			c := enter(t, d, token(t, tt.claims))
			for i, event := range []string{"read", "both", "moderate"} {
				want := denied
				if tt.want[i] == 'y' {
					want = accepted
				}
				c.Send(`420["` + event + `"]`)
				if got := c.Next(); got != "430"+want {
					t.Errorf("%s, %s: %s, want %s", name, event, got, want)
				}
			}
		}
	})
}

func TestAllEventsBehindAGuard(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var a audit
		srv.UseConnect(auth.Require(hs256(), a.observe()))
		srv.UseEvents(auth.Scope("chat"))
		srv.On("known", ok)
		srv.OnUnknown(ok)
		c := enter(t, d, token(t, nil))
		answer(t, c, `["known"]`, denied)
		answer(t, c, `["unknown"]`, denied)
		c.Send(`42["known"]`) // nobody to answer to
		c = enter(t, d, token(t, claims{"scope": "chat"}))
		answer(t, c, `["known"]`, accepted)
		answer(t, c, `["unknown"]`, accepted)
		a.want(t, "accepted ann", "denied ann known forbidden", "denied ann unknown forbidden", "denied ann known forbidden",
			"accepted ann")
	})
}

// A Tenant has claims of its own and none of an Identity's methods.
type Tenant struct {
	jwt.RegisteredClaims

	Tenant string `json:"tenant"`
}

func TestChecks(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(auth.HS256[Tenant](secret)))
		check := func(err error) sio.Middleware {
			return auth.Check(func(claims *Tenant, c *sio.Ctx) error {
				if claims.Tenant != "t1" || c.Event() == "" {
					t.Errorf("%+v, %s", claims, c.Event())
				}
				return err
			})
		}
		srv.On("allowed", ok, check(nil))
		srv.On("forbidden", ok, check(fmt.Errorf("not on Sundays: %w", auth.ErrForbidden)))
		srv.On("refused", ok, check(&sio.Error{Message: "not on Sundays", Data: 7}))
		srv.On("broken", ok, check(errors.New("database down")))
		srv.On("other claims", ok, auth.Check(func(*auth.Identity, *sio.Ctx) error { return nil }))
		srv.On("no scopes", ok, auth.Scope("x"))
		srv.On("no roles", ok, auth.Role("x"))
		c := enter(t, d, token(t, claims{"tenant": "t1"}))
		answer(t, c, `["allowed"]`, accepted)
		answer(t, c, `["forbidden"]`, denied)
		answer(t, c, `["refused"]`, `[{"error":{"message":"not on Sundays","data":7}}]`)
		for _, event := range []string{"broken", "other claims", "no scopes", "no roles"} {
			answer(t, c, `["`+event+`"]`, failed)
		}
		for _, hint := range []string{
			"database down", "Check is for *auth.Identity, but the socket has *auth_test.Tenant",
			"has no method HasScope", "has no method HasRole",
		} {
			if !strings.Contains(log.String(), hint) {
				t.Errorf("the log has no %q:\n%s", hint, log)
			}
		}
	})
}

// A guard without Require in front of it lets nobody pass.
func TestGuardsWithoutRequire(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		guards := map[string]sio.Middleware{
			"scope": auth.Scope("x"), "role": auth.Role("x"), "signed in": auth.SignedIn(),
			"check": auth.Check(func(*auth.Identity, *sio.Ctx) error { return nil }),
			"join":  auth.Join(func(*auth.Identity, string) error { return nil }),
		}
		for name, g := range guards {
			srv.On(name, ok, g)
			srv.Of("/" + name).UseConnect(g)
		}
		c := d.WebSocket(t)
		c.Connect("/", "")
		for name := range guards {
			answer(t, c, `["`+name+`","room"]`, `[{"error":`+missing+`}]`)
			c.Send("40/" + name + `,{"token":"` + token(t, nil) + `"}`)
			c.Want("44/" + name + "," + missing)
		}
	})
}

func TestJoinGuard(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(hs256()))
		srv.On("join", ok, auth.Join(func(id *auth.Identity, room string) error {
			if strings.HasPrefix(room, id.Subject+"/") {
				return nil
			}
			return auth.ErrForbidden
		}))
		c := enter(t, d, token(t, nil))
		tests := []struct{ args, want string }{
			{`,"ann/a"`, accepted},
			{`,"bob/a"`, denied},
			{`,""`, denied},
			{`,"\u0061nn/a"`, accepted},
			{`,["ann/a","ann/b"]`, accepted},
			{`,["ann/a","bob/b"]`, denied},
			{`,[]`, nonsense},
			{`,["ann/a",7]`, nonsense},
			{`,{"room":"ann/a","x":{"room":"bob/a"}}`, accepted},
			{`,{"x":{"room":"ann/a"}}`, nonsense},
			{`,{"room":"bob/a"}`, denied},
			{`,{"room":"ann/a","room":"bob/a"}`, nonsense},
			{`,{"room":"ann/a","Room":"bob/a"}`, nonsense},
			{`,{"room":"ann/a","\u0052OOM":"bob/a"}`, nonsense},
			{`,{"Room":"ann/a"}`, nonsense}, // a decoder that minds the case sees no room
			{`,{"room":["ann/a"]}`, nonsense},
			{`,{"room":null}`, nonsense},
			{`,null`, nonsense},
			{`,7`, nonsense},
			{``, nonsense},
		}
		for _, tt := range tests {
			answer(t, c, `["join"`+tt.args+`]`, tt.want)
		}
	})
}

// At connect time a guard is for the whole namespace, however its claims change.
func TestGuardsAtConnectTime(t *testing.T) {
	t.Parallel()
	bubble(t, &sio.Options{ConnectionStateRecovery: &sio.Recovery{}}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var a audit
		srv.UseConnect(auth.Require(hs256(), a.observe()), auth.Role("admin"), auth.Scope("chat"))
		srv.On("authenticate", auth.Refresh(hs256()))
		who(srv)
		admin, user := token(t, claims{"roles": "admin", "scope": "chat"}), token(t, claims{"roles": "user", "scope": "chat"})
		c := d.WebSocket(t)
		c.Send(`40{"token":"` + user + `"}`)
		c.Want("44" + forbidden)
		c.Send(`40{"token":"` + admin + `"}`)
		v := newVisitor(t, c)
		answer(t, c, `["authenticate","`+user+`"]`, denied)
		answer(t, c, `["who"]`, `["ann ann"]`)
		answer(t, c, `["authenticate","`+admin+`"]`, `[{"expiresIn":3600}]`)

		// Whoever comes back is asked again.
		must(t, srv.Emit("news"))
		v.readOffset(t)
		c.Abort()
		c = v.comeBack(t, d, user)
		c.Want("44" + forbidden)
		a.want(t, "refused ann forbidden", "accepted ann", "refused ann forbidden", "refreshed ann", "refused ann forbidden")
	})
}
