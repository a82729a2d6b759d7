package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/chat"
)

const handshake = "/socket.io/?EIO=4&transport=polling"

// newTestApp serves the application and returns its address and its sessions.
func newTestApp(t *testing.T) (string, sessions) {
	t.Helper()
	gin.SetMode(gin.TestMode)
	srv := sio.New(nil)
	s := sessions{key: []byte("test")}
	hs := httptest.NewServer(newRouter(srv, chat.Register(srv, userOf), s, false))
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		hs.Close()
	})
	return hs.URL, s
}

// do sends a request and returns the answer, its body read. It follows no redirects.
func do(t *testing.T, method, address string, body []byte, cookie *http.Cookie, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if cookie != nil {
		req.AddCookie(cookie)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res, b.String()
}

func TestStrangersAreTurnedAway(t *testing.T) {
	base, s := newTestApp(t)
	expired := &http.Cookie{Name: sessionCookie, Value: s.seal(claims{User: newUser("Ann"), Expires: time.Now().Unix()})}
	forged := sessions{key: []byte("other")}.cookie(newUser("Ann"), false)
	for name, cookie := range map[string]*http.Cookie{
		"no session": nil, "expired": expired, "forged": forged, "garbage": {Name: sessionCookie, Value: "x.y"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				method, path string
				status       int
			}{
				{http.MethodGet, handshake, http.StatusUnauthorized},
				{http.MethodGet, "/socket.io/socket.io.min.js", http.StatusUnauthorized},
				{http.MethodGet, "/api/rooms", http.StatusUnauthorized},
				{http.MethodPost, "/api/rooms/general/announce", http.StatusUnauthorized},
				{http.MethodGet, "/", http.StatusSeeOther},
				{http.MethodGet, "/login", http.StatusOK},
				{http.MethodGet, "/healthz", http.StatusOK},
				{http.MethodGet, "/assets/app.js", http.StatusOK},
			} {
				if res, _ := do(t, tt.method, base+tt.path, nil, cookie); res.StatusCode != tt.status {
					t.Errorf("%s %s: %d, want %d", tt.method, tt.path, res.StatusCode, tt.status)
				}
			}
		})
	}
}

func TestSignIn(t *testing.T) {
	base, _ := newTestApp(t)
	form := func(name string) []byte { return []byte(url.Values{"name": {name}}.Encode()) }
	const contentType, encoded = "Content-Type", "application/x-www-form-urlencoded"

	if res, body := do(t, http.MethodPost, base+"/login", form("  "), nil, contentType, encoded); res.StatusCode != http.StatusUnprocessableEntity ||
		!strings.Contains(body, "Please enter a name") {
		t.Errorf("without a name: %d", res.StatusCode)
	}

	res, _ := do(t, http.MethodPost, base+"/login", form(" Ann  Lindqvist "), nil, contentType, encoded)
	if res.StatusCode != http.StatusSeeOther || len(res.Cookies()) != 1 {
		t.Fatalf("sign-in: %d with %d cookies", res.StatusCode, len(res.Cookies()))
	}
	cookie := res.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("the cookie is %v, want HttpOnly and SameSite=Lax", cookie)
	}
	if res, body := do(t, http.MethodGet, base+"/", nil, cookie); res.StatusCode != http.StatusOK || !strings.Contains(body, "Ann Lindqvist") {
		t.Errorf("the chat's page: %d", res.StatusCode)
	}
	if res, body := do(t, http.MethodGet, base+handshake, nil, cookie); res.StatusCode != http.StatusOK || !strings.HasPrefix(body, `0{"sid"`) {
		t.Errorf("the handshake: %d %s", res.StatusCode, body)
	}
	res, _ = do(t, http.MethodPost, base+"/logout", nil, cookie)
	if res.StatusCode != http.StatusSeeOther || len(res.Cookies()) != 1 || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("sign-out: %d %v", res.StatusCode, res.Cookies())
	}
}

func TestOtherOriginsAreTurnedAway(t *testing.T) {
	base, s := newTestApp(t)
	cookie := s.cookie(newUser("Ann"), false)
	for origin, status := range map[string]int{
		base: http.StatusOK, "http://localhost:4000": http.StatusForbidden, "null": http.StatusForbidden, "%": http.StatusForbidden,
	} {
		if res, _ := do(t, http.MethodGet, base+handshake, nil, cookie, "Origin", origin); res.StatusCode != status {
			t.Errorf("the handshake from %s: %d, want %d", origin, res.StatusCode, status)
		}
	}
}

func TestAnnounce(t *testing.T) {
	base, s := newTestApp(t)
	cookie := s.cookie(newUser("Ann"), false)
	for _, tt := range []struct {
		room, body string
		status     int
	}{
		{"releases", `{"text":"v1 is out"}`, http.StatusCreated},
		{"nowhere", `{"text":"v1 is out"}`, http.StatusNotFound},
		{"releases", `{"text":" "}`, http.StatusUnprocessableEntity},
		{"releases", `text`, http.StatusBadRequest},
		{"releases", `{"text":"` + strings.Repeat("x", maxForm) + `"}`, http.StatusBadRequest},
	} {
		address := base + "/api/rooms/" + tt.room + "/announce"
		if res, body := do(t, http.MethodPost, address, []byte(tt.body), cookie); res.StatusCode != tt.status {
			t.Errorf("%s to %s: %d %s, want %d", tt.body[:min(len(tt.body), 30)], tt.room, res.StatusCode, body, tt.status)
		}
	}
}

func TestSessionKeyOutlivesTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	first, err := sessionKey(file)
	if err != nil {
		t.Fatal(err)
	}
	user := newUser("Ann")
	token := sessions{key: first}.cookie(user, false).Value

	second, err := sessionKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := (sessions{key: second}).open(token); !ok || got != user {
		t.Errorf("after a restart the session is %v, %v; want %v", got, ok, user)
	}
}
