package apptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/signin"
)

func strangers(t *testing.T, a *app) {
	ann := chat.User{ID: "1", Name: "Ann"}
	others, err := signin.Open("", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for name, cookie := range map[string]*http.Cookie{
		"no session": nil,
		"expired":    {Name: signin.CookieName, Value: a.sessions.Session(ann, time.Now())},
		"forged":     others.Cookie(ann, false),
		"garbage":    {Name: signin.CookieName, Value: "x.y"},
	} {
		for _, tt := range []struct {
			method, path string
			status       int
		}{
			{http.MethodGet, handshake, http.StatusUnauthorized},
			{http.MethodGet, "/socket.io/socket.io.min.js", http.StatusUnauthorized},
			{http.MethodGet, "/api/rooms", http.StatusUnauthorized},
			{http.MethodPost, "/api/token", http.StatusUnauthorized},
			{http.MethodPost, "/api/rooms/general/announce", http.StatusUnauthorized},
			{http.MethodGet, "/", http.StatusSeeOther},
			{http.MethodGet, "/login", http.StatusOK},
			{http.MethodGet, "/healthz", http.StatusOK},
			{http.MethodGet, "/assets/app.js", http.StatusOK},
		} {
			if got := a.do(t, tt.method, tt.path, "", cookie); got.status != tt.status {
				t.Errorf("%s: %s %s: %d %s, want %d", name, tt.method, tt.path, got.status, got.body, tt.status)
			}
		}
	}
}

func signIn(t *testing.T, a *app) {
	if got := a.login(t, "  "); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "Please enter a name") {
		t.Errorf("without a name: %d", got.status)
	}
	if got := a.login(t, strings.Repeat("x", 20<<10)); got.status < 400 {
		t.Errorf("with a name of 20 KiB: %d", got.status)
	}
	cookie := a.cookie(t, " Ann  Lindqvist ")
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.MaxAge <= 0 {
		t.Errorf("the cookie is %v, want HttpOnly, SameSite=Lax, Path=/ and a Max-Age", cookie)
	}
	if got := a.do(t, http.MethodGet, "/", "", cookie); got.status != http.StatusOK || !strings.Contains(got.body, "Ann Lindqvist") {
		t.Errorf("the chat's page: %d", got.status)
	}
	// Where pages go whose sockets a sign-out has ended, possibly before the browser
	// knows that its cookie is gone.
	if got := a.do(t, http.MethodGet, "/login", "", cookie); got.status != http.StatusOK {
		t.Errorf("the sign-in page for whom it has let in: %d, want 200", got.status)
	}
	if got := a.do(t, http.MethodGet, handshake, "", cookie); got.status != http.StatusOK || !strings.HasPrefix(got.body, `0{"sid"`) {
		t.Errorf("the handshake: %d %s", got.status, got.body)
	}
	if got := a.do(t, http.MethodGet, "/api/rooms", "", cookie); got.status != http.StatusOK || !strings.Contains(got.body, `"general"`) {
		t.Errorf("the rooms: %d %s", got.status, got.body)
	}
	if got := a.do(t, http.MethodGet, "/nothing", "", cookie); got.status != http.StatusNotFound {
		t.Errorf("what is not there: %d %s, want 404", got.status, got.body)
	}
	got := a.do(t, http.MethodPost, "/logout", "", cookie)
	if got.status != http.StatusSeeOther || len(got.cookies) != 1 || got.cookies[0].MaxAge >= 0 {
		t.Errorf("sign-out: %d %v", got.status, got.cookies)
	}
}

func taken(t *testing.T, a *app) {
	cookie := a.cookie(t, "Ann")
	a.cookie(t, "Ann") // nobody is connected yet
	a.connect(t, cookie, "general")
	if got := a.login(t, "ann"); got.status != http.StatusConflict || !strings.Contains(got.body, "is here already") {
		t.Errorf("a second Ann: %d", got.status)
	}
}

