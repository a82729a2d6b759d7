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

var errOtherSubject = fmt.Errorf("%w: the token is for another subject", ErrForbidden)

// sessionKey keeps the session of a socket. Its identity survives a recovery of
// the socket on another server.
var sessionKey = sio.NewDataKey[*session]("auth.session") //nolint:gochecknoglobals // a name, which nothing changes

// A session is the time that a socket spends behind a guard. It has one timer, if
// its token has an end.
type session struct {
	opts *options

	mu      sync.Mutex
	socket  *sio.Socket // nil when it has ended
	bearer  bearer
	was     *identity // when it has ended, perhaps on another server
	demands []demand  // what was asked of the bearer at connect time
	timer   *time.Timer
	warned  bool
	begun   bool
	over    bool
}

// A demand is what [Scope] and its like ask.
type demand func(claims any, c *sio.Ctx) error

func newSession(socket *sio.Socket, b bearer, opts *options) *session {
	return &session{opts: opts, socket: socket, bearer: b}
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

func (s *session) identity() identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.was != nil {
		return *s.was
	}
	return s.bearer.identity()
}

// mayBecome reports whether b may take over what the socket has: its rooms, and
// what it missed. Nobody's may become somebody's, but nothing else.
func (s *session) mayBecome(b *bearer) bool {
	was := s.identity()
	return !was.Known || was == b.identity()
}

// MarshalJSON implements [json.Marshaler].
func (s *session) MarshalJSON() ([]byte, error) { return json.Marshal(s.identity()) }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *session) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &s.was) }

// current returns the claims, and an error if there are none or they are good no
// longer.
func (s *session) current() (claims any, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.bearer.claims == nil:
		return nil, ErrMissing
	case s.over || s.bearer.expired():
		return nil, ErrExpired
	}
	return s.bearer.claims, nil
}

// demand has d asked about new claims, too.
func (s *session) demand(d demand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.demands = append(s.demands, d)
}

// begin has the bearer be found by its rooms and watches the end of its token.
func (s *session) begin(c *sio.Ctx) error {
	s.mu.Lock()
	b, begun := s.bearer, s.begun
	s.begun = true
	s.mu.Unlock()
	if begun {
		return nil
	}
	if err := settle(c.Socket, b.rooms()); err != nil {
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
	s.watch()
	return nil
}

// settle pins a socket to rooms of ours, and takes it out of others: those of an
// earlier token.
func settle(socket *sio.Socket, rooms []string) error {
	if err := socket.Pin(rooms...); err != nil {
		return err
	}
	stale := slices.DeleteFunc(socket.Rooms(), func(r string) bool { return !ours(r) || slices.Contains(rooms, r) })
	return socket.Unpin(stale...)
}

// replace makes b the bearer of a socket that is connected. It is called by its
// handlers only.
func (s *session) replace(c *sio.Ctx, b bearer) error {
	if !s.mayBecome(&b) {
		return errOtherSubject
	}
	s.mu.Lock()
	old, demands := s.bearer, s.demands
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
	if err == nil && !s.swap(b) {
		err = ErrExpired // the new token came too late
	}
	if err != nil {
		b = old
	}
	return errors.Join(err, settle(c.Socket, b.rooms()))
}

func (s *session) swap(b bearer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.bearer, s.warned = b, false
	s.watch()
	return true
}

// watch sets the timer to whatever comes next. The caller holds the lock.
func (s *session) watch() {
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.bearer.expires.IsZero() || s.over {
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
	socket := s.socket
	if s.over || !socket.Connected() {
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
			_ = socket.Emit(EventExpiring, expiring{seconds(left)}) // who has gone needs no warning
		}
		return
	}
	s.over = true
	subject := s.bearer.subject
	s.mu.Unlock()
	defer func() { _ = socket.Disconnect() }() // whatever becomes of its last words
	s.opts.log.Debug("token expired", slog.String("ns", socket.Namespace().Name()), slog.String("sid", socket.ID()))
	s.opts.tell(Event{Kind: Expired, Socket: socket, Subject: subject, Code: CodeExpired})
	_ = socket.Emit(EventExpired, refusal{CodeExpired}) // likewise
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
	s.over, s.was, s.socket, s.timer = true, &was, nil, nil
}

// expiring is the argument of EventExpiring, and the ack of a refresh.
type expiring struct {
	ExpiresIn int `json:"expiresIn"` // seconds
}

// seconds rounds up: a client that counts down does not come to 0 too early.
func seconds(d time.Duration) int { return int(math.Ceil(max(d, 0).Seconds())) }
