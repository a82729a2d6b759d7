package auth

import (
	"encoding/json"
	"fmt"
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
// The new token has to be for the same subject, so that the rooms of one user
// never become another's; but an anonymous socket ([AllowAnonymous]) signs in.
// If the new token is refused, the old one stays good as long as it is.
func Refresh[C any](verify Verifier[C], opts ...Option) sio.Handler {
	if verify == nil {
		misuse("Refresh needs a verifier, such as HS256")
	}
	o := newOptions(opts)
	return func(c *sio.Ctx) error {
		s, err := refresh(c, verify, o)
		if err = refuse(err); err != nil {
			o.tellRefused(c.Socket, err)
			return err
		}
		o.tell(Event{Kind: Refreshed, Socket: c.Socket, Subject: s.subject()})
		if !c.WantsAck() {
			return nil
		}
		return c.Ack(s.validity())
	}
}

func refresh[C any](c *sio.Ctx, verify Verifier[C], o *options) (*session, error) {
	token, err := tokenArgument(c)
	if err != nil {
		return nil, err
	}
	b, err := verified(c, verify, token)
	if err != nil {
		return nil, err
	}
	s := sessionOf(c.Socket)
	if s == nil {
		s = newSession(c.Socket, b, o)
		sessionKey.Set(c.Socket, s)
		return s, s.begin()
	}
	if !s.sameSubject(b) {
		return nil, errOtherSubject
	}
	return s, s.replace(b)
}

// tokenArgument returns the token in an event.
func tokenArgument(c *sio.Ctx) (string, error) {
	var raw json.RawMessage
	if c.Len() == 0 || c.Bind(&raw) != nil {
		return "", ErrMissing
	}
	var token string
	if json.Unmarshal(raw, &token) != nil {
		var object struct {
			Token string `json:"token"`
		}
		if json.Unmarshal(raw, &object) != nil {
			return "", fmt.Errorf("%w: it is no string", ErrInvalid)
		}
		token = object.Token
	}
	if token == "" {
		return "", ErrMissing
	}
	return token, nil
}

// validity is what a client is told about its new token.
func (s *session) validity() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bearer.expires.IsZero() {
		return struct{}{}
	}
	return expiring{seconds(time.Until(s.bearer.expires))}
}
