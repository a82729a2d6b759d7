package auth_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sioplug/sioplug/middleware/auth"
)

func TestWhichKeysOfASetAreUsed(t *testing.T) {
	t.Parallel()
	k := keys()
	rs, es := &k.rsa.PublicKey, &k.p256.PublicKey
	hmacKey := `{"kty":"oct","kid":"a","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}`
	rsToken := func(header ...any) string { return sign(t, jwt.SigningMethodRS256, k.rsa, ann(nil), header...) }
	tests := []struct {
		name  string
		set   string
		opts  auth.KeySetOptions
		token string
		want  error
	}{
		{"by kid", set(jwk(t, es, "b", "", ""), jwk(t, rs, "a", "", "")), auth.KeySetOptions{}, rsToken("kid", "a"), nil},
		{"no kid, any key that fits", set(jwk(t, es, "b", "", ""), jwk(t, rs, "a", "", "")), auth.KeySetOptions{}, rsToken(), nil},
		{"kid of another key", set(jwk(t, es, "b", "", ""), jwk(t, rs, "a", "", "")), auth.KeySetOptions{}, rsToken("kid", "b"), auth.ErrInvalid},
		{"kid is no string", set(jwk(t, rs, "a", "", "")), auth.KeySetOptions{}, rsToken("kid", 7), nil},
		{"key of another algorithm", set(jwk(t, rs, "a", "PS256", "")), auth.KeySetOptions{}, rsToken("kid", "a"), auth.ErrInvalid},
		{"algorithm not allowed", set(jwk(t, rs, "a", "", "")), auth.KeySetOptions{Algorithms: []string{"ES256"}}, rsToken("kid", "a"), auth.ErrInvalid},
		{"for encryption", set(jwk(t, rs, "a", "", "enc"), jwk(t, es, "b", "", "")), auth.KeySetOptions{}, rsToken("kid", "a"), auth.ErrInvalid},
		{"Ed25519", set(jwk(t, k.ed25519.Public(), "a", "EdDSA", "sig")), auth.KeySetOptions{}, sign(t, jwt.SigningMethodEdDSA, k.ed25519, ann(nil), "kid", "a"), nil},
		{"curve of another algorithm", set(jwk(t, &k.p384.PublicKey, "a", "", "")), auth.KeySetOptions{}, sign(t, jwt.SigningMethodES256, k.p256, ann(nil), "kid", "a"), auth.ErrInvalid},
		{"secret in the set", set(hmacKey, jwk(t, es, "b", "", "")), auth.KeySetOptions{}, sign(t, jwt.SigningMethodHS256, secret, ann(nil), "kid", "a"), auth.ErrInvalid},
		{"only secrets", set(hmacKey), auth.KeySetOptions{}, rsToken("kid", "a"), auth.ErrUnavailable},
		{"broken key beside a good one", set(`{"kty":"RSA","kid":"a","n":"!","e":"AQAB"}`, `7`, jwk(t, rs, "a", "", "")), auth.KeySetOptions{}, rsToken("kid", "a"), nil},
		{"private key in the set", set(jwk(t, k.rsa, "a", "RS256", "sig")), auth.KeySetOptions{}, rsToken("kid", "a"), nil},
		{"key that nobody has filled in", set(`{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + strings.Repeat("A", 43) + `"}`), auth.KeySetOptions{}, rsToken("kid", "a"), auth.ErrUnavailable},
		{"small RSA key", set(jwk(t, &rsa.PublicKey{N: new(big.Int).Rsh(rs.N, 1), E: 65537}, "a", "", "")), auth.KeySetOptions{}, rsToken("kid", "a"), auth.ErrUnavailable},
		{"weak key beside a good one", set(jwk(t, &rsa.PublicKey{N: new(big.Int).Rsh(rs.N, 1), E: 65537}, "a", "", ""), jwk(t, rs, "a", "", "")), auth.KeySetOptions{}, rsToken("kid", "a"), nil},
		{"no JSON", "<html>", auth.KeySetOptions{}, rsToken("kid", "a"), auth.ErrUnavailable},
		{"too large", set(jwk(t, rs, "a", "", "")) + strings.Repeat(" ", 1<<20), auth.KeySetOptions{}, rsToken("kid", "a"), auth.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := &issuer{set: tt.set}
			_, err := auth.JWKS[auth.Identity](i.keys(tt.opts))(t.Context(), tt.token)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestKeySetOverHTTPAndFromFile(t *testing.T) {
	t.Parallel()
	k := keys()
	content := set(jwk(t, &k.rsa.PublicKey, "a", "RS256", "sig"))
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, content)
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	quiet := &auth.KeySetOptions{Logger: slog.New(slog.DiscardHandler)}
	tok := sign(t, jwt.SigningMethodRS256, k.rsa, ann(nil), "kid", "a")
	for name, keys := range map[string]*auth.KeySet{
		"URL": auth.KeysFromURL(srv.URL, quiet), "file": auth.KeysFromFile(file, quiet),
	} {
		if _, err := auth.JWKS[auth.Identity](keys)(t.Context(), tok); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	status = http.StatusNotFound
	for name, keys := range map[string]*auth.KeySet{
		"URL": auth.KeysFromURL(srv.URL, quiet), "file": auth.KeysFromFile(file+".not", quiet),
	} {
		if _, err := auth.JWKS[auth.Identity](keys)(t.Context(), tok); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("%s that is not there: %v", name, err)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestRedirectsStaySecure(t *testing.T) {
	t.Parallel()
	check := auth.StaysSecure
	from, err := http.NewRequest(http.MethodGet, "https://issuer.example/a", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	to, err := http.NewRequest(http.MethodGet, "http://issuer.example/b", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if check(to, []*http.Request{from}) == nil || check(from, []*http.Request{from}) != nil {
		t.Error("redirects from https have to stay there")
	}
	if check(from, []*http.Request{from, from, from, from, from, from}) == nil {
		t.Error("a chain of redirects has to end")
	}
}

// Whatever is in a set, keys that are not in it sign nothing.
func FuzzKeySet(f *testing.F) {
	k := keys()
	for _, key := range []crypto.PublicKey{&k.rsa.PublicKey, &k.p256.PublicKey, &k.p384.PublicKey, &k.p521.PublicKey, k.edwards} {
		f.Add([]byte(set(jwk(f, key, "a", "", "sig"))))
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	f.Add([]byte(set(`7`, `{"kty":"RSA","n":"!","e":"AQAB"}`, `{"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"a"}`)))
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	tokens := []string{
		sign(f, jwt.SigningMethodRS256, stranger, ann(claims{"exp": 99999999999}), "kid", "a"),
		sign(f, jwt.SigningMethodPS512, stranger, ann(claims{"exp": 99999999999})),
		sign(f, jwt.SigningMethodEdDSA, other, ann(claims{"exp": 99999999999}), "kid", "a"),
		sign(f, jwt.SigningMethodHS256, secret, ann(claims{"exp": 99999999999}), "kid", "a"),
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		verify := auth.JWKS[auth.Identity]((&issuer{set: string(data)}).keys(auth.KeySetOptions{}))
		for _, tok := range tokens {
			if _, err := verify(t.Context(), tok); !errors.Is(err, auth.ErrInvalid) && !errors.Is(err, auth.ErrUnavailable) {
				t.Errorf("a stranger's token: %v", err)
			}
		}
	})
}
