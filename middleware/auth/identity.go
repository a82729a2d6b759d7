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

// As returns what a framework's middleware has left as claims, for [From]. v is a *C
// or a C, or the JWT library's token as the JWT middleware of Echo and Fiber leaves
// it. The claims of such a token are a *C or a C, or the [jwt.MapClaims] that these
// make by default: As decodes those into a C. Maps are decoded without a token, too.
//
// Nil is nobody, and so is a zero value, such as User{}, "", a pointer to one, or an
// empty map: many applications have their middleware set one for visitors. Anything
// else is an error of the server.
func As[C any](v any) (*C, error) {
	if t, ok := v.(*jwt.Token); ok && t != nil {
		if !t.Valid {
			return nil, &tokenError{ErrInvalid, "nobody has verified it"}
		}
		v = t.Claims
	}
	if empty(reflect.ValueOf(v)) {
		return nil, nil //nolint:nilnil // there is nobody, and nothing wrong
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

// empty reports whether nothing is in a value, or in what it points to.
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

// somebody returns claims, or nil if nothing is in them. A type without any fields
// cannot say more than that there is somebody, which a function of [From] says by it.
func nilIfEmpty[C any](claims *C) *C {
	if claims == nil || reflect.TypeFor[C]().Size() > 0 && empty(reflect.ValueOf(claims)) {
		return nil
	}
	return claims
}

// decodeClaims makes typed claims of those that a JWT middleware has left.
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

// An identity tells whose a socket is. The zero value is nobody's.
type identity struct {
	Known   bool   `json:"known"` // there is somebody, even if the other fields are empty
	Issuer  string `json:"iss,omitempty"`
	Subject string `json:"sub,omitempty"`
}

// is reports whether two identities are the same user's. Somebody without a subject is
// nobody's equal: not even another one's without a subject.
func (i identity) sameUser(other identity) bool { return i.Subject != "" && i == other }

// A Token is what the claims of a token say about it, as far as they do. Others
// than those of the JWT library say it by the same methods.
type Token struct {
	Issuer   string
	Subject  string
	ID       string // the claim jti
	IssuedAt time.Time
	Expires  time.Time // without any leeway
}

// describe returns what claims say about their token. The subject is what
// [SubjectOf] says, if it was given. Blanks name nobody.
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

// describeBearer is describe for somebody who connects. An operator has to know that
// the issuer names no subject, since that shows in nothing but what does not work.
func (o *options) describePrincipal(claims any) Token {
	t := o.describe(claims)
	if t.Subject == "" {
		o.subjectWarning.Do(func() {
			o.log.Warn("somebody without a subject is signed in: such sockets cannot be refreshed, recovered or revoked, and limits "+
				"by user go by address: say by auth.SubjectOf where the issuer puts it", slog.String("claims", fmt.Sprintf("%T", claims)))
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

// A bearer is whom a socket speaks for. The zero value is nobody.
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

// rooms returns the rooms by which the bearer can be found.
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

const (
	roomOfSubject = "auth:sub:"
	roomOfJTI     = "auth:jti:"
)

func subjectRoom(subject string) string { return roomOfSubject + subject }
func tokenRoom(id string) string        { return roomOfJTI + id }

func isAuthRoom(room string) bool {
	return strings.HasPrefix(room, roomOfSubject) || strings.HasPrefix(room, roomOfJTI)
}
