package auth

import (
	"encoding/json"
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

var errOtherSubject = fmt.Errorf("%w: the token is for another subject, or has none: see auth.SubjectOf", ErrForbidden)

// sessionKey keeps the session of a socket. Its identity survives a recovery of
// the socket on another server.
var sessionKey = sio.NewDataKey[*session]("auth.session") //nolint:gochecknoglobals // a name, which nothing changes

// A session is the time that a socket spends behind a guard. It has one timer, if
// its token has an end.
type session struct {
	opts *options

	mu           sync.Mutex
	socket       *sio.Socket // nil when it has ended
	principal    principal
	lastIdentity *identity     // when it has ended, perhaps on another server
	requirements []requirement // what was asked of the bearer at connect time
	timer        *time.Timer
	warned       bool
	started      bool
	ended        bool
}

// A demand is what [Scope] and its like ask.
type requirement func(claims any, c *sio.Ctx) error

func newSession(socket *sio.Socket, b principal, opts *options) *session {
	return &session{opts: opts, socket: socket, principal: b}
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
	claims, _ := session.principal.claims.(*C)
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
	return s.principal.subject
}

func (s *session) identity() identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastIdentity != nil {
		return *s.lastIdentity
	}
	return s.principal.identity()
}

// mayBecome reports whether b may take over what the socket has: its rooms, and
// what it missed. Nobody's socket may become somebody's. Somebody's socket stays with
// the same user, and so it stays with nobody else if there is no subject.
func (s *session) mayBecome(b *principal) bool {
	was := s.identity()
	return !was.Known || was.sameUser(b.identity())
}

// MarshalJSON implements [json.Marshaler].
func (s *session) MarshalJSON() ([]byte, error) { return json.Marshal(s.identity()) }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *session) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &s.lastIdentity) }

// current returns the claims, and an error if there are none or they are good no
// longer.
func (s *session) current() (claims any, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.principal.claims == nil:
		return nil, ErrMissing
	case s.ended || s.principal.expired():
		return nil, ErrExpired
	}
	return s.principal.claims, nil
}

// demand has d asked about new claims, too.
func (s *session) addRequirement(d requirement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requirements = append(s.requirements, d)
}

// begin has the bearer be found by its rooms and watches the end of its token.
func (s *session) start(c *sio.Ctx) error {
	s.mu.Lock()
	b, begun := s.principal, s.started
	s.started = true
	s.mu.Unlock()
	if begun {
		return nil
	}
	if err := setRooms(c.Socket, b.rooms()); err != nil {
		return err
	}
	c.OnEnd(s.end)
	if b.claims == nil {
		return nil
	}
	if err := s.opts.checkRevoked(c.Context(), b.claims); err != nil {
		if errors.Is(err, ErrRevoked) {
			_ = c.Emit(EventRevoked, refusal{CodeRevoked}) // its last words
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resetTimerLocked()
	return nil
}

// settle pins a socket to rooms of ours, and takes it out of others: those of an
// earlier token.
func setRooms(socket *sio.Socket, rooms []string) error {
	if err := socket.Pin(rooms...); err != nil {
		return err
	}
	stale := slices.DeleteFunc(socket.Rooms(), func(r string) bool { return !isAuthRoom(r) || slices.Contains(rooms, r) })
	return socket.Unpin(stale...)
}

// replace makes b the bearer of a socket that is connected. It is called by its
// handlers only.
func (s *session) replace(c *sio.Ctx, b principal) error {
	if !s.mayBecome(&b) {
		return errOtherSubject
	}
	s.mu.Lock()
	old, demands := s.principal, s.requirements
	s.mu.Unlock()
	for _, d := range demands {
		if err := d(b.claims, c); err != nil {
			return err
		}
	}
	// First the socket has to be where a revocation finds it.
	if err := c.Pin(b.rooms()...); err != nil {
		return err
	}
	err := s.opts.checkRevoked(c.Context(), b.claims)
	if err == nil && !s.setPrincipal(b) {
		err = ErrExpired // the new token came too late
	}
	if err != nil {
		b = old
	}
	return errors.Join(err, setRooms(c.Socket, b.rooms()))
}

func (s *session) setPrincipal(b principal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.principal, s.warned = b, false
	s.resetTimerLocked()
	return true
}

// watch sets the timer to whatever comes next. The caller holds the lock.
func (s *session) resetTimerLocked() {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.principal.expires.IsZero() || s.ended {
		return
	}
	left := time.Until(s.principal.expires)
	wait := left
	if s.opts.warn > 0 && !s.warned {
		wait = max(left-s.opts.warn, left/2)
	}
	s.timer = time.AfterFunc(wait, s.onTimer)
}

// ring warns the client, or ends its session.
func (s *session) onTimer() {
	s.mu.Lock()
	socket := s.socket
	if s.ended || !socket.Connected() {
		s.mu.Unlock()
		return
	}
	if !s.principal.expired() {
		left := time.Until(s.principal.expires)
		warn := !s.warned && s.opts.warn > 0
		s.warned = true
		s.resetTimerLocked()
		s.mu.Unlock()
		if warn {
			apart(func() {
				_ = socket.Emit(EventExpiring, expiring{seconds(left)}) // who has gone needs no warning
			})
		}
		return
	}
	s.ended = true
	subject := s.principal.subject
	s.mu.Unlock()
	apart(func() {
		s.opts.log.Debug("token expired", slog.String("ns", socket.Namespace().Name()), slog.String("sid", socket.ID()))
	})
	s.opts.notify(Event{Kind: Expired, Socket: socket, Subject: subject, Code: CodeExpired})
	apart(func() {
		_ = socket.Emit(EventExpired, refusal{CodeExpired}) // likewise
	})
	apart(func() { _ = socket.Disconnect() })
}

// end runs when the socket has ended. Whoever recovers it wants to know whose it
// was, and nothing else.
func (s *session) end() {
	was := s.identity()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.ended, s.lastIdentity, s.socket, s.timer = true, &was, nil, nil
}

// expiring is the argument of EventExpiring, and the ack of a refresh.
type expiring struct {
	ExpiresIn int `json:"expiresIn"` // seconds
}

// seconds rounds up: a client that counts down does not come to 0 too early.
func seconds(d time.Duration) int { return int(math.Ceil(max(d, 0).Seconds())) }
