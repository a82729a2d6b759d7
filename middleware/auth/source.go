package auth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	sio "github.com/sioplug/sioplug/core"
)

// A source returns the token from one place in the request, "" if there is none.
type source func(c *sio.Ctx) (string, error)

// FromCookie also takes the token from the cookie of this name. The auth payload, the
// Authorization header and earlier options come first. Browsers send cookies with the
// requests of any page, so do not allow pages in [sio.Options.CORS] that you do not
// trust.
func FromCookie(name string) Option {
	requireValues("FromCookie", name)
	return func(o *options) {
		o.sources = append(o.sources, func(c *sio.Ctx) (string, error) {
			r := http.Request{Header: c.Handshake().Header}
			cookie, err := r.Cookie(name)
			if err != nil {
				return "", nil //nolint:nilerr // the only error is that there is none
			}
			return cookie.Value, nil
		})
	}
}

// FromQuery also takes the token from the parameter of this name in the URL. The auth
// payload, the Authorization header and earlier options come first. URLs end up in logs
// of servers and proxies. So use it only for clients that cannot send the token in
// another way, and for tokens that expire soon.
func FromQuery(name string) Option {
	requireValues("FromQuery", name)
	return func(o *options) {
		o.sources = append(o.sources, func(c *sio.Ctx) (string, error) {
			return c.Handshake().Query.Get(name), nil
		})
	}
}

// FromHeader also takes the token from a header of the request that opened the
// connection. The auth payload, the Authorization header and earlier options come first.
// scheme is the word before the token, such as "Token", in upper or lower case. If it is
// "", the value of the header is the token. Web pages cannot set headers for a WebSocket,
// so use it for other clients, and for proxies that sign users in.
func FromHeader(name, scheme string) Option {
	requireValues("FromHeader", name)
	return func(o *options) {
		o.sources = append(o.sources, func(c *sio.Ctx) (string, error) {
			value := c.Handshake().Header.Get(name)
			if scheme == "" {
				return strings.TrimSpace(value), nil
			}
			if token, ok := afterScheme(value, scheme); ok {
				return token, nil
			}
			return "", nil
		})
	}
}

// afterScheme returns the rest of a header's value after the scheme. If the value has
// another scheme or none, it returns the value.
func afterScheme(value, scheme string) (rest string, ok bool) {
	word, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if !strings.EqualFold(word, scheme) {
		return value, false
	}
	return strings.TrimSpace(rest), true
}

// fromPayload returns the field "token" of the auth payload, which is an object.
func fromPayload(c *sio.Ctx) (string, error) {
	var raw json.RawMessage
	if err := c.Bind(&raw); err != nil {
		return "", &tokenError{ErrInvalid, "the auth payload cannot be decoded"}
	}
	token, err := tokenIn(raw)
	if errors.Is(err, ErrMissing) {
		err = nil // there are other places to look at
	}
	return token, err
}

// fromHeader returns the token of an Authorization header (RFC 6750 section 2.1).
func fromHeader(c *sio.Ctx) (string, error) {
	if token, ok := afterScheme(c.Handshake().Header.Get("Authorization"), "Bearer"); ok {
		return token, nil
	}
	return "", nil
}

// token returns the token from the first place that has one, "" if none has.
func (o *options) token(c *sio.Ctx) (string, error) {
	for _, from := range append([]source{fromPayload, fromHeader}, o.sources...) {
		if token, err := from(c); token != "" || err != nil {
			return token, err
		}
	}
	return "", nil
}
