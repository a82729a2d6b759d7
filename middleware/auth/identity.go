package auth

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
)

// An Identity has the claims that many issuers use: embed it in your own, or use
// it as it is. [Scope] and [Role] ask claims for their methods HasScope and
// HasRole.
type Identity struct {
	jwt.RegisteredClaims

	Scopes List `json:"scope,omitempty"` // RFC 8693 section 4.2
	Roles  List `json:"roles,omitempty"` // RFC 9068 section 2.2.3.1
}

// HasScope reports whether the scope is among the token's.
func (i *Identity) HasScope(scope string) bool { return slices.Contains(i.Scopes, scope) }

// HasRole reports whether the role is among the token's.
func (i *Identity) HasRole(role string) bool { return slices.Contains(i.Roles, role) }

// A List is a claim with several values: a string with spaces between them, or
// an array.
type List []string

// UnmarshalJSON implements [json.Unmarshaler].
func (l *List) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*l = strings.Fields(text)
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// A bearer is whom a socket speaks for.
type bearer struct {
	claims  any // a *C
	subject string
	tokenID string
	expires time.Time // zero for never
}

// newBearer reads what claims say about themselves, as far as they do.
func newBearer(claims any, grace time.Duration) bearer {
	b := bearer{claims: claims}
	if c, ok := claims.(interface{ GetSubject() (string, error) }); ok {
		b.subject, _ = c.GetSubject() // none, if it cannot be read
	}
	b.tokenID = tokenID(claims)
	c, ok := claims.(interface {
		GetExpirationTime() (*jwt.NumericDate, error)
	})
	if !ok {
		return b
	}
	if exp, err := c.GetExpirationTime(); err == nil && exp != nil {
		b.expires = exp.Add(grace)
	}
	return b
}

// tokenID returns the claim jti. The JWT library's interface has no method for it.
func tokenID(claims any) string {
	var t struct {
		ID string `json:"jti"`
	}
	data, err := json.Marshal(claims)
	if err != nil || json.Unmarshal(data, &t) != nil {
		return ""
	}
	return t.ID
}

// rooms returns the private rooms by which the bearer can be found.
func (b *bearer) rooms() []string {
	var rooms []string
	if b.subject != "" {
		rooms = append(rooms, subjectRoom(b.subject))
	}
	if b.tokenID != "" {
		rooms = append(rooms, tokenRoom(b.tokenID))
	}
	return rooms
}

func (b *bearer) expired() bool { return !b.expires.IsZero() && !time.Now().Before(b.expires) }

func subjectRoom(subject string) string { return "auth:sub:" + subject }
func tokenRoom(id string) string        { return "auth:jti:" + id }

// RevokeSubject disconnects all sockets of a namespace, on all servers of its
// cluster, that connected as this subject (the claim sub), after telling them by
// [EventRevoked]. It does not keep them from coming back: for that the verifier
// has to refuse their tokens, see [With].
func RevokeSubject(ns *sio.Namespace, subject string) error { return revoke(ns, subjectRoom(subject)) }

// RevokeToken is like [RevokeSubject] for the sockets that connected with the
// token of this id (the claim jti).
func RevokeToken(ns *sio.Namespace, id string) error { return revoke(ns, tokenRoom(id)) }

func revoke(ns *sio.Namespace, room string) error {
	if err := ns.To(room).Emit(EventRevoked, refusal{CodeRevoked}); err != nil {
		return err
	}
	return ns.To(room).Disconnect()
}