func signOut(t *testing.T, a *app) {
	cookie := a.cookie(t, "Ann")
	first, _ := a.connect(t, cookie, "general")
	second, _ := a.connect(t, cookie, "general")
	other, _ := a.connect(t, a.cookie(t, "Ben"), "general")
	grant := a.grant(t, cookie)
	a.do(t, http.MethodPost, "/logout", "", cookie)
	for _, socket := range []*siotest.Peer{first, second} {
		if reason := socket.Disconnected(); reason != siotest.ServerDisconnect {
			t.Errorf("Ann was disconnected by %s", reason)
		}
	}
	other.Ask("join", map[string]string{"room": "general"}).Bind() // Ben was not
	if _, err := a.dial(a.cookie(t, "Cleo")).TryConnect(t, "/", grant); err == nil {
		t.Error("a token of Ann's is good after she has signed out")
	}
	if got := a.do(t, http.MethodGet, "/api/rooms", "", cookie); got.status != http.StatusUnauthorized {
		t.Errorf("the rooms, after the sign-out: %d", got.status)
	}
}

func tokens(t *testing.T, a *app) {
	cookie := a.cookie(t, "Ann")
	for name, payload := range map[string]any{
		"no token": nil, "the session": map[string]string{"token": cookie.Value}, "garbage": map[string]string{"token": "x.y.z"},
	} {
		if _, err := a.dial(cookie).TryConnect(t, "/", payload); err == nil {
			t.Errorf("%s: let in", name)
		}
	}
	grant := a.do(t, http.MethodPost, "/api/token", "", cookie)
	if got := grant.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("a token may be cached: %q", got)
	}
	socket, _ := a.connect(t, cookie, "general")
	var fresh struct{ ExpiresIn int }
	if socket.Ask("authenticate", a.grant(t, cookie).Token).Bind(&fresh); fresh.ExpiresIn <= 0 {
		t.Errorf("refreshed for %d seconds", fresh.ExpiresIn)
	}
	if err := socket.Ask("authenticate", a.grant(t, a.cookie(t, "Ben")).Token).Err(); err == nil {
		t.Error("Ann goes on as Ben")
	}
}

func otherOrigins(t *testing.T, a *app) {
	cookie := a.cookie(t, "Ann")
	for origin, status := range map[string]int{
		a.url: http.StatusOK, "http://localhost:4000": http.StatusForbidden, "null": http.StatusForbidden, "%": http.StatusForbidden,
	} {
		if got := a.do(t, http.MethodGet, handshake, "", cookie, "Origin", origin); got.status != status {
			t.Errorf("the handshake from %s: %d, want %d", origin, got.status, status)
		}
	}
	const proxy = "evil.example"
	got := a.do(t, http.MethodGet, handshake, "", cookie, "Origin", "http://"+proxy, "X-Forwarded-Host", proxy)
	if got.status != http.StatusForbidden {
		t.Errorf("the handshake of a proxy that is not there: %d, want 403", got.status)
	}
}

func announcements(t *testing.T, a *app) {
	cookie := a.cookie(t, "Ann")
	for _, tt := range []struct {
		room, body string
		status     int
	}{
		{"releases", `{"text":"v1 is out"}`, http.StatusCreated},
		{"nowhere", `{"text":"v1 is out"}`, http.StatusNotFound},
		{"releases", `{"text":" "}`, http.StatusUnprocessableEntity},
		{"releases", `text`, http.StatusBadRequest},
		{"releases", `{"text":"` + strings.Repeat("x", 20<<10) + `"}`, http.StatusRequestEntityTooLarge},
	} {
		got := a.announce(t, cookie, tt.room, tt.body)
		if got.status != tt.status {
			t.Errorf("%.30s to %s: %d %s, want %d", tt.body, tt.room, got.status, got.body, tt.status)
		}
		var problem struct{ Error string } // for the page to show
		if err := json.Unmarshal([]byte(got.body), &problem); err != nil || (problem.Error == "") != (tt.status == http.StatusCreated) {
			t.Errorf("%.30s to %s is answered %s", tt.body, tt.room, got.body)
		}
	}
}

