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
	"github.com/sioplug/sioplug/internal/rescue"
)

// Events that the server sends to sockets about their tokens.
const (
	// EventExpiring warns: {expiresIn: seconds}.
	EventExpiring = "token_expiring"

	// EventExpired and EventRevoked come before the server disconnects: {code}.
	EventExpired = "token_expired"
	EventRevoked = "token_revoked"
)

var errOtherSubject = fmt.Errorf("%w: the token is for another subject, or has none: see auth.SubjectOf", ErrForbidden)

// sessionKey keeps the session of a socket. Its identity is saved with the socket, so
// another server has it when it recovers the socket.
var sessionKey = sio.NewDataKey[*session]("auth.session") //nolint:gochecknoglobals // a name, which nothing changes

// A session is the state of a socket behind a guard. It has one timer if its token
// expires.
type session struct {
	opts *options

	mu           sync.Mutex
	socket       *sio.Socket // nil when it has ended
	principal    principal
	lastIdentity *identity     // when it has ended, perhaps on another server
	requirements []requirement // what was asked of the bearer at connect time
	rooms        *Rooms        // nil without NewRooms
	checks       uint64        // how often rooms were checked again
	timer        *time.Timer
	warned       bool
	started      bool
	ended        bool
}

// A requirement is the check of [Scope] and the like.
type requirement func(claims any, c *sio.Ctx) error

func newSession(socket *sio.Socket, b principal, opts *options) *session {
	return &session{opts: opts, socket: socket, principal: b}
}

func sessionOf(s *sio.Socket) *session {
	session, _ := sessionKey.Get(s)
	return session
}

// Claims returns the claims of the socket's token: that of the connect, or of the last
// refresh. Do not change them. Claims returns nil if the socket is anonymous, if the
// namespace has no [Require] or [From], and if these have another type than C.
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

// Subject returns the subject of the socket's token, which identifies its user, or "" if
// there is none. Use it with the limits by user of package ratelimit.
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

// mayBecome reports whether b may take over the socket: its rooms, and the events that it
// missed. An anonymous socket may get a user. The socket of a user stays with that user,
// so without a subject, it cannot be taken over.
func (s *session) mayBecome(b *principal) bool {
	was := s.identity()
	return !was.Known || was.sameUser(b.identity())
}

// MarshalJSON implements [json.Marshaler].
func (s *session) MarshalJSON() ([]byte, error) { return json.Marshal(s.identity()) }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *session) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &s.lastIdentity) }

// current returns the claims. It returns an error if there are none, or if they have
// expired.
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

// addRequirement makes d a requirement for the claims of later tokens, too.
func (s *session) addRequirement(d requirement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requirements = append(s.requirements, d)
}

// start joins the rooms of the principal and sets the timer for the end of its token.
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
			_ = c.Emit(EventRevoked, refusal{CodeRevoked}) // the socket may have gone
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resetTimerLocked()
	return nil
}

// setRooms pins a socket to rooms of ours, and takes it out of the rooms of an earlier
// token.
func setRooms(socket *sio.Socket, rooms []string) error {
	if err := socket.Pin(rooms...); err != nil {
		return err
	}
	stale := slices.DeleteFunc(socket.Pinned(), func(r string) bool { return !isAuthRoom(r) || slices.Contains(rooms, r) })
	return socket.Unpin(stale...)
}

// replace makes b the principal of a connected socket. Only handlers of the socket call
// it.
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
	// First join the rooms, so that a revocation finds the socket.
	if err := c.Pin(b.rooms()...); err != nil {
		return err
	}
	err := s.opts.checkRevoked(c.Context(), b.claims)
	if err == nil && !s.setPrincipal(b) {
		err = ErrExpired // the old token has expired meanwhile
	}
	if err != nil {
		b = old
	}
	err = errors.Join(err, setRooms(c.Socket, b.rooms()))
	if b.subject != old.subject {
		c.OwnIdentityChanged() // other packages go by the subject
	}
	if r := s.doors(); r != nil && err == nil {
		s.recheck(c.Context(), r, c.Socket)
	}
	return err
}

func (s *session) doors() *Rooms {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rooms
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

// resetTimerLocked sets the timer for the warning, or for the end of the token.
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

// onTimer warns the client, or ends its session.
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
			emitApart(socket, EventExpiring, expiring{seconds(left)})
		}
		return
	}
	s.ended = true
	subject := s.principal.subject
	s.mu.Unlock()
	s.opts.log.Debug("token expired", slog.String("ns", socket.Namespace().Name()), slog.String("sid", socket.ID()))
	s.opts.notify(Event{Kind: Expired, Socket: socket, Subject: subject, Code: CodeExpired})
	socket.ReportRefusal(sio.GuardError{Guard: "auth", Rule: "expired", Code: string(CodeExpired)})
	emitApart(socket, EventExpired, refusal{CodeExpired})
	_ = rescue.Apart(socket.Disconnect) // as in emitApart
}

// emitApart emits an event on the goroutine of a timer, where a panic would end the
// process.
func emitApart(socket *sio.Socket, event string, arg any) {
	_ = rescue.Apart(func() error { return socket.Emit(event, arg) }) // the socket may have gone
}

// end runs when the socket has ended. It keeps the identity for a recovery, and nothing
// else.
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

// seconds rounds up, so that the countdown of a client does not end too early.
func seconds(d time.Duration) int { return int(math.Ceil(max(d, 0).Seconds())) }
