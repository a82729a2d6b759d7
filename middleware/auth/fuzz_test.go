package auth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	json2 "github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"

	"github.com/sioplug/sioplug/middleware/auth"
)

// Nobody who has not got the keys makes a token that is accepted, and whoever asks
// learns one of our errors.
func FuzzToken(f *testing.F) {
	k := keys()
	verifiers := map[string]auth.Verifier[auth.Identity]{
		"HS256": hs256(),
		"RS256": auth.RS256[auth.Identity](&k.rsa.PublicKey),
		"ES256": auth.ES256[auth.Identity](&k.p256.PublicKey),
		"EdDSA": auth.EdDSA[auth.Identity](k.edwards),
		"strict": hs256(auth.Issuer("me"), auth.Audience("chat"), auth.Type("at+jwt"),
			auth.RequireClaims("tenant")),
	}
	good := token(f, claims{"exp": 99999999999})
	for _, tok := range []string{
		good, tamper(good), good + ".", "." + good, strings.ToUpper(good), "", "..", "a.b.c",
		sign(f, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, ann(nil)),
		sealed(f, `null`), sealed(f, `{"exp":1e400}`), sealed(f, `{"aud":[[]],"exp":-1}`), sealed(f, `[`),
		"eyJhbGciOiJIUzI1NiIsImNyaXQiOltdfQ.e30.", "bnVsbA.bnVsbA.bnVsbA",
	} {
		f.Add(tok)
	}
	f.Fuzz(func(t *testing.T, tok string) {
		for name, verify := range verifiers {
			claims, err := verify(t.Context(), tok)
			switch {
			case err == nil && (claims == nil || name == "strict" || !sealedBySecret(tok)):
				t.Errorf("%s accepts %q: %+v", name, tok, claims)
			case err != nil && !errors.Is(err, auth.ErrInvalid) && !errors.Is(err, auth.ErrExpired):
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// sealedBySecret is a second opinion on what HS256 accepts.
func sealedBySecret(tok string) bool {
	parts := strings.Split(tok, ".")
	if len(parts) != 3 {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	return parts[2] == base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// What a signed token says is up to its issuer, and can be anything.
func FuzzClaims(f *testing.F) {
	for _, c := range []string{
		`{"sub":"ann","exp":99999999999}`, `{"exp":1e308,"nbf":-1e308}`, `{"scope":["a",null],"roles":7,"exp":1}`,
		`null`, `[]`, `{"jti":{"jti":"x"}}`, `{"aud":"chat","exp":99999999999,"iat":0.5}`, `{"exp":null}`, `{"exp":"99999999999"}`,
	} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		for _, verify := range []auth.Verifier[auth.Identity]{hs256(), hs256(auth.InsecureNoExpiry(), auth.RequireClaims("sub"))} {
			id, err := verify(t.Context(), sealed(t, payload))
			if err != nil {
				if !errors.Is(err, auth.ErrInvalid) && !errors.Is(err, auth.ErrExpired) {
					t.Errorf("%s: %v", payload, err)
				}
				continue
			}
			for _, s := range id.Scopes {
				if !id.HasScope(s) {
					t.Errorf("%s: no scope %q", payload, s)
				}
			}
		}
		_, _ = auth.HS256[jwt.MapClaims](secret)(t.Context(), sealed(t, payload))
	})
}

func FuzzList(f *testing.F) {
	for _, l := range []string{`"a b"`, `["a","b c"]`, `""`, `null`, `[null]`, `[1]`, `{}`, `"\u00a0a\u2028b"`} {
		f.Add([]byte(l))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var l auth.List
		if json.Unmarshal(data, &l) != nil {
			return
		}
		// What a list says survives being written and read.
		out, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var again auth.List
		if err := json.Unmarshal(out, &again); err != nil || !slices.Equal(again, l) {
			t.Errorf("%s: %q, then %q (%v)", data, l, again, err)
		}
		var text string
		if json.Unmarshal(data, &text) == nil && slices.ContainsFunc(l, func(s string) bool { return strings.Contains(s, " ") }) {
			t.Errorf("%s: %q has spaces in it", data, l)
		}
	})
}

// A handler must never see another room than the guard has asked about, however it
// decodes its argument.
func FuzzRooms(f *testing.F) {
	for _, a := range []string{
		`"a"`, `["a","b"]`, `{"room":"a"}`, `{"room":"a","Room":"b"}`, `{"room":"a","room":"b"}`, `{"Room":"a"}`,
		`{"ROOM":"a","x":{"room":"b"}}`, `{"room":null}`, `[null]`, `null`, `{"\u0072oom":"a"}`, `{"room":"a"`, `{"room":"\ud800"}`,
		`{"r\u00f6om":"a","room":"b"}`, `{"room":"a","roo\u006d":"b"}`,
	} {
		f.Add([]byte(a))
	}
	type object struct {
		Room string `json:"room"`
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return // no packet has such an argument
		}
		asked := auth.RoomsIn(raw)
		if len(asked) == 0 {
			return // refused
		}
		see := func(how string, rooms ...string) {
			for _, r := range rooms {
				if !slices.Contains(asked, r) {
					t.Errorf("%s: asked about %q, but %s sees %q", raw, asked, how, r)
				}
			}
		}
		var text string
		if json.Unmarshal(raw, &text) == nil {
			see("a string", text)
		}
		var list []string
		if json.Unmarshal(raw, &list) == nil {
			see("a list", list...)
		}
		var o object
		if json.Unmarshal(raw, &o) == nil {
			see("an object", o.Room)
		}
		var strict object // as values with binary data are decoded
		if json2.Unmarshal(raw, &strict) == nil {
			see("a strict object", strict.Room)
		}
		var loose map[string]any
		if json.Unmarshal(raw, &loose) == nil {
			room, _ := loose["room"].(string)
			see("a map", room)
		}
	})
}

func FuzzTokenArgument(f *testing.F) {
	for _, a := range []string{
		`"x"`, `{"token":"x"}`, `{"token":{"token":"x"}}`, `null`, `{}`, `[]`, `7`, `{"token":null}`, `{"Token":"x"}`, `""`,
	} {
		f.Add([]byte(a))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		tok, err := auth.TokenIn(raw)
		switch {
		case err == nil && (tok == "" || !utf8.ValidString(tok)):
			t.Errorf("%s: token %q", raw, tok)
		case err != nil && !errors.Is(err, auth.ErrMissing) && !errors.Is(err, auth.ErrInvalid):
			t.Errorf("%s: %v", raw, err)
		case err != nil && tok != "":
			t.Errorf("%s: token %q with error %v", raw, tok, err)
		}
	})
}
