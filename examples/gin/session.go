package main

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
	"os"
	"strings"
	"time"

	"github.com/sioplug/sioplug/examples/chat"
)

const (
	sessionCookie = "session"
	sessionLife   = 12 * time.Hour
	keySize       = 32
)

// sessions makes and checks session tokens: who somebody is and until when,
// signed, so that they outlive the process. Your application has its own way.
type sessions struct{ key []byte }

type claims struct {
	User    chat.User `json:"user"`
	Expires int64     `json:"expires"` // seconds since 1970
}

func newUser(name string) chat.User { return chat.User{ID: rand.Text(), Name: name} }

func (s sessions) cookie(user chat.User, secure bool) *http.Cookie {
	return &http.Cookie{
		Name:     sessionCookie,
		Value:    s.seal(claims{User: user, Expires: time.Now().Add(sessionLife).Unix()}),
		Path:     "/",
		MaxAge:   int(sessionLife.Seconds()),
		HttpOnly: true,
		Secure:   secure,
		SameSite: http.SameSiteLaxMode,
	}
}

func (s sessions) seal(c claims) string {
	body, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and a number
	}
	return encode(body) + "." + encode(s.sign(body))
}

func (s sessions) open(token string) (chat.User, bool) {
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

func (s sessions) sign(body []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(body)
	return h.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sessionKey reads the key from file, which it makes if there is none. Without
// a file the key lives as long as the process.
func sessionKey(file string) ([]byte, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	if file == "" {
		return key, nil
	}
	old, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return key, os.WriteFile(file, key, 0o600)
	case err != nil:
		return nil, err
	case len(old) != keySize:
		return nil, fmt.Errorf("%s is not a session key: it has %d bytes instead of %d", file, len(old), keySize)
	}
	return old, nil
}
