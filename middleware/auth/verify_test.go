package auth_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sioplug/sioplug/middleware/auth"
)

func TestEveryAlgorithmTakesItsOwnTokensOnly(t *testing.T) {
	t.Parallel()
	k := keys()
	long := []byte(strings.Repeat("0123456789abcdef", 4))
	all := []struct {
		method jwt.SigningMethod
		sign   any
		verify auth.Verifier[auth.Identity]
	}{
		{jwt.SigningMethodHS256, long, auth.HS256[auth.Identity](long)},
		{jwt.SigningMethodHS384, long, auth.HS384[auth.Identity](long)},
		{jwt.SigningMethodHS512, long, auth.HS512[auth.Identity](long)},
		{jwt.SigningMethodRS256, k.rsa, auth.RS256[auth.Identity](&k.rsa.PublicKey)},
		{jwt.SigningMethodRS384, k.rsa, auth.RS384[auth.Identity](&k.rsa.PublicKey)},
		{jwt.SigningMethodRS512, k.rsa, auth.RS512[auth.Identity](&k.rsa.PublicKey)},
		{jwt.SigningMethodPS256, k.rsa, auth.PS256[auth.Identity](&k.rsa.PublicKey)},
		{jwt.SigningMethodPS384, k.rsa, auth.PS384[auth.Identity](&k.rsa.PublicKey)},
		{jwt.SigningMethodPS512, k.rsa, auth.PS512[auth.Identity](&k.rsa.PublicKey)},
		{jwt.SigningMethodES256, k.p256, auth.ES256[auth.Identity](&k.p256.PublicKey)},
		{jwt.SigningMethodES384, k.p384, auth.ES384[auth.Identity](&k.p384.PublicKey)},
		{jwt.SigningMethodES512, k.p521, auth.ES512[auth.Identity](&k.p521.PublicKey)},
		{jwt.SigningMethodEdDSA, k.ed25519, auth.EdDSA[auth.Identity](k.edwards)},
	}
	for _, from := range all {
		signed := sign(t, from.method, from.sign, ann(nil))
		for _, to := range all {
			t.Run(from.method.Alg()+" to "+to.method.Alg(), func(t *testing.T) {
				t.Parallel()
				got, err := to.verify(t.Context(), signed)
				if from.method == to.method {
					if err != nil || got.Subject != "ann" {
						t.Errorf("refused: %v", err)
					}
				} else if !errors.Is(err, auth.ErrInvalid) {
					t.Errorf("got %v, %v; want ErrInvalid", got, err)
				}
			})
		}
	}
}

