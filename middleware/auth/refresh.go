package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// Refresh returns the handler of an event with which a client sends a new token,
// as its first argument: the token, or an object {token}. If verify accepts it,
// it replaces the claims of the socket, which stays connected, until that token
// expires. The ack is {expiresIn: seconds}, or {} for a token without end.
//
//	chat.On("authenticate", auth.Refresh(verify))
//
// The namespace has to have [Require] or [From], whose options apply. The new token
// has to be for the same subject, so that the rooms of one user never become
// another's: if one of the tokens has no subject, it is refused (see [SubjectOf]). It
// also has to meet what [Scope] and its like demanded at connect time. An anonymous
// socket ([AllowAnonymous]) signs in. If the new token is refused, the old one stays good
// as long as it is.
func Refresh[C any](verify Verifier[C]) sio.Handler {
	if verify == nil {
		misuse("Refresh needs a verifier, such as HS256")
	}
	return func(c *sio.Ctx) error {
		s := sessionOf(c.Socket)
		if s == nil {
			return errNoGuard
		}
		if err := refuse(refresh(c, s, verify)); err != nil {
			s.opts.notifyRefused(c.Socket, err)
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

// tokenIn returns the token that an argument is, or that an object has: that of an
// event, or of the auth payload. Clients that have an Authorization header at hand
// send it as it is, so the word Bearer may stand before the token.
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

// validity is what a client is told about its new token.
func (s *session) validity() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.principal.expires.IsZero() {
		return struct{}{}
	}
	return expiring{seconds(time.Until(s.principal.expires))}
}
