package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/own"
	"github.com/sioplug/sioplug/internal/rescue"
)

// EventLeft is sent to a client that was taken out of a room because its user may not be in it
// any more: {room, code}.
const EventLeft = "room_left"

// Rooms decides which sockets of a namespace may be in which rooms. Make it with [NewRooms].
// All methods are safe for concurrent use.
type Rooms struct {
	ns  *sio.Namespace
	may func(ctx context.Context, claims any, room string) error

	mu      sync.Mutex
	pending []string // subjects to be checked again, for other servers
	all     bool     // too many waited: all sockets are to be checked
	working bool
}

// NewRooms puts a door before the rooms of a namespace. Call it once for a namespace, behind
// [Require] or [From]:
//
//	chat.UseConnect(auth.Require(verify))
//	rooms := auth.NewRooms(chat, func(ctx context.Context, claims *Claims, room string) error {
//		if team, ok := strings.CutPrefix(room, "team:"); ok && claims.IsIn(team) {
//			return nil
//		}
//		return auth.ErrForbidden
//	})
//	chat.On("join", sio.Bind(func(c *sio.Ctx, room string) error { return rooms.Enter(c, room) }))
//
// may returns nil if the user may be in a room. It is asked about all rooms but those of
// [sio.Socket.Pin] and that of the socket's id, also about rooms that your program has put the
// socket into with [sio.Socket.Join]. So return nil for rooms that need no rights. Refuse all
// names that you do not know: the room of each socket has its id as its name, and whoever
// enters it gets what is sent to that socket. For an anonymous socket, claims is nil. may can ask a database. It has to heed its context, and
// may be called at the same time for different sockets. Any error means no, and so does a
// panic.
//
// May is asked
//
//   - by [Rooms.Enter], which a handler calls instead of [sio.Socket.Join],
//   - after [Refresh], with the new claims,
//   - by [Rooms.Recheck], when the rights of a user have changed,
//   - when a client recovers its session. If it may not be in one of its rooms any more, it
//     gets a fresh socket, in no room and without the events that it missed.
//
// A socket that may not be in a room any more gets [EventLeft], and is in it no longer. Who
// loses the token itself, by its end or by a revocation, is disconnected anyway.
func NewRooms[C any](ns *sio.Namespace, may func(ctx context.Context, claims *C, room string) error) *Rooms {
	if ns == nil || may == nil {
		misuse.Panic("auth: NewRooms needs a namespace and a function")
	}
	r := &Rooms{ns: ns, may: func(ctx context.Context, claims any, room string) error {
		if claims == nil {
			return may(ctx, nil, room)
		}
		typed, ok := claims.(*C)
		if !ok {
			return fmt.Errorf("auth: NewRooms is for %T, but the socket has %T", typed, claims)
		}
		return may(ctx, typed, room)
	}}
	ns.OnOwnServerEvent(own.Rooms, r.onRecheck) // also without a cluster: it panics the second time
	ns.UseConnect(r.middleware)
	return r
}

var (
	errNoRequire  = errors.New("auth: NewRooms has to come behind auth.Require or auth.From")
	errOtherRooms = errors.New("auth: Enter is for sockets of the namespace of NewRooms")
)

func (r *Rooms) middleware(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		c.OnRecover(r.admit)
		if err := r.admit(c); err != nil {
			return err
		}
		c.OnAccept(r.accept)
		return next(c)
	}
}

// admit connects the rooms with a socket. It refuses to continue a session in rooms that its
// user may not be in any more, since the client would get what it missed there.
func (r *Rooms) admit(c *sio.Ctx) error {
	s := sessionOf(c.Socket)
	if s == nil || s.opts == nil {
		return errNoRequire
	}
	s.mu.Lock()
	s.rooms = r
	claims := s.principal.claims
	s.mu.Unlock()
	for _, room := range c.OwnRecoveredRooms() {
		if room == c.ID() {
			continue
		}
		if err := r.ask(c.Context(), claims, room); err != nil {
			return fmt.Errorf("%w: its user may not be in room %q: %w", sio.ErrNotRecovered, room, err)
		}
	}
	return nil
}