func restCall(t *testing.T, a *app) {
	ann, ben := a.cookie(t, "Ann"), a.cookie(t, "Ben")
	listener, _ := a.connect(t, ann, "releases")
	if got := a.announce(t, ben, "releases", `{"text":"v1 is out"}`); got.status != http.StatusCreated {
		t.Fatalf("the announcement: %d %s", got.status, got.body)
	}
	for {
		event := listener.Next() // presence, mostly
		if event.Name != "message" {
			continue
		}
		var m chat.Message
		event.Bind(&m)
		if m.Text != "v1 is out" || m.From.Name != "Ben" || m.Room != "releases" || !m.Announcement {
			t.Errorf("the announcement arrived as %+v", m)
		}
		return
	}
}

// tooMuch floods a room from two tabs of one person.
func tooMuch(t *testing.T, a *app) {
	ann := a.cookie(t, "Ann")
	tabs := [2]*siotest.Peer{}
	for i := range tabs {
		tabs[i], _ = a.connect(t, ann, "general")
	}
	ben, _ := a.connect(t, a.cookie(t, "Ben"), "general")
	post := func(p *siotest.Peer, nonce string) error {
		return p.Ask("post", map[string]string{"room": "general", "nonce": nonce, "text": "buy " + nonce}).Err()
	}
	var refused error
	for i := 0; refused == nil; i++ {
		if i == 100 {
			t.Fatal("nobody stops Ann from posting")
		}
		refused = post(tabs[i%2], strconv.Itoa(i))
	}
	var e *sio.Error
	if !errors.As(refused, &e) || !strings.Contains(fmt.Sprint(e.Data), "rate_limited") {
		t.Errorf("Ann is refused with %v, want the code rate_limited", refused)
	}
	if err := post(ben, "from Ben"); err != nil {
		t.Errorf("Ben has to wait for Ann: %v", err)
	}
}

// hammer lets two people use the same HTTP connection in turn, as they do behind a
// proxy. What is kept of one request must not be memory of the next.
func hammer(t *testing.T, a *app) {
	ann, ben := a.cookie(t, "Ann"), a.cookie(t, "Ben")
	for range 20 {
		for _, tt := range []struct {
			cookie *http.Cookie
			room   string
		}{{ann, "releases"}, {ben, "pictures"}} {
			if got := a.announce(t, tt.cookie, tt.room, `{"text":"hello from `+tt.room+`"}`); got.status != http.StatusCreated {
				t.Fatalf("an announcement: %d %s", got.status, got.body)
			}
		}
	}
	for room, name := range map[string]string{"releases": "Ann", "pictures": "Ben"} {
		_, history := a.connect(t, ann, room)
		if len(history) != 20 {
			t.Errorf("%s has %d messages, want 20", room, len(history))
		}
		for _, m := range history {
			if m.Room != room || m.From.Name != name || m.Text != "hello from "+room {
				t.Errorf("in %s there is %+v", room, m)
			}
		}
	}
}

// quoted matches a line of code on the sign-in page.
var quoted = regexp.MustCompile(`<span class="line[^"]*">([^<]*)</span>`)

func quotes(t *testing.T, a *app) {
	source, err := os.ReadFile("router.go")
	if err != nil {
		t.Fatal(err)
	}
	page := a.do(t, http.MethodGet, "/login", "", nil).body
	lines := quoted.FindAllStringSubmatch(page, -1)
	if len(lines) < 3 {
		t.Fatalf("the sign-in page quotes %d lines", len(lines))
	}
	for _, line := range lines[1:] { // the first names the file
		code := "\n\t" + html.UnescapeString(line[1])
		if !bytes.Contains(source, []byte(code+"\n")) && !bytes.Contains(source, []byte(code+" // ")) {
			t.Errorf("router.go has no line %s", code)
		}
	}
}

func headers(t *testing.T, a *app) {
	got := a.do(t, http.MethodGet, "/", "", a.cookie(t, "Ann"))
	for header, want := range map[string]string{
		"Content-Security-Policy": chat.Site{}.ContentSecurityPolicy(),
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "same-origin",
		"Cache-Control":           "no-store",
		"Content-Type":            "text/html; charset=utf-8",
	} {
		if got := got.header.Get(header); !strings.EqualFold(got, want) {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
}
