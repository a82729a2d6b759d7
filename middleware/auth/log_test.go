package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// secrets are tokens that must not be found in a text.
type secrets []string

// add notes a token, or anything else that a client sends, and returns it.
func (s *secrets) add(token string) string {
	*s = append(*s, token)
	return token
}

// shortest is the length of what is worth to be looked for.
const shortest = 9

// want fails if the text has a part of a token in it: a segment, or a piece that
// an error message could quote.
func (s *secrets) want(t *testing.T, text string) {
	t.Helper()
	for _, token := range *s {
		for part := range strings.SplitSeq(token, ".") {
			for i := 0; i+shortest <= len(part); i += shortest {
				if piece := part[i : i+shortest]; strings.Contains(text, piece) {
					t.Errorf("%q is in the log:\n%s", piece, text)
					return
				}
			}
		}
	}
}

// Whatever a client sends as a token, in whatever place, and whatever becomes of
// it: the log has none of it, at any level.
func TestTokensAreNeverLogged(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger(), MaxHandshakeBytes: 1 << 20}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		broken := errors.New("database down")
		verify := auth.With(hs256(), func(_ context.Context, id *auth.Identity) error {
			switch id.Subject {
			case "broken":
				return broken
			case "panic":
				panic("a bug")
			default:
				return nil
			}
		})
		srv.UseConnect(auth.Require(verify, auth.Logger(log.logger()), auth.FromQuery("token"), auth.FromCookie("token"),
			auth.Observe(func(e auth.Event) { log.logger().Debug("observed", slog.Any("event", e)) })))
		srv.On("authenticate", auth.Refresh(verify))
		srv.On("secret", sio.Bind(func(*sio.Ctx, struct{}) error { return nil }), auth.Scope("secret"))

		var sent secrets
		good := sent.add(token(t, nil))
		for _, tok := range []string{
			good,
			token(t, claims{"exp": 1}),
			token(t, claims{"exp": "tomorrow and tomorrow and tomorrow"}),
			token(t, claims{"nbf": 9999999999}),
			token(t, claims{"sub": 123456789012345678}),
			token(t, claims{"sub": "broken"}),
			token(t, claims{"sub": "panic"}),
			token(t, claims{"aud": map[string]any{"unexpected object": 1}}),
			tamper(good),
			good + "=",
			good + ".and more of it",
			strings.Replace(good, ".", ".!", 1),
			sealed(t, `{"sub":"unfinished`),
			sealed(t, `"just a string, no object"`),
			"abcdefghijkl.mnopqrstuvwx.yzabcdefghij",
			"no token at all but a password",
			sign(t, jwt.SigningMethodHS384, secret, ann(nil)),
			sign(t, jwt.SigningMethodHS256, secret, ann(nil), "crit", []string{"something critical"}),
			sign(t, jwt.SigningMethodHS256, secret, ann(nil), "typ", "something unusual"),
			strings.Repeat("0123456789", 2000),
		} {
			sent.add(tok)
			knock(t, d, fmt.Sprintf(`{"token":%q}`, tok))
			knock(t, d, fmt.Sprintf(`{"token":[%q]}`, tok))
			knock(t, d, fmt.Sprintf(`{"token":{"nested":%q}}`, tok))
			elsewhere := d
			elsewhere.URL += "?token=" + strings.ReplaceAll(tok, " ", "+")
			knock(t, elsewhere, "")
			elsewhere = d
			elsewhere.Header = http.Header{"Authorization": {"Bearer " + tok}}
			knock(t, elsewhere, "")
			elsewhere.Header = http.Header{"Cookie": {"token=" + tok}}
			knock(t, elsewhere, "")
			c := enter(t, d, good)
			c.Send(fmt.Sprintf(`420["authenticate",%q]`, tok), fmt.Sprintf(`421["authenticate",{"token":%q}]`, tok),
				fmt.Sprintf(`422["authenticate",[%q]]`, tok), `423["secret"]`)
			c.Next()
			c.Next()
			c.Next()
			c.Next()
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		for _, want := range []string{"token expired", "token_invalid", "database down", "a bug", "observed"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %q, so this test proves nothing:\n%s", want, log)
			}
		}
		sent.want(t, log.String())
	})
}

// knock connects to the root namespace, accepted or not.
func knock(t *testing.T, d siotest.Dialer, payload string) {
	t.Helper()
	c := d.WebSocket(t)
	c.Send("40" + payload)
	c.Next()
}

// What is said of a token that cannot be decoded tells a developer what is wrong,
// without what the token says.
func TestExplanations(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ token, want string }{
		"claim of the wrong type": {token(t, claims{"sub": 12345}), `auth: token is not valid: claim "RegisteredClaims.sub" does not fit into a string`},
		"no base64":               {"!." + token(t, nil), "auth: token is not valid: token is malformed"},
		"base64 ends early":       {"!" + token(t, nil), "auth: token is not valid: illegal base64 data at input byte 0"},
		"date is text":            {token(t, claims{"exp": "tomorrow"}), "auth: token is not valid: token is malformed"},
		"no exp":                  {token(t, claims{"exp": nil}), "auth: token is not valid: token has invalid claims: token is missing required claim: exp claim is required"},
		"wrong algorithm":         {sign(t, jwt.SigningMethodHS512, secret, ann(nil)), "auth: token is not valid: token signature is invalid: signing method HS512 is invalid"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := hs256()(t.Context(), tt.token)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
			if errors.Unwrap(err) != nil {
				t.Errorf("%#v is behind the error", errors.Unwrap(err))
			}
		})
	}
}