// resign puts another header before the payload and signs both by HMAC.
func resign(t *testing.T, header string, key []byte) string {
	t.Helper()
	payload := strings.Split(token(t, nil), ".")[1]
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + payload
	sig, err := jwt.SigningMethodHS256.Sign(text, key)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func unsigned(t *testing.T, alg string) string {
	t.Helper()
	signed := resign(t, `{"alg":"`+alg+`","typ":"JWT"}`, secret)
	return signed[:strings.LastIndexByte(signed, '.')+1]
}

func TestAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	k := keys()
	der, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	rs256, h256 := auth.RS256[auth.Identity](&k.rsa.PublicKey), hs256()
	tests := []struct {
		name   string
		verify auth.Verifier[auth.Identity]
		token  string
	}{
		{"public key in PEM as secret", rs256, sign(t, jwt.SigningMethodHS256, public, ann(nil))},
		{"public key in DER as secret", rs256, sign(t, jwt.SigningMethodHS256, der, ann(nil))},
		{"PKCS1 key in DER as secret", rs256, sign(t, jwt.SigningMethodHS256, x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey), ann(nil))},
		{"header says RS256, signature is HMAC", rs256, resign(t, `{"alg":"RS256"}`, public)},
		{"PSS where PKCS1 is wanted", rs256, sign(t, jwt.SigningMethodPS256, k.rsa, ann(nil))},
		{"none", h256, sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, ann(nil))},
		{"none with a signature", h256, resign(t, `{"alg":"none"}`, secret)},
		{"None", h256, unsigned(t, "None")},
		{"NONE", h256, unsigned(t, "NONE")},
		{"nOnE", h256, unsigned(t, "nOnE")},
		{"no alg", h256, resign(t, `{"typ":"JWT"}`, secret)},
		{"empty alg", h256, resign(t, `{"alg":""}`, secret)},
		{"alg is a number", h256, resign(t, `{"alg":256}`, secret)},
		{"alg in lower case", h256, resign(t, `{"alg":"hs256"}`, secret)},
		{"HS512 with the same secret", h256, sign(t, jwt.SigningMethodHS512, secret, ann(nil))},
		{"empty signature", h256, unsigned(t, "HS256")},
		{"key in the header", h256, resign(t, `{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}`, []byte{0, 0, 0})},
		{"unknown critical extension", h256, resign(t, `{"alg":"HS256","crit":["b64"],"b64":true}`, secret)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := tt.verify(t.Context(), tt.token); !errors.Is(err, auth.ErrInvalid) {
				t.Errorf("got %v, %v; want ErrInvalid", got, err)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	another := []byte("fedcba9876543210fedcba9876543210")
	now := time.Now()
	good := token(t, nil)
	parts := strings.Split(good, ".")
	other := strings.Split(token(t, claims{"sub": "bob"}), ".")
	strict := hs256(auth.Issuer("me"), auth.Audience("chat", "mail"), auth.RequireClaims("tenant"))
	full := claims{"iss": "me", "aud": []string{"x", "mail"}, "tenant": "t1"}
	with := func(changes claims) string { return token(t, merge(full, changes)) }
	tests := []struct {
		name   string
		verify auth.Verifier[auth.Identity]
		token  string
		want   error // nil for accepted
	}{
		{"good", hs256(), good, nil},
		{"expired", hs256(), token(t, claims{"exp": now.Add(-time.Second).Unix()}), auth.ErrExpired},
		{"expired within leeway", hs256(auth.Leeway(time.Minute)), token(t, claims{"exp": now.Add(-30 * time.Second).Unix()}), nil},
		{"expired beyond leeway", hs256(auth.Leeway(time.Minute)), token(t, claims{"exp": now.Add(-61 * time.Second).Unix()}), auth.ErrExpired},
		{"no exp", hs256(), token(t, claims{"exp": nil}), auth.ErrInvalid},
		{"no exp allowed", hs256(auth.InsecureNoExpiry()), token(t, claims{"exp": nil}), nil},
		{"exp is text", hs256(), token(t, claims{"exp": "tomorrow"}), auth.ErrInvalid},
		{"not yet valid", hs256(), token(t, claims{"nbf": now.Add(time.Minute).Unix()}), auth.ErrInvalid},
		{"not yet valid within leeway", hs256(auth.Leeway(2 * time.Minute)), token(t, claims{"nbf": now.Add(time.Minute).Unix()}), nil},
		{"issued in the future", hs256(), token(t, claims{"iat": now.Add(time.Minute).Unix()}), nil},
		{"issued in the future, asked", hs256(auth.CheckIssuedAt()), token(t, claims{"iat": now.Add(time.Minute).Unix()}), auth.ErrInvalid},
		{"expired and for others", strict, with(claims{"exp": now.Add(-time.Minute).Unix(), "aud": "x"}), auth.ErrInvalid},
		{"all that is wanted", strict, with(nil), nil},
		{"wrong issuer", strict, with(claims{"iss": "you"}), auth.ErrInvalid},
		{"no issuer", strict, with(claims{"iss": nil}), auth.ErrInvalid},
		{"wrong audience", strict, with(claims{"aud": "x"}), auth.ErrInvalid},
		{"no audience", strict, with(claims{"aud": nil}), auth.ErrInvalid},
		{"required claim missing", strict, with(claims{"tenant": nil}), auth.ErrInvalid},
		{"another secret", hs256(), sign(t, jwt.SigningMethodHS256, []byte("another"), ann(nil)), auth.ErrInvalid},
		{"tampered payload", hs256(), parts[0] + "." + other[1] + "." + parts[2], auth.ErrInvalid},
		{"tampered signature", hs256(), parts[0] + "." + parts[1] + "." + other[2], auth.ErrInvalid},
		{"expired and tampered", hs256(), tamper(token(t, claims{"exp": now.Add(-time.Second).Unix()})), auth.ErrInvalid},
		{"signature with spare bits set", hs256(), lastBits(t, good), auth.ErrInvalid},
		{"empty", hs256(), "", auth.ErrInvalid},
		{"garbage", hs256(), "not a token", auth.ErrInvalid},
		{"four parts", hs256(), good + ".x", auth.ErrInvalid},
		{"header is null", hs256(), "bnVsbA." + parts[1] + "." + parts[2], auth.ErrInvalid},
		{"payload is null", hs256(), sealed(t, "null"), auth.ErrInvalid},
		{"payload is a list", hs256(), sealed(t, "[]"), auth.ErrInvalid},
		{"largest", hs256(), padded(t, 16<<10), nil},
		{"too large", hs256(), padded(t, 16<<10+1), auth.ErrInvalid},
		{"type", hs256(auth.Type("at+jwt")), sign(t, jwt.SigningMethodHS256, secret, ann(nil), "typ", "application/AT+jwt"), nil},
		{"type in full", hs256(auth.Type("application/at+jwt")), sign(t, jwt.SigningMethodHS256, secret, ann(nil), "typ", "at+JWT"), nil},
		{"another type", hs256(auth.Type("at+jwt")), good, auth.ErrInvalid},
		{"short secret, allowed", auth.HS256[auth.Identity](secret[:8], auth.InsecureShortSecret()), sign(t, jwt.SigningMethodHS256, secret[:8], ann(nil)), nil},
		{"another short secret", auth.HS256[auth.Identity](secret[:8], auth.InsecureShortSecret()), sign(t, jwt.SigningMethodHS256, secret[:7], ann(nil)), auth.ErrInvalid},
		{"any of", auth.AnyOf(auth.HS256[auth.Identity](another), hs256()), good, nil},
		{
			"none of, one says expired", auth.AnyOf(hs256(), auth.HS256[auth.Identity](another)),
			token(t, claims{"exp": now.Add(-time.Second).Unix()}), auth.ErrExpired,
		},
		{"also asked", auth.With(hs256(), func(context.Context, *auth.Identity) error { return auth.ErrForbidden }), good, auth.ErrForbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.verify(t.Context(), tt.token)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if (err == nil) != (got != nil) {
				t.Errorf("claims %v with error %v", got, err)
			}
			if err != nil && len(tt.token) > 20 && strings.Contains(err.Error(), tt.token[:20]) {
				t.Errorf("the error has the token in it: %v", err)
			}
		})
	}
}

