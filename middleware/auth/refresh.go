package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
)

// Refresh returns the handler of an event with which a client sends a new token. The
// first argument is the token, or an object {token}. If verify accepts it, the socket
// gets the new claims and stays connected until the new token expires. The ack is
// {expiresIn: seconds}, or {} for a token that does not expire.
//
//	chat.On("authenticate", auth.Refresh(verify))
//
// The namespace needs [Require] or [From], whose options apply. The new token has to be
// for the same subject, so that the socket's rooms stay with the same user. It is refused
// if one of the two tokens has no subject: see [SubjectOf]. It also has to pass [Scope],
// [Role] and the like in the connect chain. An anonymous socket ([AllowAnonymous]) signs
// in. If the new token is refused, the old one stays valid.
func Refresh[C any](verify Verifier[C]) sio.Handler {
	if verify == nil {
		misuse.Panic("auth: Refresh needs a verifier, such as HS256")
	}
	return func(c *sio.Ctx) error {
		s := sessionOf(c.Socket)
		if s == nil {
			return errNoGuard
		}
		if err := s.opts.refuse(refresh(c, s, verify)); err != nil {
			s.opts.notifyRefused(c, err)
			return err
		}
		s.opts.notify(Event{Kind: Refreshed, Socket: c.Socket, Subject: s.subject()})
		if !c.WantsAck() {
			return nil
		}
		return c.Ack(s.validity())
	}
}

var errNoGuard = errors.New("auth: the namespace has nothing to refresh: give it auth.Require, with AllowAnonymous perhaps")

func refresh[C any](c *sio.Ctx, s *session, verify Verifier[C]) error {
	token, err := tokenArgument(c)
	if err != nil {
		return err
	}
	b, err := verified(c, s.opts, verify, token)
	if err != nil {
		return err
	}
	if now, err := s.current(); err == nil && reflect.TypeOf(now) != reflect.TypeOf(b.claims) {
		return fmt.Errorf("auth: Refresh is for %T, but the socket has %T", b.claims, now)
	}
	return s.replace(c, b)
}

// tokenArgument returns the token in an event.
func tokenArgument(c *sio.Ctx) (string, error) {
	var raw json.RawMessage
	if c.Len() == 0 || c.Bind(&raw) != nil {
		return "", ErrMissing
	}
	return tokenIn(raw)
}

// tokenIn returns the token in the argument of an event, or in the auth payload: a string,
// or an object {token}. Some clients send the value of an Authorization header, so the
// word Bearer may stand before the token.
func tokenIn(raw []byte) (token string, err error) {
	if json.Unmarshal(raw, &token) != nil {
		var object struct {
			Token string `json:"token"`
		}
		if json.Unmarshal(raw, &object) != nil {
			return "", &tokenError{ErrInvalid, "it is no string"}
		}
		token = object.Token
	}
	if token, _ = afterScheme(token, "Bearer"); token == "" {
		return "", ErrMissing
	}
	return token, nil
}

// validity returns the ack of a refresh.
func (s *session) validity() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.principal.expires.IsZero() {
		return struct{}{}
	}
	return expiring{seconds(time.Until(s.principal.expires))}
}
