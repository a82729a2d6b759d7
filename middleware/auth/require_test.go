package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// What clients are told, word for word.
const (
	missing     = `{"message":"token missing","data":{"code":"token_missing"}}`
	expired     = `{"message":"token expired","data":{"code":"token_expired"}}`
	invalid     = `{"message":"token invalid","data":{"code":"token_invalid"}}`
	forbidden   = `{"message":"forbidden","data":{"code":"forbidden"}}`
	unavailable = `{"message":"authentication unavailable","data":{"code":"auth_unavailable"}}`
	internal    = `{"message":"internal error"}`
)

func TestEveryRefusalAsTheClientSeesIt(t *testing.T) {
	t.Parallel()
	payload := func(token string) string { return fmt.Sprintf(`{"token":%q}`, token) }
	failing := func(err error) auth.Verifier[auth.Identity] {
		return func(context.Context, string) (*auth.Identity, error) { return nil, err }
	}
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		past := time.Now().Add(-time.Hour).Unix()
		tests := []struct {
			name    string
			verify  auth.Verifier[auth.Identity]
			payload string
			want    string
		}{
			{"no payload", hs256(), ``, missing},
			{"no token", hs256(), `{}`, missing},
			{"token is null", hs256(), `{"token":null}`, missing},
			{"empty token", hs256(), `{"token":""}`, missing},
			{"token is a number", hs256(), `{"token":7}`, invalid},
			{"token is an object", hs256(), `{"token":{}}`, invalid},
			{"garbage", hs256(), payload("x.y.z"), invalid},
			{"expired", hs256(), payload(token(t, claims{"exp": past})), expired},
			{"not yet valid", hs256(), payload(token(t, claims{"nbf": time.Now().Add(time.Hour).Unix()})), invalid},
			{"wrong audience", hs256(auth.Audience("chat")), payload(token(t, claims{"aud": "mail"})), invalid},
			{"wrong issuer", hs256(auth.Issuer("me")), payload(token(t, claims{"iss": "you"})), invalid},
			{"wrong algorithm", hs256(), payload(sign(t, jwt.SigningMethodHS512, secret, ann(nil))), invalid},
			{"tampered", hs256(), payload(tamper(token(t, nil))), invalid},
			{"none", hs256(), payload(sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, ann(nil))), invalid},
			{"keys unavailable", failing(auth.ErrUnavailable), payload("x"), unavailable},
			{"forbidden by a check", failing(fmt.Errorf("banned: %w", auth.ErrForbidden)), payload("x"), forbidden},
			{"error of one's own", failing(&sio.Error{Message: "banned"}), payload("x"), `{"message":"banned"}`},
			{"neither claims nor an error", failing(nil), payload("x"), internal},
		}
		for i, tt := range tests {
			ns := fmt.Sprintf("/%d", i)
			srv.Of(ns).UseConnect(auth.Require(tt.verify))
			c := d.WebSocket(t)
			c.Send("40" + ns + "," + tt.payload)
			if tt.want == internal {
				continue // it is logged, which the bubble does not like; see below
			}
			if got := c.Next(); got != "44"+ns+","+tt.want {
				t.Errorf("%s: client sees %s, want %s", tt.name, got, tt.want)
			}
		}
	})
}

func TestErrorOfTheVerifiersOwnIsInternal(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(func(context.Context, string) (*auth.Identity, error) {
			return nil, errors.New("database down")
		}))
		c := d.WebSocket(t)
		c.Send(`40{"token":"x"}`)
		c.Want("44" + internal)
		if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "database down") {
			t.Errorf("not logged:\n%s", log)
		}
	})
}

// join connects by the packet API and returns the socket's id.
func enter(t *testing.T, d siotest.Dialer, token string) *siotest.Client {
	t.Helper()
	c := d.WebSocket(t)
	c.Connect("/", fmt.Sprintf(`{"token":%q}`, token))
	return c
}

// who answers with the subject.
func who(srv *sio.Server) {
	srv.On("who", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) {
		if id := auth.Claims[auth.Identity](c.Socket); id != nil {
			return id.Subject + " " + auth.Subject(c.Socket), nil
		}
		return "nobody", nil
	}))
}

