package auth_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// An account is what tokens of many issuers say: an id of their own, and no sub.
type account struct {
	jwt.RegisteredClaims

	UserID int `json:"id"`
}

func accountID(a *account) string {
	if a.UserID == 0 {
		return ""
	}
	return strconv.Itoa(a.UserID)
}

// accounts serves a namespace for such tokens, whose event "authenticate" refreshes.
func accounts(t *testing.T, opts ...auth.Option) *sio.Server {
	t.Helper()
	srv := sio.New(nil)
	verify := auth.HS256[account](secret)
	srv.UseConnect(auth.Require(verify, append(opts, silent())...))
	srv.On("authenticate", auth.Refresh(verify))
	srv.On("who", sio.Reply(func(c *sio.Ctx, _ struct{}) (int, error) { return auth.Claims[account](c.Socket).UserID, nil }))
	return srv
}

func accountToken(t *testing.T, changes claims) string {
	t.Helper()
	return token(t, merge(claims{"sub": nil}, changes))
}

// Two tokens without a subject are not of the same user.
func TestATokenWithoutSubjectRefreshedAnotherUsersSocket(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		first, second claims
		opts          []auth.Option
		want          int
	}{
		{"no subject", claims{"id": 1}, claims{"id": 2}, nil, 1},
		{"the same id, but no subject", claims{"id": 1}, claims{"id": 1, "n": 2}, nil, 1},
		{"a subject becomes none", claims{"id": 1, "sub": "ann"}, claims{"id": 2}, nil, 1},
		{"none becomes a subject", claims{"id": 1}, claims{"id": 2, "sub": "ann"}, nil, 1},
		{"empty subjects", claims{"id": 1, "sub": ""}, claims{"id": 2, "sub": ""}, nil, 1},
		{"another issuer", claims{"id": 1, "sub": "ann", "iss": "a"}, claims{"id": 2, "sub": "ann", "iss": "b"}, nil, 1},
		{"the same subject", claims{"id": 1, "sub": "ann"}, claims{"id": 2, "sub": "ann"}, nil, 2},
		{"SubjectOf, the same", claims{"id": 1}, claims{"id": 1, "jti": "2"}, []auth.Option{auth.SubjectOf(accountID)}, 1},
		{"SubjectOf, another", claims{"id": 1, "sub": "x"}, claims{"id": 2, "sub": "x"}, []auth.Option{auth.SubjectOf(accountID)}, 1},
		{"SubjectOf, none", claims{"sub": "x"}, claims{"id": 2, "sub": "x"}, []auth.Option{auth.SubjectOf(accountID)}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := accounts(t, tt.opts...)
			p := siotest.Connect(t, srv, "/", map[string]string{"token": accountToken(t, tt.first)})
			p.Ask("authenticate", accountToken(t, tt.second))
			var got int
			p.Ask("who").Bind(&got)
			if got != tt.want {
				t.Errorf("the socket is that of user %d, want %d", got, tt.want)
			}
		})
	}
}

// A number is a subject as well as a text, and its zero value is none.
func TestSubjectOfNumbers(t *testing.T) {
	t.Parallel()
	type level int
	for want, opt := range map[string]auth.Option{
		"7":   auth.SubjectOf(func(a *account) int { return a.UserID }),
		"ann": auth.SubjectOf(func(a *account) string { return a.Subject }),
		"-7":  auth.SubjectOf(func(a *account) level { return level(-a.UserID) }),
		"8":   auth.SubjectOf(func(a *account) uint64 { return uint64(a.UserID) + 1 }),
		"":    auth.SubjectOf(func(*account) int64 { return 0 }),
	} {
		srv := accounts(t, opt)
		srv.On("subject", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) { return auth.Subject(c.Socket), nil }))
		p := siotest.Connect(t, srv, "/", map[string]string{"token": accountToken(t, claims{"id": 7, "sub": "ann"})})
		got := "?"
		if p.Ask("subject").Bind(&got); got != want {
			t.Errorf("subject %q, want %q", got, want)
		}
	}
}

// An operator has to know that tokens have no subject, once, with the remedy.
func TestTokensWithoutSubjectAreLogged(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		claims claims
		opts   []auth.Option
		want   int
	}{
		"none":      {claims{"id": 7}, nil, 1},
		"blank":     {claims{"id": 7, "sub": "\t "}, nil, 1},
		"subject":   {claims{"id": 7, "sub": "ann"}, nil, 0},
		"SubjectOf": {claims{"id": 7}, []auth.Option{auth.SubjectOf(accountID)}, 0},
	} {
		log := new(logbook)
		srv := sio.New(nil)
		srv.UseConnect(auth.Require(auth.HS256[account](secret), append(tt.opts, auth.Logger(log.logger()))...))
		for range 2 {
			siotest.Connect(t, srv, "/", map[string]string{"token": accountToken(t, tt.claims)})
		}
		if got := strings.Count(log.String(), "auth.SubjectOf"); got != tt.want {
			t.Errorf("%s: logged %d times, want %d:\n%s", name, got, tt.want, log)
		}
	}
}

