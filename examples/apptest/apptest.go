// Package apptest tests the examples: whatever their framework, they are the same
// application.
package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/signin"
)

// An Example is one of the applications.
type Example struct {
	// Serve serves the application until the test ends, and returns its address,
	// such as "http://127.0.0.1:3000".
	Serve func(t *testing.T, srv *sio.Server, room *chat.Chat, s *signin.Sessions) string
}

const handshake = "/socket.io/?EIO=4&transport=polling"

// Run tests an example whose routes are in the file router.go of the test's folder.
func Run(t *testing.T, e Example) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *app){
		"strangers are turned away":              strangers,
		"sign-in":                                signIn,
		"a name is taken while somebody has it":  taken,
		"sign-out ends the user's sockets":       signOut,
		"sockets need tokens of their own":       tokens,
		"other origins are turned away":          otherOrigins,
		"announcements are checked":              announcements,
		"a REST call reaches the room":           restCall,
		"who posts too much has to wait":         tooMuch,
		"users stay apart on kept connections":   hammer,
		"the sign-in page quotes the real code":  quotes,
		"the pages' headers allow no foreigners": headers,
	} {
		t.Run(name, func(t *testing.T) { test(t, start(t, e)) })
	}
}

// An app is an example that runs.
type app struct {
	url      string
	sessions *signin.Sessions
	client   *http.Client // which follows no redirects
}

func start(t *testing.T, e Example) *app {
	t.Helper()
	sessions, err := signin.Open("", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	srv := sio.New(nil)
	a := &app{sessions: sessions, client: &http.Client{
		Transport:     new(http.Transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	sessions.Guard(srv.Namespace)
	a.url = e.Serve(t, srv, chat.Register(srv, signin.UserOf), sessions)
	t.Cleanup(func() { // before what Serve has cleaned up
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		a.client.CloseIdleConnections()
	})
	return a
}

// An answer is what came back for a request.
type answer struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    string
}

// do sends a request, with headers that are given as names and values in turn.
func (a *app) do(t *testing.T, method, path, body string, cookie *http.Cookie, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if cookie != nil {
		req.AddCookie(cookie)
	}
	res, err := a.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, res.Cookies(), b.String()}
}

// login posts the sign-in form.
func (a *app) login(t *testing.T, name string) answer {
	t.Helper()
	return a.do(t, http.MethodPost, "/login", url.Values{"name": {name}}.Encode(), nil,
		"Content-Type", "application/x-www-form-urlencoded")
}

// cookie returns the cookie of somebody who has signed in.
func (a *app) cookie(t *testing.T, name string) *http.Cookie {
	t.Helper()
	got := a.login(t, name)
	if got.status != http.StatusSeeOther || len(got.cookies) != 1 {
		t.Fatalf("%s's sign-in: %d with %d cookies", name, got.status, len(got.cookies))
	}
	return got.cookies[0]
}

func (a *app) announce(t *testing.T, cookie *http.Cookie, room, body string) answer {
	t.Helper()
	return a.do(t, http.MethodPost, "/api/rooms/"+room+"/announce", body, cookie, "Content-Type", "application/json")
}

// connect connects somebody who has signed in, and joins a room.
func (a *app) connect(t *testing.T, cookie *http.Cookie, room string) (socket *siotest.Peer, history []chat.Message) {
	t.Helper()
	socket = a.dial(cookie).Connect(t, "/", a.grant(t, cookie))
	var joined struct{ Messages []chat.Message }
	socket.Ask("join", map[string]string{"room": room}).Bind(&joined)
	return socket, joined.Messages
}

func (a *app) dial(cookie *http.Cookie) siotest.Dialer {
	return siotest.Dialer{URL: a.url + "/socket.io/", Header: http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}}}
}

// grant asks for a token for a socket, as the page does.
func (a *app) grant(t *testing.T, cookie *http.Cookie) (g signin.Grant) {
	t.Helper()
	got := a.do(t, http.MethodPost, "/api/token", "", cookie)
	if err := json.Unmarshal([]byte(got.body), &g); err != nil || got.status != http.StatusOK || g.Token == "" {
		t.Fatalf("asking for a token: %d %s", got.status, got.body)
	}
	return g
}