func TestWhereTokensComeFrom(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		who(srv)
		srv.UseConnect(auth.Require(hs256(), auth.FromCookie("session"), auth.FromQuery("token")))
		byHeader, byCookie, byQuery := token(t, claims{"sub": "header"}), token(t, claims{"sub": "cookie"}), token(t, claims{"sub": "query"})
		tests := []struct {
			name   string
			auth   string
			header http.Header
			query  string
			want   string
		}{
			{"payload first", `{"token":"` + token(t, nil) + `"}`, http.Header{"Authorization": {"Bearer " + byHeader}}, byQuery, "ann"},
			{"then header", ``, http.Header{"Authorization": {"bearer " + byHeader}, "Cookie": {"session=" + byCookie}}, byQuery, "header"},
			{"then cookie", `{}`, http.Header{"Cookie": {"a=b; session=" + byCookie}}, byQuery, "cookie"},
			{"then query", ``, http.Header{"Authorization": {"Basic eDp5"}}, byQuery, "query"},
		}
		for _, tt := range tests {
			to := d
			to.Header = tt.header
			to.URL += "?" + url.Values{"token": {tt.query}}.Encode()
			c := to.WebSocket(t)
			c.Connect("/", tt.auth)
			c.Send(`420["who"]`)
			if got, want := c.Next(), `430["`+tt.want+" "+tt.want+`"]`; got != want {
				t.Errorf("%s: %s, want %s", tt.name, got, want)
			}
		}
		bad := d
		bad.Header = http.Header{"Authorization": {"Bearer " + byHeader}}
		c := bad.WebSocket(t)
		c.Send(`40{"token":"bad"}`)
		c.Want("44" + invalid) // a bad token is not made good by another one
	})
}

func TestQueryAndCookieAreNotLookedAtUnlessAsked(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(hs256()))
		d.Header = http.Header{"Cookie": {"token=" + token(t, nil)}}
		d.URL += "?token=" + token(t, nil)
		c := d.WebSocket(t)
		c.Send("40")
		c.Want("44" + missing)
	})
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		who(srv)
		srv.UseConnect(auth.Require(hs256(), auth.AllowAnonymous()))
		srv.On("authenticate", auth.Refresh(hs256()))
		srv.On("secret", sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil }), auth.SignedIn())
		c := d.WebSocket(t)
		c.Send("40" + `{"token":"bad"}`)
		c.Want("44" + invalid)
		c.Connect("/", "")
		c.Send(`420["who"]`, `421["secret"]`)
		c.Want(`430["nobody"]`, `431[{"error":`+missing+`}]`)
		c.Send(`422["authenticate","`+token(t, nil)+`"]`, `423["who"]`, `424["secret"]`)
		c.Want(`432[{"expiresIn":3600}]`, `433["ann ann"]`, `434["ok"]`)
	})
}

func TestSocketDoesNotOutliveItsToken(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		told := make(chan auth.Event, 3)
		srv.UseConnect(auth.Require(hs256(), auth.Observe(func(e auth.Event) { told <- e })))
		left := make(chan sio.Reason, 1)
		srv.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { left <- r })
		start := time.Now()
		c := enter(t, d, token(t, claims{"exp": start.Add(5 * time.Minute).Unix()}))
		c.Want(`42["token_expiring",{"expiresIn":60}]`)
		if at := time.Since(start); at != 4*time.Minute {
			t.Errorf("warned after %v", at)
		}
		c.Want(`42["token_expired",{"code":"token_expired"}]`, "41")
		if at := time.Since(start); at != 5*time.Minute {
			t.Errorf("disconnected after %v", at)
		}
		if r := <-left; r != sio.ReasonServerNamespaceDisconnect {
			t.Errorf("reason %q", r)
		}
		for _, want := range []auth.Kind{auth.Accepted, auth.Expired} {
			if e := <-told; e.Kind != want || e.Subject != "ann" {
				t.Errorf("observed %+v, want %s", e, want)
			}
		}
	})
}

