package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
)

// SignedIn returns middleware that refuses the events of anonymous sockets. Use it with
// [AllowAnonymous].
func SignedIn() sio.Middleware {
	return requireMiddleware(func(any, *sio.Ctx) error { return nil })
}

// Scope returns middleware that refuses the events of a socket, with [CodeForbidden],
// unless its token has all of these scopes. The type of the claims needs a method
// HasScope, as [Identity] has. Use it for one event in [sio.Namespace.On], or for all
// events in [sio.Namespace.UseEvents].
func Scope(scopes ...string) sio.Middleware {
	requireValues("Scope", scopes...)
	return requireMiddleware(func(claims any, _ *sio.Ctx) error {
		has, ok := claims.(interface{ HasScope(scope string) bool })
		if !ok {
			return fmt.Errorf("auth: %T has no method HasScope: embed auth.Identity, or use Check", claims)
		}
		for _, s := range scopes {
			if !has.HasScope(s) {
				return fmt.Errorf("%w: the token has no scope %q", ErrForbidden, s)
			}
		}
		return nil
	})
}

// Role is like [Scope] for roles: the token needs at least one of them. The type of the
// claims needs a method HasRole.
func Role(roles ...string) sio.Middleware {
	requireValues("Role", roles...)
	return requireMiddleware(func(claims any, _ *sio.Ctx) error {
		has, ok := claims.(interface{ HasRole(role string) bool })
		if !ok {
			return fmt.Errorf("auth: %T has no method HasRole: embed auth.Identity, or use Check", claims)
		}
		if slices.ContainsFunc(roles, has.HasRole) {
			return nil
		}
		return fmt.Errorf("%w: the token has none of the roles %q", ErrForbidden, roles)
	})
}

// Check returns middleware that lets an event pass if f returns nil. If f returns
// [ErrForbidden], the event is refused with [CodeForbidden]. If it returns an
// [*sio.Error], the client gets that error. Any other error is an internal error of the
// server.
func Check[C any](f func(claims *C, c *sio.Ctx) error) sio.Middleware {
	if f == nil {
		misuse.Panic("auth: Check needs a function")
	}
	return requireMiddleware(func(claims any, c *sio.Ctx) error {
		own, ok := claims.(*C)
		if !ok {
			return fmt.Errorf("auth: Check is for %T, but the socket has %T", own, claims)
		}
		return f(own, c)
	})
}

// Join is like [Check] for events with which a client asks to join a room. The room is
// the first argument of the event: a string, or the field "room" of an object. For
// several rooms, it is an array of strings, and f is called for each of them. The
// handler has to read the rooms from the same place. Join always refuses the rooms by which
// this package, users and ratelimit find the sockets of a user.
func Join[C any](f func(claims *C, room string) error) sio.Middleware {
	if f == nil {
		misuse.Panic("auth: Join needs a function")
	}
	return Check(func(claims *C, c *sio.Ctx) error {
		rooms, err := roomArgument(c)
		if err != nil {
			return err
		}
		if err := refuseOwnRooms(rooms); err != nil {
			return err
		}
		for _, room := range rooms {
			if err := f(claims, room); err != nil {
				return err
			}
		}
		return nil
	})
}

func roomArgument(c *sio.Ctx) ([]string, error) {
	var raw json.RawMessage
	if err := c.Bind(&raw); err != nil {
		return nil, err
	}
	if rooms := roomsIn(raw); len(rooms) > 0 {
		return rooms, nil
	}
	return nil, &sio.Error{Message: "invalid payload", Err: errors.New("auth: the first argument names no room")}
}

// roomsIn returns the rooms that an argument names. It returns none if the argument is
// ambiguous.
func roomsIn(raw []byte) []string {
	var room string
	if json.Unmarshal(raw, &room) == nil && raw[0] == '"' { // the decoder also accepts null
		return []string{room}
	}
	if room, ok := roomField(raw); ok {
		return []string{room}
	}
	var list []*string
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	var rooms []string
	for _, room := range list {
		if room == nil {
			return nil
		}
		rooms = append(rooms, *room)
	}
	return rooms
}

// roomField returns the field "room" of an object. It refuses an object with a second
// field that a decoder could use instead: {"room": "mine", "Room": "yours"}.
func roomField(raw []byte) (room string, ok bool) {
	const field = "room"
	fields := json.NewDecoder(bytes.NewReader(raw))
	if t, err := fields.Token(); err != nil || t != json.Delim('{') {
		return "", false
	}
	for fields.More() {
		token, err := fields.Token()
		var value json.RawMessage
		if err != nil || fields.Decode(&value) != nil {
			return "", false
		}
		name, _ := token.(string)
		if !strings.EqualFold(name, field) {
			continue
		}
		if ok || name != field || json.Unmarshal(value, &room) != nil || value[0] != '"' {
			return "", false
		}
		ok = true
	}
	return room, ok
}

// requireMiddleware returns middleware that checks a requirement. In the connect chain,
// the requirement is checked again when a session is recovered and when a token is
// refreshed.
func requireMiddleware(d requirement) sio.Middleware {
	return func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			if c.Event() == connectEvent {
				c.OnRecover(d.check)
			}
			if err := d.check(c); err != nil {
				return err
			}
			return next(c)
		}
	}
}

func (d requirement) check(c *sio.Ctx) error {
	s := sessionOf(c.Socket)
	if s == nil {
		return refuse(ErrMissing) // without Require, all clients are refused
	}
	claims, err := s.current()
	if err == nil {
		err = d(claims, c)
	}
	if err = s.opts.refuse(err); err != nil {
		s.opts.notifyDenied(c, s.subject(), err)
		return err
	}
	if c.Event() == connectEvent {
		s.addRequirement(d)
	}
	return nil
}