// With SubjectOf, what goes by the subject finds users whose tokens have no sub.
func TestSubjectOf(t *testing.T) {
	t.Parallel()
	srv := accounts(t, auth.SubjectOf(accountID))
	srv.On("subject", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) { return auth.Subject(c.Socket), nil }))
	p := siotest.Connect(t, srv, "/", map[string]string{"token": accountToken(t, claims{"id": 7})})
	var got string
	if p.Ask("subject").Bind(&got); got != "7" {
		t.Errorf("subject %q", got)
	}
	must(t, auth.RevokeSubject(srv.Namespace, "8"))
	must(t, auth.RevokeSubject(srv.Namespace, ""))
	if p.Ask("subject").Bind(&got); got != "7" {
		t.Errorf("subject %q after somebody else was revoked", got)
	}
	must(t, auth.RevokeSubject(srv.Namespace, "7"))
	p.Expect(auth.EventRevoked)
	p.Disconnected()
}

// Revoking nobody does not reach those who have no subject, nor a room of that name.
func TestRevokingTheEmptySubjectDisconnectedSomebody(t *testing.T) {
	t.Parallel()
	srv := accounts(t)
	srv.OnConnect(func(c *sio.Ctx) error { return c.Join("auth:sub:", "auth:jti:") })
	p := siotest.Connect(t, srv, "/", map[string]string{"token": accountToken(t, claims{"id": 1, "jti": nil})})
	must(t, auth.RevokeSubject(srv.Namespace, ""))
	must(t, auth.RevokeToken(srv.Namespace, ""))
	var got int
	if p.Ask("who").Bind(&got); got != 1 {
		t.Errorf("user %d", got)
	}
}

// SubjectOf for other claims is a mistake that shows at start.
func TestSubjectOfOtherClaims(t *testing.T) {
	t.Parallel()
	defer func() {
		if msg, _ := recover().(string); !strings.Contains(msg, "SubjectOf is for *auth_test.account") {
			t.Errorf("panic %q", msg)
		}
	}()
	auth.Require(auth.HS256[auth.Identity](secret), auth.SubjectOf(accountID))
}

// A visitor's zero value, which middleware has set, was taken for a user.
func TestAZeroValueIsNobody(t *testing.T) {
	t.Parallel()
	nobody := func(name string, got any, isNil bool, err error) {
		if !isNil || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	u, err := auth.As[user](user{})
	nobody("user{}", u, u == nil, err)
	u, err = auth.As[user](&user{})
	nobody("&user{}", u, u == nil, err)
	u, err = auth.As[user]((*user)(nil))
	nobody("nil *user", u, u == nil, err)
	s, err := auth.As[string]("")
	nobody("empty string", s, s == nil, err)
	n, err := auth.As[int](0)
	nobody("0", n, n == nil, err)
	e, err := auth.As[struct{}](struct{}{})
	nobody("struct{}{}", e, e == nil, err)
	m, err := auth.As[map[string]string](map[string]string{})
	nobody("empty map", m, m == nil, err)
	v, err := auth.As[any]("")
	nobody("empty string as any", v, v == nil, err)
	zero := &user{}
	pp, err := auth.As[*user](zero)
	nobody("pointer to user{}", pp, pp == nil, err)
	pp, err = auth.As[*user](&zero)
	nobody("pointer to a pointer to user{}", pp, pp == nil, err)
	u, err = auth.As[user]("")
	nobody("empty string for a user", u, u == nil, err)
	a, err := auth.As[account](&jwt.Token{Valid: true, Claims: jwt.MapClaims{}})
	nobody("empty claims", a, a == nil, err)

	if u, err = auth.As[user](user{"ann"}); err != nil || u.Name != "ann" {
		t.Errorf("%v, %v", u, err)
	}
}

// From does not let a zero value in, either, whoever made it.
func TestFromLetAZeroValueIn(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.From(func(*sio.Socket) (*user, error) { return &user{}, nil }))
		c := d.WebSocket(t)
		c.Send("40")
		c.Want("44" + missing)
	})
}

// The JWT middleware of Echo and Fiber leaves MapClaims unless it is told otherwise.
func TestMapClaimsOfAFramework(t *testing.T) {
	t.Parallel()
	left := &jwt.Token{Valid: true, Claims: jwt.MapClaims{"id": 7.0, "sub": "ann", "exp": 4e9}}
	type others map[string]any // of another version of the library
	for name, v := range map[string]any{"token": left, "claims": left.Claims, "map": others(jwt.MapClaims{"id": 7, "sub": "ann", "exp": 4e9})} {
		a, err := auth.As[account](v)
		if err != nil || a.UserID != 7 || a.Subject != "ann" || a.ExpiresAt == nil {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	if a, err := auth.As[account](&jwt.Token{Valid: true, Claims: jwt.MapClaims{"id": "x"}}); err == nil {
		t.Errorf("claims that do not fit: %+v", a)
	}
	if m, err := auth.As[jwt.MapClaims](left); err != nil || (*m)["sub"] != "ann" {
		t.Errorf("%v, %v", m, err)
	}
}
