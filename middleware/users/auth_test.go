package users_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
	"github.com/sioplug/sioplug/middleware/users"
)

var secret = []byte("0123456789abcdef0123456789ABCDEF")

// token returns a token of a user, for an hour.
func token(t *testing.T, user string) string {
	t.Helper()
	claims := jwt.RegisteredClaims{Subject: user, ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	must(t, err)
	return text
}

// Package auth tells this one who the user of a socket is, also one who signs in later, whose
// token expires, and who is revoked.
func TestUsersOfPackageAuth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		verify := auth.HS256[jwt.RegisteredClaims](secret)
		srv, d := sio.New(nil), new(diary)
		srv.UseConnect(auth.Require(verify, auth.AllowAnonymous()))
		srv.On("authenticate", auth.Refresh(verify))
		people := users.New(srv.Namespace, auth.Subject, &users.Options{
			Grace:    -1,
			OnOnline: func(id string) { d.note("+" + id) }, OnOffline: func(id string) { d.note("-" + id) },
		})
		dial := siotest.Pipes(t, srv)
		ann := dial.Connect(t, "/", map[string]string{"token": token(t, "ann")})
		later := dial.Connect(t, "/", nil)
		d.want(t, "+ann")
		later.Emit("authenticate", token(t, "bob"))
		d.want(t, "+bob")
		later.Emit("authenticate", token(t, "bob")) // once more
		ann.Emit("authenticate", token(t, "bob"))   // is refused
		d.want(t)
		must(t, people.User("bob").Emit("mail"))
		later.Expect("mail")
		must(t, auth.RevokeSubject(srv.Namespace, "bob"))
		d.want(t, "-bob")
		time.Sleep(time.Hour)
		d.want(t, "-ann") // the token has expired
		must(t, srv.Shutdown(context.Background()))
	})
}