// accept checks the rooms of a recovered socket again: it was not to be found meanwhile.
func (r *Rooms) accept(c *sio.Ctx) error {
	if s := sessionOf(c.Socket); s != nil && c.Recovered() {
		s.recheck(c.Context(), r, c.Socket)
	}
	return nil
}

// Enter puts the client's socket into all of the rooms, if its user may be in them. Otherwise
// it puts the socket into none of them, and returns an error for the client: that of may. It
// is [CodeForbidden] for [ErrForbidden].
//
// may is not asked about rooms that the socket is in. Enter always refuses the rooms by which
// this package, users and ratelimit find the sockets of a user.
func (r *Rooms) Enter(c *sio.Ctx, rooms ...string) error {
	s := sessionOf(c.Socket)
	switch {
	case s == nil || s.opts == nil:
		return errNoRequire
	case s.doors() != r:
		return errOtherRooms
	}
	err := s.opts.refuse(r.enter(c, s, rooms))
	if err != nil {
		s.opts.notifyDenied(c, s.subject(), err)
	}
	return err
}

func (r *Rooms) enter(c *sio.Ctx, s *session, rooms []string) error {
	rooms = others(c.Rooms(), rooms)
	if i := slices.IndexFunc(rooms, own.IsRoom); i >= 0 {
		return fmt.Errorf("%w: room %q is for finding the sockets of a user", ErrForbidden, rooms[i])
	}
	joined, allowed := false, false
	defer func() { // also if may panics
		if joined && !allowed {
			_ = c.Leave(rooms...) // the socket may have gone
		}
	}()
	for {
		claims, checks, err := s.forRooms()
		if err != nil {
			return err
		}
		for _, room := range rooms {
			if err := r.may(c.Context(), claims, room); err != nil {
				return err
			}
		}
		if err := c.Join(rooms...); err != nil {
			return err
		}
		joined = true
		if s.checkedSince(checks) {
			allowed = true
			return nil
		}
		// Rights have changed meanwhile, and the check did not find these rooms. So ask again.
	}
}

// others returns the rooms that are not among the first ones, each once.
func others(was, rooms []string) []string {
	seen := make(map[string]struct{}, len(was)+len(rooms))
	for _, room := range was {
		seen[room] = struct{}{}
	}
	return slices.DeleteFunc(slices.Clone(rooms), func(room string) bool {
		_, is := seen[room]
		seen[room] = struct{}{}
		return is
	})
}

// ask is may for a caller that has to go on.
func (r *Rooms) ask(ctx context.Context, claims any, room string) error {
	return rescue.Apart(func() error { return r.may(ctx, claims, room) })
}

// recheckTime is how long may can take for all rooms of a socket in a check.
const recheckTime = 10 * time.Second

// Recheck asks again which rooms the sockets of a subject may be in, on all servers. Call it
// when the rights of a user have changed, and may knows of that. When it returns, it is done
// on this server. If it returns an error, other servers could not be told.
//
// The end of ctx does not end the check: a right that was taken away must not stay, nor any
// other be lost. may has 10 seconds for the rooms of a socket.
func (r *Rooms) Recheck(ctx context.Context, subject string) error {
	if strings.TrimSpace(subject) == "" {
		return nil
	}
	r.recheckSockets(ctx, r.socketsOf(subject).Sockets())
	if !r.ns.Clustered() {
		return nil
	}
	if err := r.ns.OwnServerSideEmit(own.Rooms, subject); err != nil {
		return fmt.Errorf("auth: other servers have not checked the rooms of a user again: %w", err)
	}
	return nil
}

// socketsOf returns the sockets of a subject on this server.
func (r *Rooms) socketsOf(subject string) sio.Broadcast { return r.ns.To(subjectRoom(subject)).Local() }

