package auth_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

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

// Who sends something has said something, whatever a verifier calls it.
func TestTokenThatAVerifierDoesNotFindIsNotAnonymous(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(func(context.Context, string) (*auth.Identity, error) {
			return nil, auth.ErrMissing
		}, auth.AllowAnonymous()))
		c := d.WebSocket(t)
		c.Send(`40{"token":"x"}`)
		c.Want("44" + missing)
		c.Connect("/", "")
	})
}
