package auth_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

const tokenExpired = `42["token_expired",{"code":"token_expired"}]`

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
		c.Want(tokenExpired, "41")
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
				c.Want(tokenExpired, "41")
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
		c.Want(tokenExpired, "41")
		if at := time.Since(start); at != 20*time.Second {
			t.Errorf("disconnected after %v, want 20s", at)
		}
	})
}

// Thousands of sockets come and go, in every way. Afterwards nothing is left of
// them: no goroutine, which the bubble would wait for, and no timer that fires.
func TestNothingIsLeftOfSockets(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*siotest.Client){
		"close":      func(c *siotest.Client) { c.Close(); c.UntilClosed() },
		"abort":      func(c *siotest.Client) { c.Abort() },
		"disconnect": func(c *siotest.Client) { c.Send("41") },
		"shutdown":   func(*siotest.Client) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.UseConnect(auth.Require(hs256(), auth.Observe(func(e auth.Event) {
					if e.Kind == auth.Expired {
						t.Error("the token of a socket that had gone expired")
					}
				})))
				srv.On("authenticate", auth.Refresh(hs256()))
				tok := token(t, nil)
				for range 500 {
					c := enter(t, d, tok)
					answer(t, c, `["authenticate","`+tok+`"]`, `[{"expiresIn":3600}]`)
					leave(c)
				}
				synctest.Wait()
				if name == "shutdown" {
					must(t, srv.Shutdown(context.Background()))
				}
				time.Sleep(2 * time.Hour)
				synctest.Wait()
			})
		})
	}
}

// A timer must not keep a socket in memory that has gone: tokens are good for long.
func TestSocketsThatHaveGoneAreForgotten(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		sockets := make(chan weak.Pointer[sio.Socket], 1)
		srv.UseConnect(auth.Require(hs256()))
		srv.OnConnect(func(c *sio.Ctx) error { sockets <- weak.Make(c.Socket); return nil })
		c := enter(t, d, token(t, nil))
		s := <-sockets
		c.Close()
		c.UntilClosed()
		for range 100 {
			synctest.Wait()
			if runtime.GC(); s.Value() == nil {
				return
			}
		}
		t.Error("it is still there")
	})
}

// A handler that runs on after the end of its socket keeps the timer from being
// stopped, but not from doing nothing.
func TestTokenThatExpiresAfterTheSocketButBeforeItsHandlers(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var a audit
		srv.UseConnect(auth.Require(hs256(), a.observe()))
		srv.On("slow", func(*sio.Ctx) error { time.Sleep(2 * time.Hour); return nil })
		c := enter(t, d, token(t, nil))
		c.Send(`42["slow"]`)
		synctest.Wait()
		c.Abort()
		time.Sleep(3 * time.Hour)
		a.want(t, "accepted ann")
	})
}

// Whatever the end of a token is, a timer has to be able to wait for it.
func TestTokensWithEndsInTheFarFuture(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		who(srv)
		srv.UseConnect(auth.Require(hs256()))
		for _, exp := range []string{"99999999999", "1e15"} {
			c := enter(t, d, sealed(t, `{"sub":"ann","exp":`+exp+`}`))
			answer(t, c, `["who"]`, `["ann ann"]`)
			c.Close()
			c.UntilClosed()
		}
		c := d.WebSocket(t)
		for _, exp := range []string{"-1", "1e300", "-1e300", "0", "9223372036854775807", "-9223372036854775808"} {
			c.Send(`40{"token":"` + sealed(t, `{"sub":"ann","exp":`+exp+`}`) + `"}`)
			if got := c.Next(); got != "44"+expired && got != "44"+invalid {
				t.Errorf("exp %s: %s", exp, got)
			}
		}
	})
}