func (r *Rooms) recheckSockets(ctx context.Context, sockets []*sio.Socket) {
	for _, socket := range sockets {
		if s := sessionOf(socket); s != nil && s.opts != nil {
			s.recheck(ctx, r, socket)
		}
	}
}

// maxPending is how many subjects wait to be checked again. Beyond that, all sockets are
// checked, so that no check is lost.
const maxPending = 10_000

// onRecheck does what another server asks for, on a goroutine that other events do not wait
// for.
func (r *Rooms) onRecheck(ctx context.Context, args sio.Args) (any, error) {
	var subject string
	if err := args.Bind(&subject); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.all || slices.Contains(r.pending, subject):
		return nil, nil //nolint:nilnil // no answer
	case len(r.pending) >= maxPending:
		r.pending, r.all = nil, true
	default:
		r.pending = append(r.pending, strings.Clone(subject))
	}
	if !r.working {
		r.working = true
		go r.work(context.WithoutCancel(ctx)) // ends when the list is empty
	}
	return nil, nil //nolint:nilnil // no answer
}

func (r *Rooms) work(ctx context.Context) {
	for sockets, ok := r.next(); ok; sockets, ok = r.next() {
		_ = rescue.Apart(func() error { // what fails is logged
			r.recheckSockets(ctx, sockets.Sockets())
			return nil
		})
	}
}

// next returns the sockets to be checked next. It reports whether there are any.
func (r *Rooms) next() (sockets sio.Broadcast, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.all:
		r.all = false
		return r.ns.Broadcast().Local(), true
	case len(r.pending) > 0:
		subject := r.pending[0]
		r.pending = r.pending[1:]
		return r.socketsOf(subject), true
	default:
		r.working = false
		return sockets, false
	}
}

// forRooms returns the claims to ask for rooms with, nil for an anonymous socket, and how
// often the rooms were checked again.
func (s *session) forRooms() (claims any, checks uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.principal.expired() {
		return nil, 0, ErrExpired
	}
	return s.principal.claims, s.checks, nil
}

func (s *session) checkedSince(checks uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checks == checks
}

// recheck takes a socket out of the rooms that its user may not be in any more. A call of
// Enter at the same time asks again, because its answers may be old. If the socket ends, so
// does the check: if its client comes back, admit asks.
func (s *session) recheck(ctx context.Context, r *Rooms, socket *sio.Socket) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recheckTime)
	defer cancel()
	defer context.AfterFunc(socket.Context(), cancel)() //nolint:contextcheck // a second reason to end
	s.mu.Lock()
	s.checks++
	claims := s.principal.claims
	s.mu.Unlock()
	for _, room := range socket.Rooms() {
		if room == socket.ID() {
			continue
		}
		err := r.ask(ctx, claims, room)
		switch {
		case socket.Context().Err() != nil:
			return
		case err == nil:
			continue
		}
		_ = socket.Leave(room) // it may have gone
		s.left(socket, room, err)
	}
}

// left tells of a socket that was taken out of a room.
func (s *session) left(socket *sio.Socket, room string, err error) {
	refused := s.opts.refuse(err)
	code := codeOf(refused)
	if _, ok := errors.AsType[*sio.Error](refused); !ok {
		s.opts.log.Error("function of auth.NewRooms failed", slog.String("ns", socket.Namespace().Name()), slog.String("sid", socket.ID()),
			slog.String("room", room), slog.String("err", rescue.Text(err)), slog.String("stack", string(rescue.StackOf(err))))
	}
	if code == "" {
		code = CodeForbidden
	}
	emitApart(socket, EventLeft, leftRoom{room, code})
	s.opts.notify(Event{Kind: Left, Socket: socket, Subject: s.subject(), Name: room, Code: code, Err: refused})
}

type leftRoom struct {
	Room string `json:"room"`
	Code Code   `json:"code"`
}