// tamper changes the first character of the signature.
func tamper(token string) string {
	i := strings.LastIndexByte(token, '.') + 1
	c := byte('A')
	if token[i] == c {
		c = 'B'
	}
	return token[:i] + string(c) + token[i+1:]
}

// lastBits spells the same signature in another way: its last character has bits
// that mean nothing.
func lastBits(t *testing.T, token string) string {
	t.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	other := token[:len(token)-1] + string(alphabet[last^1])
	a, err1 := base64.RawURLEncoding.DecodeString(token[strings.LastIndexByte(token, '.')+1:])
	b, err2 := base64.RawURLEncoding.DecodeString(other[strings.LastIndexByte(other, '.')+1:])
	if errors.Join(err1, err2) != nil || string(a) != string(b) {
		t.Fatalf("not the same signature: %x and %x", a, b)
	}
	return other
}

// sealed signs any payload.
func sealed(tb testing.TB, payload string) string {
	tb.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	sig, err := jwt.SigningMethodHS256.Sign(text, secret)
	if err != nil {
		tb.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// padded returns a good token of that many bytes.
func padded(t *testing.T, size int) string {
	t.Helper()
	for pad := size * 3 / 4; pad > 0; pad-- {
		payload := `{"sub":"ann","exp":99999999999,"pad":"` + strings.Repeat("x", pad) + `"}`
		if s := base64.RawURLEncoding.EncodedLen(len(payload)) + 20 + 43 + 2; s > size {
			continue
		}
		for _, header := range []string{`{"alg":"HS256"}`, `{"alg":"HS256" }`, `{"alg":"HS256"  }`, `{ "alg" : "HS256" }`} {
			text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
			sig, err := jwt.SigningMethodHS256.Sign(text, secret)
			if err != nil {
				t.Fatal(err)
			}
			if s := text + "." + base64.RawURLEncoding.EncodeToString(sig); len(s) == size {
				return s
			}
		}
	}
	t.Fatalf("no token has %d bytes", size)
	return ""
}

// pointing has its claims behind a pointer, which a token can leave nil.
type pointing struct{ *jwt.RegisteredClaims }

func TestWrongRegistrationPanics(t *testing.T) {
	t.Parallel()
	k := keys()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	tests := map[string]func(){
		"no secret":               func() { auth.HS256[auth.Identity](nil) },
		"short secret":            func() { auth.HS256[auth.Identity](secret[:31]) },
		"empty secret, allowed":   func() { auth.HS256[auth.Identity](nil, auth.InsecureShortSecret()) },
		"short secret for HS512":  func() { auth.HS512[auth.Identity](secret) },
		"secret of zeros":         func() { auth.HS256[auth.Identity](make([]byte, 32)) },
		"secret of invalid UTF-8": func() { auth.HS256[auth.Identity](bytes.Repeat([]byte{0xff}, 64)) },
		"public key as secret":    func() { auth.HS256[auth.Identity](publicPEM) },
		"the same in DER":         func() { auth.HS256[auth.Identity](der) },
		"the same in PKCS #1":     func() { auth.HS256[auth.Identity](x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)) },
		"the same for SSH":        func() { auth.HS256[auth.Identity]([]byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGNv")) },
		"RSA exponent of 1":       func() { auth.RS256[auth.Identity](&rsa.PublicKey{N: k.rsa.N, E: 1}) },
		"RSA key without modulus": func() { auth.RS256[auth.Identity](&rsa.PublicKey{E: 65537}) },
		"Ed25519 key of zeros":    func() { auth.EdDSA[auth.Identity](make(ed25519.PublicKey, ed25519.PublicKeySize)) },
		"empty issuer":            func() { auth.Issuer("") },
		"no audience":             func() { auth.Audience() },
		"empty audience":          func() { auth.Audience("chat", "") },
		"empty type":              func() { auth.Type("") },
		"no scope":                func() { auth.Scope() },
		"empty role":              func() { auth.Role("admin", "") },
		"no claim required":       func() { auth.RequireClaims() },
		"negative leeway":         func() { auth.Leeway(-time.Second) },
		"claims behind a pointer": func() { auth.HS256[pointing](secret) },
		"negative warning":        func() { auth.WarnBefore(-time.Second) },
		"nobody to ask":           func() { auth.Revoked(nil) },
		"no cookie name":          func() { auth.FromCookie("") },
		"no query name":           func() { auth.FromQuery("") },
		"no logger":               func() { auth.Logger(nil) },
		"no check":                func() { auth.Check[auth.Identity](nil) },
		"no check of rooms":       func() { auth.Join[auth.Identity](nil) },
		"nil verifier to choose":  func() { auth.AnyOf(hs256(), nil) },
		"nothing to check with":   func() { auth.With(hs256(), nil) },
		"no RSA key":              func() { auth.RS256[auth.Identity](nil) },
		"small RSA key":           func() { auth.PS256[auth.Identity](&small.PublicKey) },
		"key of another curve":    func() { auth.ES256[auth.Identity](&k.p384.PublicKey) },
		"key of no curve of ours": func() { auth.ES384[auth.Identity](&p224.PublicKey) },
		"short Ed25519 key":       func() { auth.EdDSA[auth.Identity](ed25519.PublicKey{1}) },
		"no key set":              func() { auth.JWKS[auth.Identity](nil) },
		"key set over plain HTTP": func() { auth.KeysFromURL("http://issuer.example/keys", nil) },
		"key set without URL":     func() { auth.KeysFromURL("keys.json", nil) },
		"HMAC from a key set":     func() { auth.KeysFromFile("keys.json", &auth.KeySetOptions{Algorithms: []string{"HS256"}}) },
		"none from a key set":     func() { auth.KeysFromFile("keys.json", &auth.KeySetOptions{Algorithms: []string{"none"}}) },
		"negative time":           func() { auth.KeysFromFile("keys.json", &auth.KeySetOptions{Refresh: -1}) },
		"no verifier":             func() { auth.Require[auth.Identity](nil) },
		"nothing to choose from":  func() { auth.AnyOf[auth.Identity]() },
		"nothing to refresh with": func() { auth.Refresh[auth.Identity](nil) },
		"from nothing":            func() { auth.From[auth.Identity](nil) },
	}
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if msg, ok := recover().(string); !ok || !strings.HasPrefix(msg, "auth: ") {
					t.Errorf("recovered %q, want a message of ours", msg)
				}
			}()
			f()
		})
	}
}