func TestWhenTheWarningComes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		life time.Duration
		opts []auth.Option
		warn time.Duration // after connecting; 0 for never
	}{
		{"a minute before", time.Hour, nil, 59 * time.Minute},
		{"as said", time.Hour, []auth.Option{auth.WarnBefore(10 * time.Minute)}, 50 * time.Minute},
		{"at half of a short life", 40 * time.Second, nil, 20 * time.Second},
		{"never", time.Hour, []auth.Option{auth.WarnBefore(0)}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.UseConnect(auth.Require(hs256(), tt.opts...))
				start := time.Now()
				c := enter(t, d, token(t, claims{"exp": start.Add(tt.life).Unix()}))
				if tt.warn > 0 {
					want := fmt.Sprintf(`42["token_expiring",{"expiresIn":%d}]`, int((tt.life - tt.warn).Seconds()))
					c.Want(want)
					if at := time.Since(start); at != tt.warn {
						t.Errorf("warned after %v, want %v", at, tt.warn)
					}
				}
				c.Want(`42["token_expired",{"code":"token_expired"}]`, "41")
			})
		})
	}
}

func TestLeewayIsTheSocketsToo(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(auth.AnyOf(hs256(auth.Leeway(30*time.Second))), auth.WarnBefore(0)))
		start := time.Now()
		c := enter(t, d, token(t, claims{"exp": start.Add(-10 * time.Second).Unix()}))
		c.Want(`42["token_expired",{"code":"token_expired"}]`, "41")
		if at := time.Since(start); at != 20*time.Second {
			t.Errorf("disconnected after %v, want 20s", at)
		}
	})
}

func TestTimersEndWithTheSocket(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(hs256(), auth.Observe(func(e auth.Event) {
			if e.Kind == auth.Expired {
				t.Error("the token of a socket that had gone expired")
			}
		})))
		c := enter(t, d, token(t, nil))
		c.Close()
		c.UntilClosed()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
	})
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		who(srv)
		srv.UseConnect(auth.Require(hs256()))
		srv.On("authenticate", auth.Refresh(hs256()))
		srv.On("scopes", sio.Reply(func(c *sio.Ctx, _ struct{}) (auth.List, error) {
			return auth.Claims[auth.Identity](c.Socket).Scopes, nil
		}))
		start := time.Now()
		c := enter(t, d, token(t, claims{"exp": start.Add(5 * time.Minute).Unix()}))
		later := token(t, claims{"exp": start.Add(10 * time.Minute).Unix(), "scope": "a b"})
		c.Want(`42["token_expiring",{"expiresIn":60}]`)
		refused := []struct{ argument, want string }{
			{``, missing},
			{`,{}`, missing},
			{`,""`, missing},
			{`,7`, invalid},
			{`,"x"`, invalid},
			{`,"` + token(t, claims{"sub": "bob"}) + `"`, forbidden},
			{`,"` + token(t, claims{"exp": start.Unix()}) + `"`, expired},
		}
		for _, r := range refused {
			c.Send(`420["authenticate"` + r.argument + `]`)
			c.Want(`430[{"error":` + r.want + `}]`)
		}
		c.Send(`421["authenticate",{"token":"`+later+`"}]`, `422["scopes"]`, `423["who"]`)
		c.Want(`431[{"expiresIn":360}]`, `432[["a","b"]]`, `433["ann ann"]`)
		c.Want(`42["token_expiring",{"expiresIn":60}]`)
		if at := time.Since(start); at != 9*time.Minute {
			t.Errorf("warned again after %v", at)
		}
		c.Want(`42["token_expired",{"code":"token_expired"}]`, "41")
		if at := time.Since(start); at != 10*time.Minute {
			t.Errorf("disconnected after %v", at)
		}
	})
}

func TestRefreshWithATokenWithoutEnd(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		who(srv)
		verify := hs256(auth.InsecureNoExpiry())
		srv.UseConnect(auth.Require(verify))
		srv.On("authenticate", auth.Refresh(verify))
		p := d.Connect(t, "/", map[string]string{"token": token(t, nil)})
		p.Ask("authenticate", token(t, claims{"exp": nil})).Bind(&struct{}{})
		time.Sleep(2 * time.Hour)
		var name string
		p.Ask("who").Bind(&name)
		if name != "ann ann" {
			t.Errorf("name %q", name)
		}
	})
}

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
		second.Want(`42["token_revoked",{"code":"token_revoked"}]`, "41")
		must(t, auth.RevokeToken(srv.Namespace, "3")) // bob has another one now
		must(t, auth.RevokeSubject(srv.Namespace, ""))
		must(t, auth.RevokeSubject(srv.Namespace, "ann"))
		first.Want(`42["token_revoked",{"code":"token_revoked"}]`, "41")
		bob.Send(`421["who"]`)
		bob.Want(`431["bob bob"]`)
		must(t, auth.RevokeToken(srv.Namespace, "4"))
		bob.Want(`42["token_revoked",{"code":"token_revoked"}]`, "41")
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type user struct{ Name string }

