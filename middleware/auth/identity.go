package auth

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sioplug/sioplug/internal/own"
)

// An Identity has the claims that many issuers use. Embed it in your own claims, or use
// it alone. It has the methods that [Scope] and [Role] need.
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

// As makes claims of a value that a framework's middleware has stored, for [From]. v can
// be
//
//   - a *C or a C,
//   - a map, which As decodes into a C,
//   - a [jwt.Token] whose claims are one of these. The JWT middleware of Echo and Fiber
//     stores such a token, by default with [jwt.MapClaims].
//
// For nil and for zero values, such as User{}, "", a pointer to one, or an empty map, As
// returns nil: the client is anonymous. Many applications store such a value for
// visitors. Any other type is an internal error of the server.
func As[C any](v any) (*C, error) {
	if t, ok := v.(*jwt.Token); ok && t != nil {
		if !t.Valid {
			return nil, &tokenError{ErrInvalid, "it has not been verified"}
		}
		v = t.Claims
	}
	if empty(reflect.ValueOf(v)) {
		return nil, nil //nolint:nilnil // the client is anonymous, which is no error
	}
	switch c := v.(type) {
	case *C:
		return c, nil
	case C:
		return &c, nil
	}
	if m := reflect.TypeFor[map[string]any](); reflect.TypeOf(v).ConvertibleTo(m) {
		claims, _ := reflect.TypeAssert[map[string]any](reflect.ValueOf(v).Convert(m))
		return decodeClaims[C](claims)
	}
	return nil, fmt.Errorf("auth: As is for %T, but the middleware has left %T", new(C), v)
}

// empty reports whether a value, or the value that it points to, is zero or has no
// elements.
func empty(v reflect.Value) bool {
	switch {
	case !v.IsValid():
		return true
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		return v.IsNil() || empty(v.Elem())
	case v.Kind() == reflect.Map || v.Kind() == reflect.Slice:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

// nilIfEmpty returns claims, or nil if they are empty. Claims of a type without fields
// are never empty: they only say that the client is signed in.
func nilIfEmpty[C any](claims *C) *C {
	if claims == nil || reflect.TypeFor[C]().Size() > 0 && empty(reflect.ValueOf(claims)) {
		return nil
	}
	return claims
}

// decodeClaims decodes the claims that a JWT middleware has stored.
func decodeClaims[C any](m map[string]any) (*C, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("auth: reading claims: %w", err)
	}
	claims := new(C)
	if err := json.Unmarshal(data, claims); err != nil {
		return nil, &tokenError{ErrInvalid, fmt.Sprintf("its claims do not fit %T: %v", claims, err)}
	}
	return nilIfEmpty(claims), nil
}

// An identity identifies the user of a socket. The zero value is an anonymous client.
type identity struct {
	Known   bool   `json:"known"` // the client is signed in, even if the other fields are empty
	Issuer  string `json:"iss,omitempty"`
	Subject string `json:"sub,omitempty"`
}

// sameUser reports whether two identities are of the same user. Without a subject, that
// is unknown, so it returns false.
func (i identity) sameUser(other identity) bool { return i.Subject != "" && i == other }

// A Token describes a token by its claims. A field is zero if the claims do not have it.
// Claims that are not of the JWT library need the same methods.
type Token struct {
	Issuer   string
	Subject  string
	ID       string // the claim jti
	IssuedAt time.Time
	Expires  time.Time // without any leeway
}

// describe returns the description of a token by its claims. The subject is that of
// [SubjectOf], if that was given. A blank subject is none.
func (o *options) describe(claims any) Token {
	t := describe(claims)
	if o != nil && o.subject != nil { // nil for what another server has saved
		t.Subject = o.subject(claims)
	}
	if strings.TrimSpace(t.Subject) == "" {
		t.Subject = ""
	}
	return t
}

// describePrincipal is describe for a client that connects. If there is no subject, it
// logs that once, because the operator would not notice it otherwise.
func (o *options) describePrincipal(claims any) Token {
	t := o.describe(claims)
	if t.Subject == "" {
		o.subjectWarning.Do(func() {
			o.log.Warn("a client without a subject is signed in: its socket cannot be refreshed, recovered or revoked, and limits "+
				"by user use its address: add auth.SubjectOf, which finds the subject in the claims", slog.String("claims", fmt.Sprintf("%T", claims)))
		})
	}
	return t
}

func describe(claims any) Token {
	t := Token{Issuer: issuer(claims), ID: tokenID(claims)}
	// Getters fail for claims of the wrong type. Those that matter were verified.
	if c, ok := claims.(interface{ GetSubject() (string, error) }); ok {
		t.Subject, _ = c.GetSubject()
	}
	type date = *jwt.NumericDate
	if c, ok := claims.(interface{ GetIssuedAt() (date, error) }); ok {
		t.IssuedAt = timeOf(c.GetIssuedAt())
	}
	if c, ok := claims.(interface{ GetExpirationTime() (date, error) }); ok {
		t.Expires = timeOf(c.GetExpirationTime())
	}
	return t
}

func issuer(claims any) string {
	c, ok := claims.(interface{ GetIssuer() (string, error) })
	if !ok {
		return ""
	}
	iss, _ := c.GetIssuer() // likewise
	return iss
}

func timeOf(d *jwt.NumericDate, err error) time.Time {
	if err != nil || d == nil {
		return time.Time{}
	}
	return d.Time
}

// tokenID returns the claim jti. The JWT library's interface has no method for it.
func tokenID(claims any) string {
	if _, ok := claims.(jwt.Claims); !ok {
		return "" // a user, not a token
	}
	var t struct {
		ID string `json:"jti"`
	}
	data, err := json.Marshal(claims)
	if err != nil || json.Unmarshal(data, &t) != nil {
		return ""
	}
	return t.ID
}

// A principal is the user of a socket. The zero value is an anonymous client.
type principal struct {
	claims  any // a *C
	subject string
	tokenID string
	expires time.Time // zero for never
}

func newPrincipal(claims any, t Token, leeway time.Duration) principal {
	b := principal{claims: claims, subject: t.Subject, tokenID: t.ID}
	if !t.Expires.IsZero() {
		b.expires = t.Expires.Add(leeway)
	}
	return b
}

func (b *principal) identity() identity {
	if b.claims == nil {
		return identity{}
	}
	return identity{true, issuer(b.claims), b.subject}
}

func (b *principal) expired() bool { return !b.expires.IsZero() && !time.Now().Before(b.expires) }

// rooms returns the rooms by which RevokeSubject and RevokeToken find the principal.
func (b *principal) rooms() []string {
	var rooms []string
	if b.subject != "" {
		rooms = append(rooms, subjectRoom(b.subject))
	}
	if b.tokenID != "" {
		rooms = append(rooms, tokenRoom(b.tokenID))
	}
	return rooms
}

func subjectRoom(subject string) string { return own.RoomOfSubject + subject }
func tokenRoom(id string) string        { return own.RoomOfJTI + id }

func isAuthRoom(room string) bool {
	return strings.HasPrefix(room, own.RoomOfSubject) || strings.HasPrefix(room, own.RoomOfJTI)
}
