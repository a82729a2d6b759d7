// Package signin is how people sign in to the examples. It knows no web framework.
// Your application has its own way.
//
// Whoever signs in gets a session: a token in a cookie, good for a working day, that
// pages and REST calls need. Sockets need another token, which is good for minutes:
// the page asks for it with its session, and for the next one before it ends.
package signin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/middleware/auth"
)

const (
	// CookieName names the cookie that has the session.
	CookieName = "session"

	day     = 12 * time.Hour
	keySize = 32

	// What tokens are for: their audience.
	forPages   = "pages"
	forSockets = "sockets"

	signedOutEvent = "signed out" // between servers: whose session has ended
)

// Sessions makes and checks tokens, signed so that they outlive the process.
type Sessions struct {
	key            []byte
	life           time.Duration // of a socket's token
	pages, sockets auth.Verifier[Claims]
	guarded        *sio.Namespace

	mu   sync.Mutex
	gone map[string]time.Time // who has signed out, and when
}

// Claims are what a token says.
type Claims struct {
	jwt.RegisteredClaims

	Name string `json:"name"`
}

func (c *Claims) user() chat.User { return chat.User{ID: c.Subject, Name: c.Name} }

// Open returns sessions that are signed with the key in a file, which it makes if
// there is none. Without a file the key lives as long as the process. Tokens of
// sockets are good for the time life.
func Open(file string, life time.Duration) (*Sessions, error) {
	key, err := readKey(file)
	if err != nil {
		return nil, err
	}
	return &Sessions{
		key:     key,
		life:    life,
		pages:   auth.HS256[Claims](key, auth.Audience(forPages)),
		sockets: auth.HS256[Claims](key, auth.Audience(forSockets)),
		gone:    make(map[string]time.Time),
	}, nil
}

func readKey(file string) ([]byte, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	if file == "" {
		return key, nil
	}
	old, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return key, os.WriteFile(file, key, 0o600)
	case err == nil && len(old) != keySize:
		return nil, fmt.Errorf("%s is not a session key: it has %d bytes instead of %d", file, len(old), keySize)
	}
	return old, err
}

// Guard asks the sockets of a namespace for tokens, lets them send new ones, and
// ends them with their sessions. In a cluster, who signs out at one server has signed out
// at all.
func (s *Sessions) Guard(ns *sio.Namespace) {
	s.guarded = ns
	ns.OnServerEvent(signedOutEvent, func(_ context.Context, args sio.Args) (any, error) {
		var id string
		if err := args.Bind(&id); err != nil {
			return nil, err
		}
		s.forget(id)
		return nil, nil
	})
	ns.UseConnect(auth.Require(s.sockets, auth.Revoked(func(_ context.Context, t auth.Token) (bool, error) {
		return s.signedOut(t.Subject), nil
	})))
	ns.On("authenticate", auth.Refresh(s.sockets))
}

// UserOf returns who is behind a socket of a guarded namespace.
func UserOf(s *sio.Socket) chat.User {
	if c := auth.Claims[Claims](s); c != nil {
		return c.user()
	}
	return chat.User{}
}

// A Grant is a token for a socket, as the page gets it.
type Grant struct {
	Token     string `json:"token"`
	ExpiresIn int    `json:"expiresIn"` // seconds
}

// Grant returns a token for a user's sockets.
func (s *Sessions) Grant(user chat.User) Grant {
	return Grant{s.token(forSockets, user, time.Now().Add(s.life)), int(s.life.Seconds())}
}

// Session returns the token of a session that is good until then.
func (s *Sessions) Session(user chat.User, until time.Time) string {
	return s.token(forPages, user, until)
}

func (s *Sessions) token(audience string, user chat.User, until time.Time) string {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, Claims{jwt.RegisteredClaims{
		Subject: user.ID, Audience: jwt.ClaimStrings{audience}, ExpiresAt: jwt.NewNumericDate(until),
	}, user.Name}).SignedString(s.key)
	if err != nil {
		panic(err) // strings and a number
	}
	return token
}

// Cookie returns the cookie that signs a user in from now on.
func (s *Sessions) Cookie(user chat.User, secure bool) *http.Cookie {
	return cookie(s.Session(user, time.Now().Add(day)), int(day.Seconds()), secure)
}

// NoCookie returns the cookie that signs out.
func NoCookie(secure bool) *http.Cookie { return cookie("", -1, secure) }

func cookie(token string, maxAge int, secure bool) *http.Cookie {
	return &http.Cookie{
		Name:     CookieName,
		Value:    token,
		Path:     "/",
		MaxAge:   maxAge,
		HttpOnly: true,
		Secure:   secure,
		SameSite: http.SameSiteLaxMode,
	}
}

// User returns whose session that is. It reports false if it is none of ours, or
// has ended.
func (s *Sessions) User(ctx context.Context, session string) (chat.User, bool) {
	c, err := s.pages(ctx, session)
	if err != nil || s.signedOut(c.Subject) {
		return chat.User{}, false
	}
	return c.user(), true
}

// SignOut ends a user's session, in all tabs and at all servers of a cluster.
func (s *Sessions) SignOut(user chat.User) error {
	s.forget(user.ID)
	return errors.Join(s.guarded.ServerSideEmit(signedOutEvent, user.ID), auth.RevokeSubject(s.guarded, user.ID))
}

// forget notes that a session has ended.
func (s *Sessions) forget(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, since := range s.gone {
		if time.Since(since) > day {
			delete(s.gone, id) // the session would have ended by itself
		}
	}
	s.gone[user] = time.Now()
}

func (s *Sessions) signedOut(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, gone := s.gone[id]
	return gone
}

// SameOrigin reports whether a request with that Origin header, to that host, may
// have come from one of our own pages. Those of other pages may carry our cookie:
// SameSite does not tell the ports of localhost apart, and no CORS keeps a page
// from opening a WebSocket.
func SameOrigin(origin, host string) bool {
	if origin == "" { // not from a page
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == host
}
