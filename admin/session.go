package sioadmin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A sessionSigner makes sessions, and recognizes them. A session is its own proof, so nothing is
// kept, and all servers with the same key and the same credentials recognize it:
//
//	8 bytes   when it ends, in seconds since 1970
//	8 bytes   random
//	32 bytes  HMAC-SHA256 of both
type sessionSigner struct {
	key      []byte
	lifetime time.Duration
}

const (
	nonceSize   = 8
	signedSize  = 8 + nonceSize
	sessionSize = signedSize + sha256.Size
)

// newSessionSigner derives the key from the credentials as well, so that sessions end when these change.
func newSessionSigner(o *Options) sessionSigner {
	secret := o.SessionKey
	if len(secret) == 0 {
		secret = make([]byte, minSessionKey)
		_, _ = rand.Read(secret) // never fails, says its documentation
	}
	h := hmac.New(sha256.New, secret)
	for _, part := range []string{"sioadmin session", o.Namespace, o.Username, o.PasswordHash} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return sessionSigner{key: h.Sum(nil), lifetime: o.SessionDuration}
}

// newSession returns a new session.
func (s sessionSigner) newSession() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, sessionSize), uint64(time.Now().Add(s.lifetime).Unix())) //nolint:gosec // it is not before 1970
	b = b[:signedSize]
	_, _ = rand.Read(b[signedSize-nonceSize:])
	return base64.RawURLEncoding.EncodeToString(s.sign(b))
}

// valid reports whether a session was made by a server with the same key, and has not ended.
func (s sessionSigner) valid(session string) bool {
	if len(session) != base64.RawURLEncoding.EncodedLen(sessionSize) {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(session)
	if err != nil || !hmac.Equal(b, s.sign(b[:signedSize:signedSize])) {
		return false
	}
	return binary.BigEndian.Uint64(b) > uint64(time.Now().Unix()) //nolint:gosec // it is not before 1970
}

// sign returns b with its signature.
func (s sessionSigner) sign(b []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write(b)
	return h.Sum(b)
}
