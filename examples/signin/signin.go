// Package signin is how people sign in to the examples: it makes and checks
// session tokens, and knows no web framework. Your application has its own way.
package signin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sioplug/sioplug/examples/chat"
)

const (
	// CookieName names the cookie that has the token.
	CookieName = "session"

	life    = 12 * time.Hour
	keySize = 32
)

// Sessions makes and checks tokens: who somebody is and until when, signed, so
// that they outlive the process.
type Sessions struct{ key []byte }

type claims struct {
	User    chat.User `json:"user"`
	Expires int64     `json:"expires"` // seconds since 1970
}

// Open returns sessions that are signed with the key in a file, which it makes if
// there is none. Without a file the key lives as long as the process.
func Open(file string) (Sessions, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	if file == "" {
		return Sessions{key}, nil
	}
	old, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Sessions{key}, os.WriteFile(file, key, 0o600)
	case err != nil:
		return Sessions{}, err
	case len(old) != keySize:
		return Sessions{}, fmt.Errorf("%s is not a session key: it has %d bytes instead of %d", file, len(old), keySize)
	}
	return Sessions{old}, nil
}

// Token returns a token that is good until then.
func (s Sessions) Token(user chat.User, until time.Time) string {
	body, err := json.Marshal(claims{User: user, Expires: until.Unix()})
	if err != nil {
		panic(err) // strings and a number
	}
	return encode(body) + "." + encode(s.sign(body))
}

// Cookie returns the cookie that signs a user in from now on.
func (s Sessions) Cookie(user chat.User, secure bool) *http.Cookie {
	return cookie(s.Token(user, time.Now().Add(life)), int(life.Seconds()), secure)
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

// User returns whose token that is. It reports false if it is none of ours, or has
// expired.
func (s Sessions) User(token string) (chat.User, bool) {
	head, tail, _ := strings.Cut(token, ".")
	body, err1 := base64.RawURLEncoding.DecodeString(head)
	mac, err2 := base64.RawURLEncoding.DecodeString(tail)
	if errors.Join(err1, err2) != nil || !hmac.Equal(mac, s.sign(body)) {
		return chat.User{}, false
	}
	var c claims
	if err := json.Unmarshal(body, &c); err != nil || time.Now().Unix() >= c.Expires {
		return chat.User{}, false
	}
	return c.User, true
}

func (s Sessions) sign(body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(body)
	return h.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

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
