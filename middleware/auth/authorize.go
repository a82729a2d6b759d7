package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	sio "github.com/sioplug/sioplug/core"
)

// SignedIn returns middleware that lets the events of sockets with claims pass.
// It is of use with [AllowAnonymous].
func SignedIn() sio.Middleware {
	return requireMiddleware(func(any, *sio.Ctx) error { return nil })
}

// Scope returns middleware that lets the events of sockets pass whose token has
// all of these scopes. The type of the claims has to have a method HasScope, as
// [Identity] has. Like all middleware here it is for an event, on its line, or for
// all by [sio.Namespace.UseEvents]; others are refused with [CodeForbidden].
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

// Role is like [Scope] for sockets whose token has any of these roles, by a method
// HasRole.
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

// Check returns middleware that lets an event pass if f returns nil. [ErrForbidden]
// refuses it; so does an [*sio.Error], with what that says. Any other error is one
// of the server's.
func Check[C any](f func(claims *C, c *sio.Ctx) error) sio.Middleware {
	if f == nil {
		misuse("Check needs a function")
	}
	return requireMiddleware(func(claims any, c *sio.Ctx) error {
		own, ok := claims.(*C)
		if !ok {
			return fmt.Errorf("auth: Check is for %T, but the socket has %T", own, claims)
		}
		return f(own, c)
	})
}

// Join is like [Check] for events by which a client asks to be put into a room.
// The room is the event's first argument: a string, or the field "room" of an
// object; or several as an array of strings, for each of which f is asked. The
// handler has to take it from there, too.
func Join[C any](f func(claims *C, room string) error) sio.Middleware {
	if f == nil {
		misuse("Join needs a function")
	}
	return Check(func(claims *C, c *sio.Ctx) error {
		rooms, err := roomArgument(c)
		if err != nil {
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

// roomsIn returns the rooms that an argument names, none if there is any doubt.
func roomsIn(raw []byte) []string {
	var room string
	if json.Unmarshal(raw, &room) == nil && raw[0] == '"' { // null is nothing to a decoder
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

// roomField returns the field "room" of an object. There must be no other one
// that a decoder could take for it: {"room": "mine", "Room": "yours"}.
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

// guarded returns middleware that asks demand about sockets with claims that are
// still good. In the connect chain it is asked again whenever somebody else may be
// behind the socket, or other claims.
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
		return refuse(ErrMissing) // whoever forgot Require lets nobody in
	}
	claims, err := s.current()
	if err == nil {
		err = d(claims, c)
	}
	if err = refuse(err); err != nil {
		s.opts.notifyDenied(c, s.subject(), err)
		return err
	}
	if c.Event() == connectEvent {
		s.addRequirement(d)
	}
	return nil
}
