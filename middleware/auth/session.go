package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// What sockets are sent about their tokens.
const (
	// EventExpiring warns: {expiresIn: seconds}.
	EventExpiring = "token_expiring"

	// EventExpired and EventRevoked say why the server disconnects: {code}.
	EventExpired = "token_expired"
	EventRevoked = "token_revoked"
)

var errOtherSubject = fmt.Errorf("%w: the token is for another subject", ErrForbidden)

// sessionKey keeps the session of a socket, or nil if it is anonymous.
var sessionKey = sio.NewKey[*session]("auth") //nolint:gochecknoglobals // a name, which nothing changes

// A session is the time that a socket is signed in. It has one timer, if its
// token has an end.
type session struct {
	socket *sio.Socket
	opts   *options

	mu     sync.Mutex
	bearer bearer
	timer  *time.Timer
	warned bool
	begun  bool
	over   bool
}

func newSession(socket *sio.Socket, b bearer, opts *options) *session {
	return &session{socket: socket, bearer: b, opts: opts}
}

func sessionOf(s *sio.Socket) *session {
	session, _ := sessionKey.Get(s)
	return session
}

// Claims returns the claims of the token that the socket connected with, or of
// the last one that refreshed it, to be read only. It is nil for an anonymous
// socket, and if nothing was required; and if C is not the type that was.
func Claims[C any](s *sio.Socket) *C {
	session := sessionOf(s)
	if session == nil {
		return nil
	}
	session.mu.Lock()
	defer session.mu.Unlock()
	claims, _ := session.bearer.claims.(*C)
	return claims
}

// Subject returns the subject of the socket's token, which identifies its user,
// or "" if there is none. It fits the limits by user of package ratelimit.
func Subject(s *sio.Socket) string {
	if session := sessionOf(s); session != nil {
		return session.subject()
	}
	return ""
}

func (s *session) subject() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bearer.subject
}

func (s *session) sameSubject(b bearer) bool { return s.subject() == b.subject }

// current returns the claims, and an error if they are good no longer.
func (s *session) current() (claims any, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.bearer.expired() {
		return nil, ErrExpired
	}
	return s.bearer.claims, nil
}

// begin joins the bearer's rooms and watches the end of the token.
func (s *session) begin() error {
	s.mu.Lock()
	b, begun := s.bearer, s.begun
	s.begun = true
	s.mu.Unlock()
	if begun {
		return nil
	}
	if err := s.socket.Join(b.rooms()...); err != nil {
		return err
	}
	s.mu.Lock()
	s.watch()
	s.mu.Unlock()
	context.AfterFunc(s.socket.Context(), s.end)
	return nil
}

// replace makes b the bearer of a socket that is connected.
func (s *session) replace(b bearer) error {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return ErrExpired // the new token came too late
	}
	old := s.bearer.rooms()
	s.bearer, s.warned = b, false
	s.watch()
	s.mu.Unlock()
	old = slices.DeleteFunc(old, func(r string) bool { return slices.Contains(b.rooms(), r) })
	return errors.Join(s.socket.Leave(old...), s.socket.Join(b.rooms()...))
}

// watch sets the timer to whatever comes next. The caller holds the lock.
func (s *session) watch() {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.bearer.expires.IsZero() {
		return
	}
	left := time.Until(s.bearer.expires)
	wait := left
	if s.opts.warn > 0 && !s.warned {
		wait = max(left-s.opts.warn, left/2)
	}
	s.timer = time.AfterFunc(wait, s.ring)
}

// ring warns the client, or ends its session.
func (s *session) ring() {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	if !s.bearer.expired() {
		left := time.Until(s.bearer.expires)
		warn := !s.warned && s.opts.warn > 0
		s.warned = true
		s.watch()
		s.mu.Unlock()
		if warn {
			_ = s.socket.Emit(EventExpiring, expiring{seconds(left)}) // who has gone needs no warning
		}
		return
	}
	s.over = true
	subject := s.bearer.subject
	s.mu.Unlock()
	s.opts.log.Debug("token expired", slog.String("ns", s.socket.Namespace().Name()), slog.String("sid", s.socket.ID()))
	s.opts.tell(Event{Kind: Expired, Socket: s.socket, Subject: subject, Code: CodeExpired})
	_ = s.socket.Emit(EventExpired, refusal{CodeExpired}) // likewise
	_ = s.socket.Disconnect()
}

// end runs when the socket has been disconnected.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// expiring is the argument of EventExpiring, and the ack of a refresh.
type expiring struct {
	ExpiresIn int `json:"expiresIn"` // seconds
}

// seconds rounds up: a client that counts down does not come to 0 too early.
func seconds(d time.Duration) int { return int(math.Ceil(max(d, 0).Seconds())) }
