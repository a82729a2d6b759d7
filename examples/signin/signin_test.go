package signin_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/examples/signin"
)

var ann = chat.User{ID: "1", Name: "Ann"}

func mustOpen(t *testing.T, file string) *signin.Sessions {
	t.Helper()
	s, err := signin.Open(file, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSessions(t *testing.T) {
	s := mustOpen(t, "")
	good := s.Cookie(ann, false).Value
	for name, tt := range map[string]struct {
		session string
		want    chat.User // nobody if it is refused
	}{
		"good":            {good, ann},
		"none":            {"", chat.User{}},
		"garbage":         {"x.y", chat.User{}},
		"cut off":         {good[:len(good)-4], chat.User{}},
		"of another key":  {mustOpen(t, "").Cookie(ann, false).Value, chat.User{}},
		"expired":         {s.Session(ann, time.Now()), chat.User{}},
		"of a signed-out": {signin.NoCookie(false).Value, chat.User{}},
		"a socket's":      {s.Grant(ann).Token, chat.User{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := s.User(t.Context(), tt.session)
			if got != tt.want || ok != (tt.want != chat.User{}) {
				t.Errorf("User = %v, %v; want %v", got, ok, tt.want)
			}
		})
	}
}

func TestGuard(t *testing.T) {
	s := mustOpen(t, "")
	srv := sio.New(nil)
	s.Guard(srv.Namespace)
	srv.On("who", func(c *sio.Ctx) error { return c.Ack(signin.UserOf(c.Socket)) })
	grant := s.Grant(ann)
	for name, token := range map[string]string{"no token": "", "a session": s.Cookie(ann, false).Value, "garbage": "x.y.z"} {
		if _, err := siotest.TryConnect(t, srv, "/", map[string]string{"token": token}); err == nil {
			t.Errorf("%s: let in", name)
		}
	}
	socket := siotest.Connect(t, srv, "/", grant)
	var who chat.User
	if socket.Ask("who").Bind(&who); who != ann {
		t.Errorf("the socket is %v's", who)
	}
	var fresh struct{ ExpiresIn int }
	if socket.Ask("authenticate", s.Grant(ann).Token).Bind(&fresh); fresh.ExpiresIn <= 0 || fresh.ExpiresIn > grant.ExpiresIn {
		t.Errorf("refreshed for %d seconds, want %d", fresh.ExpiresIn, grant.ExpiresIn)
	}
	cookie := s.Cookie(ann, false).Value
	if err := s.SignOut(ann); err != nil {
		t.Fatal(err)
	}
	socket.Expect("token_revoked")
	if reason := socket.Disconnected(); reason != siotest.ServerDisconnect {
		t.Errorf("disconnected by %s", reason)
	}
	if _, err := siotest.TryConnect(t, srv, "/", grant); err == nil {
		t.Error("signed out, and let in again")
	}
	if _, ok := s.User(t.Context(), cookie); ok {
		t.Error("signed out, and the session is still good")
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestKeyOutlivesTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	session := mustOpen(t, file).Cookie(ann, false).Value
	if got, ok := mustOpen(t, file).User(t.Context(), session); !ok || got != ann {
		t.Errorf("after a restart the session is %v, %v; want %v", got, ok, ann)
	}
}

func TestFileThatIsNoKeyIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signin.Open(file, time.Minute); err == nil {
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

// Who signs out at one server of a cluster has signed out at all.
func TestSignOutInACluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, cluster := filepath.Join(t.TempDir(), "key"), adapter.NewMemory()
		var all []*signin.Sessions
		for range 2 {
			srv := sio.New(&sio.Options{Adapter: cluster})
			defer func() {
				if err := srv.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}()
			s := mustOpen(t, key)
			s.Guard(srv.Namespace)
			all = append(all, s)
		}
		session := all[0].Cookie(ann, false).Value
		if got, ok := all[1].User(t.Context(), session); !ok || got != ann {
			t.Fatalf("the other server takes the session for that of %v", got)
		}
		if err := all[0].SignOut(ann); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if _, ok := all[1].User(t.Context(), session); ok {
			t.Error("the session is good at the other server")
		}
	})
}
