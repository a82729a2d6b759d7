package users

import (
	"strings"
	"sync"
	"unicode/utf8"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/rescue"
)

// EventRefused is sent to a client before it is disconnected because the id of its user
// cannot be used: {code: "invalid_user"}.
const EventRefused = "user_refused"

// errInvalidID is for ids that could not be sent to other servers, or kept.
func errInvalidID() *sio.Error {
	return &sio.Error{Message: "invalid user", Data: refusal{"invalid_user"}}
}

type refusal struct {
	Code string `json:"code"`
}

func isNobody(id string) bool { return strings.TrimSpace(id) == "" }

// A socket is what is kept for a socket of the namespace.
type socket struct {
	mu     sync.Mutex
	id     string // of its user; "" for nobody
	want   string // the user whose it is to be
	asked  uint64 // how often Update has asked for it
	moving bool   // a call of Update makes it want's, and looks again when it has
	ended  bool
}

func (u *Users) middleware(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		c.OnAccept(u.accept)
		return next(c)
	}
}

// accept runs when a client was accepted, or has recovered its session.
func (u *Users) accept(c *sio.Ctx) error {
	s := new(socket)
	u.sockets.Set(c.Socket, s)
	if !c.OnEnd(func() { u.end(s) }) {
		return nil // it has gone meanwhile
	}
	c.OnOwnIdentity(func() { _ = u.Update(c.Socket) }) // the client was told
	return u.Update(c.Socket)
}

// Update asks again who the user of a socket is. Call it when the function that was given to
// [New] returns another id than before. For package auth, this is not necessary. If the
// user is another one, the socket leaves the set of the former user, and so may go
// offline. If the id cannot be used, the socket is disconnected, and Update returns an
// error.
//
// Functions of [sio.Namespace.OnRoom] may call Update. While another call for the same socket
// is under way, Update does not wait for it: that call also makes the newer change.
func (u *Users) Update(s *sio.Socket) error {
	mine, ok := u.sockets.Get(s)
	if !ok {
		return nil // it was not accepted yet
	}
	mine.mu.Lock()
	mine.asked++
	asked := mine.asked
	mine.mu.Unlock()
	id := u.idOf(s)
	if len(id) > MaxID || !utf8.ValidString(id) {
		err := errInvalidID()
		_ = s.Emit(EventRefused, err.Data) // the socket may have gone
		_ = s.Disconnect()
		return err
	}
	u.move(s, mine, asked, id)
	return nil
}

// idOf returns the id of the socket's user. If the function panics, nobody is the user.
func (u *Users) idOf(s *sio.Socket) (id string) {
	err := rescue.Apart(func() error {
		id = u.id(s)
		return nil
	})
	if err != nil {
		u.logFailure("function of users.New failed", err)
		return ""
	}
	if isNobody(id) {
		return ""
	}
	return strings.Clone(id) // a framework may use its memory again
}

// move makes a socket one of a user's. First it joins the new room, so that the user's
// broadcasts reach it when the user is online. If Update was called again since it asked, that
// call knows better.
//
// No lock is held while the socket joins rooms: functions of [sio.Namespace.OnRoom] run then,
// and they may call Update. Such a call leaves the work to the one that is under way.
func (u *Users) move(s *sio.Socket, mine *socket, asked uint64, id string) {
	mine.mu.Lock()
	defer mine.mu.Unlock()
	if mine.asked != asked {
		return
	}
	mine.want = id
	if mine.moving {
		return
	}
	mine.moving = true
	defer func() { mine.moving = false }()
	for !mine.ended {
		id := mine.want
		if err := u.setRoomUnlocked(s, mine, id); err != nil {
			return // the socket has gone, and ends in a moment
		}
		if mine.ended || mine.want != id {
			continue
		}
		if was := mine.id; id != was {
			mine.id = id
			u.change(u, id, was)
		}
		return
	}
}

// setRoomUnlocked is setRoom without the lock, which its caller holds.
func (u *Users) setRoomUnlocked(s *sio.Socket, mine *socket, id string) error {
	mine.mu.Unlock()
	defer mine.mu.Lock()
	return u.setRoom(s, id)
}

// setRoom pins the socket to the room of the user, and takes it out of that of another one.
func (u *Users) setRoom(s *sio.Socket, id string) error {
	var stale []string
	for _, room := range s.Pinned() { // also after a recovery
		if strings.HasPrefix(room, roomPrefix) && room != roomPrefix+id {
			stale = append(stale, room)
		}
	}
	if id != "" {
		if err := s.Pin(roomPrefix + id); err != nil {
			return err
		}
	}
	if len(stale) == 0 {
		return nil
	}
	return s.Unpin(stale...)
}

// end runs when the socket has ended.
func (u *Users) end(s *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.id
	s.id, s.ended = "", true
	u.change(u, "", was)
}
