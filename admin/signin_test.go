package sioadmin_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sioadmin "github.com/sioplug/sioplug/admin"
	sio "github.com/sioplug/sioplug/core"
)

const refused = `44/admin,{"message":"invalid credentials"}`

// The session comes behind the answer to CONNECT (ADM-UI-7, ECO-AD-2, ECO-AD-4). With it,
// the page needs no password when it is loaded again.
func TestSignIn(t *testing.T) {
	t.Parallel()
	bubble(t, options(sioadmin.Development), func(t *testing.T, w *world) {
		p := w.open(t, credentials(username, password))
		var names []string
		var session string
		for range 4 {
			e := p.next()
			if e.name == "session" {
				session, _ = e.args[0].(string)
			}
			names = append(names, e.name)
		}
		if got, want := fmt.Sprint(names), "[session config server_stats all_sockets]"; got != want {
			t.Errorf("the page got %s, want %s", got, want)
		}
		again := w.open(t, fmt.Sprintf(`{"sessionId":%q}`, session))
		if got, want := fmt.Sprint(again.await("config")),
			"[map[supportedFeatures:[EMIT JOIN LEAVE DISCONNECT MJOIN MLEAVE MDISCONNECT AGGREGATED_EVENTS ALL_EVENTS]]]"; got != want {
			t.Errorf("the configuration is %s, want %s", got, want)
		}
	})
}

// Whatever a client sends instead of the credentials gets one answer (ECO-AD-3).
func TestSignInIsRefused(t *testing.T) {
	t.Parallel()
	for name, auth := range map[string]string{
		"nothing":                        "",
		"a wrong password":               credentials(username, "x"),
		"no password":                    `{"username":"admin"}`,
		"an empty password":              credentials(username, ""),
		"a wrong name":                   credentials("root", password),
		"no name":                        `{"password":"open sesame"}`,
		"a password that is no text":     `{"username":"admin","password":{"a":1}}`,
		"a name that is no text":         `{"username":["admin"],"password":"open sesame"}`,
		"an unknown session":             `{"sessionId":"0123456789abcdef"}`,
		"a session that is no text":      `{"sessionId":{"a":1}}`,
		"an empty session":               `{"sessionId":""}`,
		"a wrong session and a password": `{"sessionId":"x","username":"admin","password":"open sesame"}`,
		"a long password":                credentials(username, password+strings.Repeat("x", 10_000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, options(sioadmin.Production), func(t *testing.T, w *world) {
				c := w.d.WebSocket(t)
				c.Send("40/admin," + auth)
				c.Want(refused)
				c.Send(`42/admin,["_disconnect","/",true]`)
				if rest := c.UntilClosed(); len(rest) > 0 {
					t.Errorf("got %q", rest)
				}
			})
		})
	}
}

// A session of another key, of another password or one that has ended is as good as none.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	key := []byte(strings.Repeat("k", 32))
	with := func(change func(*sioadmin.Options)) sioadmin.Options {
		o := options(sioadmin.Production)
		o.SessionKey, o.SessionDuration = key, time.Minute // numbers are sent all the time
		change(&o)
		return o
	}
	for name, tc := range map[string]struct {
		other sioadmin.Options
		after time.Duration
		want  bool
	}{
		"another server with the key": {other: with(func(*sioadmin.Options) {}), want: true},
		"just before the end":         {other: with(func(*sioadmin.Options) {}), after: time.Minute - 2*time.Second, want: true},
		"after the end":               {other: with(func(*sioadmin.Options) {}), after: time.Minute},
		"another key":                 {other: with(func(o *sioadmin.Options) { o.SessionKey = []byte(strings.Repeat("l", 32)) })},
		"a random key":                {other: with(func(o *sioadmin.Options) { o.SessionKey = nil })},
		"another password": {other: with(func(o *sioadmin.Options) {
			o.PasswordHash = hashOf("other")
		})},
		"another name": {other: with(func(o *sioadmin.Options) { o.Username = "root" })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				one, other := newWorld(t, sio.Options{}, with(func(*sioadmin.Options) {})), newWorld(t, sio.Options{}, tc.other)
				p := one.open(t, credentials(username, password))
				session, _ := p.await("session")[0].(string)
				p.Close()
				time.Sleep(tc.after)
				c := other.d.WebSocket(t)
				c.Send(fmt.Sprintf(`40/admin,{"sessionId":%q}`, session))
				if got := c.Next(); (got != refused) != tc.want {
					t.Errorf("the session got %s", got)
				}
			})
		})
	}
}

// Attempts are limited, those with the right password as well. Sessions are not.
func TestAttemptsAreLimited(t *testing.T) {
	t.Parallel()
	var refusals []string
	so := sio.Options{Observers: []*sio.Observer{{GuardRefused: func(i sio.GuardRefusedInfo) {
		refusals = append(refusals, i.Guard+" "+i.Rule+" "+i.Code+" "+i.Event)
	}}}}
	bubbleWith(t, so, options(sioadmin.Production), func(t *testing.T, w *world) {
		p := w.open(t, credentials(username, password))
		session, _ := p.await("session")[0].(string)
		c := w.d.WebSocket(t)
		for range 4 {
			c.Send("40/admin," + credentials(username, "guess"))
			c.Want(refused)
		}
		for range 2 {
			c.Send("40/admin," + credentials(username, password))
			c.Want(`44/admin,{"message":"too many attempts to sign in: try again in 11 seconds"}`)
		}
		w.open(t, fmt.Sprintf(`{"sessionId":%q}`, session)).await("config")
		time.Sleep(11 * time.Second)
		c.Connect("/admin", credentials(username, password))
		if got, want := strings.Join(refusals, "\n"), strings.TrimSpace(strings.Repeat("admin sign-in invalid_credentials connect\n", 4)+
			strings.Repeat("admin sign-in too_many_attempts connect\n", 2)); got != want {
			t.Errorf("observers were told\n%s\nwant\n%s", got, want)
		}
	})
}

// Who recovers a session, which skips the connect chain, signs in again.
func TestRecoveryDoesNotSkipTheSignIn(t *testing.T) {
	t.Parallel()
	so := sio.Options{ConnectionStateRecovery: &sio.Recovery{}}
	bubbleWith(t, so, options(sioadmin.Production), func(t *testing.T, w *world) {
		c := w.d.WebSocket(t)
		c.Send("40/admin," + credentials(username, password))
		reply := c.Next()
		_, pid, ok := strings.Cut(reply, `"pid":"`)
		if !ok {
			t.Fatalf("no pid in %s", reply)
		}
		pid, _, _ = strings.Cut(pid, `"`)
		c.Abort()
		synctest.Wait()
		back := w.d.WebSocket(t)
		back.Send(fmt.Sprintf(`40/admin,{"pid":%q,"offset":"1"}`, pid))
		back.Want(refused)
	})
}

func TestNoAuth(t *testing.T) {
	t.Parallel()
	bubble(t, sioadmin.Options{NoAuth: true, Mode: sioadmin.Development}, func(t *testing.T, w *world) {
		p := w.open(t, "")
		if e := p.next(); e.name != "config" {
			t.Errorf("the first event is %s", e)
		}
	})
}