func (u *user) GetSubject() (string, error) { return u.Name, nil }

func TestFromTheFramework(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.From(func(s *sio.Socket) (*user, error) {
			switch name := s.Handshake().Header.Get("X-User"); name {
			case "":
				return nil, nil
			case "banned":
				return nil, auth.ErrForbidden
			default:
				return &user{name}, nil
			}
		}))
		srv.On("who", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) {
			return auth.Claims[user](c.Socket).Name, nil
		}))
		for name, want := range map[string]string{"": missing, "banned": forbidden} {
			d.Header = http.Header{"X-User": {name}}
			c := d.WebSocket(t)
			c.Send("40")
			c.Want("44" + want)
		}
		d.Header = http.Header{"X-User": {"ann"}}
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`420["who"]`)
		c.Want(`430["ann"]`)
		must(t, auth.RevokeSubject(srv.Namespace, "ann"))
		c.Want(`42["token_revoked",{"code":"token_revoked"}]`, "41")
	})
}

func TestRequireOnEventsIsAMistake(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		who(srv)
		srv.UseEvents(auth.Require(hs256()))
		c := d.WebSocket(t)
		c.Connect("/", "")
		c.Send(`420["who"]`)
		c.Want(`430[{"error":` + internal + `}]`)
		if !strings.Contains(log.String(), "Require and From are for UseConnect") {
			t.Errorf("not logged:\n%s", log)
		}
	})
}

func TestTokensAreNeverLogged(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		o := auth.Logger(log.logger())
		srv.UseConnect(auth.Require(hs256(), o, auth.FromQuery("token"), auth.FromCookie("token")))
		srv.On("authenticate", auth.Refresh(hs256(), o))
		var tokens []string
		try := func(tok string) string {
			tokens = append(tokens, strings.Split(tok, ".")...)
			return tok
		}
		good := try(token(t, nil))
		for _, tok := range []string{
			try(token(t, claims{"exp": 1})), try(tamper(good)), try(token(t, claims{"nbf": 9999999999})),
			try("abcdefghijkl.mnopqrstuvwx.yzabcdefghij"), try(sign(t, jwt.SigningMethodHS384, secret, ann(nil))),
		} {
			c := d.WebSocket(t)
			c.Send(`40{"token":"` + tok + `"}`)
			c.Next()
			byOther := d
			byOther.URL += "?token=" + tok
			byOther.Header = http.Header{"Authorization": {"Bearer " + tok}, "Cookie": {"token=" + tok}}
			c = byOther.WebSocket(t)
			c.Send("40")
			c.Next()
			c = enter(t, d, good)
			c.Send(`420["authenticate","`+tok+`"]`, `421["authenticate",{"token":"`+tok+`"}]`)
			c.Next()
			c.Next()
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		text := log.String()
		if !strings.Contains(text, "token expired") {
			t.Errorf("the log is not what it should be:\n%s", text)
		}
		for _, part := range tokens {
			if len(part) > 8 && strings.Contains(text, part) {
				t.Errorf("%q is in the log:\n%s", part, text)
			}
		}
	})
}

func TestPanicOfAnObserver(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(hs256(), auth.WarnBefore(0), auth.Logger(log.logger()),
			auth.Observe(func(auth.Event) { panic("a bug") })))
		c := enter(t, d, token(t, nil))
		c.Want(`42["token_expired",{"code":"token_expired"}]`, "41")
		if n := strings.Count(log.String(), "auth.Observe failed"); n != 2 {
			t.Errorf("logged %d times:\n%s", n, log)
		}
	})
}
