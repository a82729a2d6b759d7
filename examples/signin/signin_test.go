package signin_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/signin"
)

var ann = chat.User{ID: "1", Name: "Ann"}

func mustOpen(t *testing.T, file string) signin.Sessions {
	t.Helper()
	s, err := signin.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokens(t *testing.T) {
	s := mustOpen(t, "")
	good := s.Cookie(ann, false).Value
	for name, tt := range map[string]struct {
		token string
		want  chat.User // nobody if it is refused
	}{
		"good":            {good, ann},
		"none":            {"", chat.User{}},
		"garbage":         {"x.y", chat.User{}},
		"cut off":         {good[:len(good)-4], chat.User{}},
		"of another key":  {mustOpen(t, "").Cookie(ann, false).Value, chat.User{}},
		"expired":         {s.Token(ann, time.Now()), chat.User{}},
		"of a signed-out": {signin.NoCookie(false).Value, chat.User{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := s.User(tt.token)
			if got != tt.want || ok != (tt.want != chat.User{}) {
				t.Errorf("User = %v, %v; want %v", got, ok, tt.want)
			}
		})
	}
}

func TestKeyOutlivesTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	token := mustOpen(t, file).Cookie(ann, false).Value
	if got, ok := mustOpen(t, file).User(token); !ok || got != ann {
		t.Errorf("after a restart the session is %v, %v; want %v", got, ok, ann)
	}
}

func TestFileThatIsNoKeyIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signin.Open(file); err == nil {
		t.Error("a file of five bytes became a key")
	}
}

func TestSameOrigin(t *testing.T) {
	const host = "localhost:3000"
	for origin, want := range map[string]bool{
		"": true, "http://localhost:3000": true, "https://localhost:3000": true,
		"http://localhost:4000": false, "http://evil.example": false, "null": false, "%": false,
	} {
		if got := signin.SameOrigin(origin, host); got != want {
			t.Errorf("SameOrigin(%q) = %v, want %v", origin, got, want)
		}
	}
}
