package auth_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

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

// Claims of another type would be nil for handlers.
func TestRefreshWithClaimsOfAnotherType(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		who(srv)
		srv.UseConnect(auth.Require(hs256()))
		srv.On("authenticate", auth.Refresh(auth.HS256[Tenant](secret)))
		c := enter(t, d, token(t, nil))
		answer(t, c, `["authenticate","`+token(t, nil)+`"]`, failed)
		answer(t, c, `["who"]`, `["ann ann"]`)
		if !strings.Contains(log.String(), "Refresh is for *auth_test.Tenant, but the socket has *auth.Identity") {
			t.Errorf("not logged:\n%s", log)
		}
	})
}

func TestRefreshWithoutRequire(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("authenticate", auth.Refresh(hs256()))
		c := d.WebSocket(t)
		c.Connect("/", "")
		answer(t, c, `["authenticate","`+token(t, nil)+`"]`, failed)
		if !strings.Contains(log.String(), "give it auth.Require") {
			t.Errorf("not logged:\n%s", log)
		}
	})
}

// A verifier takes its time, and the old token ends meanwhile.
func TestRefreshThatComesTooLate(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var a audit
		srv.UseConnect(auth.Require(hs256(), auth.WarnBefore(0), a.observe()))
		srv.On("authenticate", auth.Refresh(auth.With(hs256(), func(context.Context, *auth.Identity) error {
			time.Sleep(time.Minute)
			return nil
		})))
		c := enter(t, d, token(t, claims{"exp": time.Now().Add(30 * time.Second).Unix()}))
		c.Send(`420["authenticate","` + token(t, nil) + `"]`)
		c.Want(tokenExpired, "41")
		time.Sleep(2 * time.Hour) // nothing rings again
		a.want(t, "accepted ann", "expired ann token_expired", "refused ann")
	})
}

// While a socket is connected its claims may change, and others look at them.
func TestClaimsWhileTheyAreRefreshed(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		sockets := make(chan *sio.Socket, 1)
		srv.UseConnect(auth.Require(hs256()))
		srv.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
		srv.On("authenticate", auth.Refresh(hs256()))
		c := enter(t, d, token(t, nil))
		s := <-sockets
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for range 1000 {
					if auth.Claims[auth.Identity](s).Subject != "ann" || auth.Subject(s) != "ann" {
						t.Error("the subject changed")
					}
				}
			})
		}
		for i := range 50 {
			answer(t, c, `["authenticate","`+token(t, claims{"jti": fmt.Sprint(i)})+`"]`, `[{"expiresIn":3600}]`)
		}
		readers.Wait()
	})
}
