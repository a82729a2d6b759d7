package auth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

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
		answer(t, c, `["who"]`, `["ann"]`)
		must(t, auth.RevokeSubject(srv.Namespace, "ann"))
		c.Want(tokenRevoked, "41")
	})
}

// What the framework has let pass, some minutes ago or with some leeway, may have
// ended.
func TestFromAToken(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		opened := time.Now()
		srv.UseConnect(auth.From(func(*sio.Socket) (*auth.Identity, error) {
			return &auth.Identity{RegisteredClaims: jwt.RegisteredClaims{
				Subject: "ann", ID: "7", ExpiresAt: jwt.NewNumericDate(opened.Add(time.Minute)),
			}}, nil
		}, auth.WarnBefore(0)))
		c := d.WebSocket(t)
		c.Connect("/", "")
		synctest.Wait() // the socket may be found by its token
		must(t, auth.RevokeToken(srv.Namespace, "7"))
		c.Want(tokenRevoked, "41")
		c.Connect("/", "")
		c.Want(tokenExpired, "41")
		if at := time.Since(opened); at != time.Minute {
			t.Errorf("disconnected after %v", at)
		}
		c.Send("40")
		c.Want("44" + expired)
	})
}

func TestFromAnErrorOfTheServer(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.From(func(*sio.Socket) (*user, error) { return auth.As[user]("just a name") }))
		c := d.WebSocket(t)
		c.Send("40")
		c.Want("44" + internal)
		if !strings.Contains(log.String(), "As is for *auth_test.user, but the middleware has left string") {
			t.Errorf("not logged:\n%s", log)
		}
	})
}

func TestAs(t *testing.T) {
	t.Parallel()
	u := &user{"ann"}
	tokenWith := func(c jwt.Claims, valid bool) *jwt.Token { return &jwt.Token{Claims: c, Valid: valid} }
	id := &auth.Identity{RegisteredClaims: jwt.RegisteredClaims{Subject: "ann"}}
	users := map[string]struct {
		left any
		want *user
		ok   bool
	}{
		"pointer":     {u, u, true},
		"value":       {*u, u, true},
		"nothing":     {nil, nil, true},
		"nil pointer": {(*user)(nil), nil, true},
		"nil token":   {(*jwt.Token)(nil), nil, true},
		"a name":      {"ann", nil, false},
		"another":     {id, nil, false},
	}
	for name, tt := range users {
		got, err := auth.As[user](tt.left)
		if (err == nil) != tt.ok || (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := auth.As[auth.Identity](tokenWith(id, true)); got != id || err != nil {
		t.Errorf("token: %v, %v", got, err)
	}
	if got, err := auth.As[jwt.MapClaims](tokenWith(jwt.MapClaims{"sub": "ann"}, true)); err != nil || (*got)["sub"] != "ann" {
		t.Errorf("token with a map: %v, %v", got, err)
	}
	if got, err := auth.As[auth.Identity](tokenWith(id, false)); got != nil || !errors.Is(err, auth.ErrInvalid) {
		t.Errorf("token that nobody has verified: %v, %v", got, err)
	}
	if got, err := auth.As[auth.Identity](tokenWith(nil, true)); got != nil || err != nil {
		t.Errorf("token without claims: %v, %v", got, err)
	}
}
