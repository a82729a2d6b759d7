package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sioplug/sioplug/internal/misuse"
)

// minRSA is the size in bits of the smallest RSA key (RFC 7518 section 3.3).
const minRSA = 2048

// HS256 returns a verifier for tokens that are signed by HMAC with SHA-256. The secret
// needs 32 bytes or more (RFC 7518 section 3.2). HS256 panics if it is shorter: perhaps
// an environment variable is not set. It also panics if the secret is not secret: equal
// bytes, or a public key. If your secret is shorter, see [InsecureShortSecret].
//
// A server that can verify such tokens can also make them. For tokens of another issuer,
// prefer [JWKS].
func HS256[C any, P claimsOf[C]](secret []byte, opts ...VerifyOption) Verifier[C] {
	return hmac[C, P]("HS256", 32, secret, opts)
}

// HS384 is like [HS256] with SHA-384 and a secret of 48 bytes or more.
func HS384[C any, P claimsOf[C]](secret []byte, opts ...VerifyOption) Verifier[C] {
	return hmac[C, P]("HS384", 48, secret, opts)
}

// HS512 is like [HS256] with SHA-512 and a secret of 64 bytes or more.
func HS512[C any, P claimsOf[C]](secret []byte, opts ...VerifyOption) Verifier[C] {
	return hmac[C, P]("HS512", 64, secret, opts)
}

// RS256 returns a verifier for tokens that are signed by RSASSA-PKCS1-v1_5 with
// SHA-256. It panics if the key has less than 2048 bits. [ParseRSAPublicKeyFromPEM]
// of the JWT library reads one.
//
// [ParseRSAPublicKeyFromPEM]: https://pkg.go.dev/github.com/golang-jwt/jwt/v5#ParseRSAPublicKeyFromPEM
func RS256[C any, P claimsOf[C]](key *rsa.PublicKey, opts ...VerifyOption) Verifier[C] {
	return rsaKey[C, P]("RS256", key, opts)
}

// RS384 is like [RS256] with SHA-384.
func RS384[C any, P claimsOf[C]](key *rsa.PublicKey, opts ...VerifyOption) Verifier[C] {
	return rsaKey[C, P]("RS384", key, opts)
}

// RS512 is like [RS256] with SHA-512.
func RS512[C any, P claimsOf[C]](key *rsa.PublicKey, opts ...VerifyOption) Verifier[C] {
	return rsaKey[C, P]("RS512", key, opts)
}

// PS256 is like [RS256] with RSASSA-PSS signatures.
func PS256[C any, P claimsOf[C]](key *rsa.PublicKey, opts ...VerifyOption) Verifier[C] {
	return rsaKey[C, P]("PS256", key, opts)
}

// PS384 is like [PS256] with SHA-384.
func PS384[C any, P claimsOf[C]](key *rsa.PublicKey, opts ...VerifyOption) Verifier[C] {
	return rsaKey[C, P]("PS384", key, opts)
}

// PS512 is like [PS256] with SHA-512.
func PS512[C any, P claimsOf[C]](key *rsa.PublicKey, opts ...VerifyOption) Verifier[C] {
	return rsaKey[C, P]("PS512", key, opts)
}

// ES256 returns a verifier for tokens that are signed by ECDSA with SHA-256. It
// panics if the key is not of the curve P-256.
func ES256[C any, P claimsOf[C]](key *ecdsa.PublicKey, opts ...VerifyOption) Verifier[C] {
	return ecdsaKey[C, P]("ES256", elliptic.P256(), key, opts)
}

// ES384 is like [ES256] with SHA-384 and the curve P-384.
func ES384[C any, P claimsOf[C]](key *ecdsa.PublicKey, opts ...VerifyOption) Verifier[C] {
	return ecdsaKey[C, P]("ES384", elliptic.P384(), key, opts)
}

// ES512 is like [ES256] with SHA-512 and the curve P-521.
func ES512[C any, P claimsOf[C]](key *ecdsa.PublicKey, opts ...VerifyOption) Verifier[C] {
	return ecdsaKey[C, P]("ES512", elliptic.P521(), key, opts)
}

// EdDSA returns a verifier for tokens that are signed with an Ed25519 key.
func EdDSA[C any, P claimsOf[C]](key ed25519.PublicKey, opts ...VerifyOption) Verifier[C] {
	if len(key) != ed25519.PublicKeySize {
		misuse.Panic(fmt.Sprintf("auth: EdDSA got a key of %d bytes: it has to have %d", len(key), ed25519.PublicKeySize))
	}
	if allBytesEqual(key) {
		misuse.Panic("auth: EdDSA got a key whose bytes are all the same: it was never filled in")
	}
	return fixedKey[C, P]("EdDSA", slices.Clone(key), opts)
}

func hmac[C any, P claimsOf[C]](alg string, minimum int, secret []byte, opts []VerifyOption) Verifier[C] {
	advice := fmt.Sprintf("use what `openssl rand -base64 %d` makes", minimum)
	var o verifyOptions
	for _, set := range opts {
		set(&o)
	}
	switch {
	case len(secret) == 0:
		misuse.Panic(fmt.Sprintf("auth: %s got an empty secret: find out why it is empty, or %s", alg, advice))
	case len(secret) < minimum && !o.short:
		misuse.Panic(fmt.Sprintf("auth: %s got a secret of %d bytes: it has to have %d or more: %s; to accept tokens of the old secret "+
			"meanwhile, use auth.AnyOf and auth.InsecureShortSecret", alg, len(secret), minimum, advice))
	case allBytesEqual(secret):
		misuse.Panic(fmt.Sprintf("auth: %s got a secret whose bytes are all the same: %s", alg, advice))
	case isPublicKey(secret):
		misuse.Panic(fmt.Sprintf("auth: %s got a key as its secret, which others have, too: use RS256 or the like with it, or %s", alg, advice))
	}
	return fixedKey[C, P](alg, bytes.Clone(secret), opts)
}

// allBytesEqual reports whether all bytes are the same.
func allBytesEqual(secret []byte) bool {
	return !slices.ContainsFunc(secret, func(b byte) bool { return b != secret[0] })
}

// isPublicKey reports whether the secret has the format of a public key. Clients that
// know that key could make tokens.
func isPublicKey(secret []byte) bool {
	if bytes.Contains(secret, []byte("-----BEGIN ")) || bytes.HasPrefix(secret, []byte("ssh-")) {
		return true
	}
	_, err := x509.ParsePKIXPublicKey(secret)
	if err != nil {
		_, err = x509.ParsePKCS1PublicKey(secret)
	}
	return err == nil
}

func rsaKey[C any, P claimsOf[C]](alg string, key *rsa.PublicKey, opts []VerifyOption) Verifier[C] {
	if !strongRSA(key) {
		misuse.Panic(fmt.Sprintf("auth: %s needs an RSA key of %d bits or more", alg, minRSA))
	}
	return fixedKey[C, P](alg, key, opts)
}

// strongRSA reports whether the key is safe. With the exponent 1, each message would be
// its own signature.
func strongRSA(key *rsa.PublicKey) bool {
	return key != nil && key.N != nil && key.N.BitLen() >= minRSA && key.E > 1 && key.E%2 == 1
}

func ecdsaKey[C any, P claimsOf[C]](
	alg string, curve elliptic.Curve, key *ecdsa.PublicKey, opts []VerifyOption,
) Verifier[C] {
	if key == nil || key.Curve != curve {
		misuse.Panic(fmt.Sprintf("auth: %s needs a key of the curve %s", alg, curve.Params().Name))
	}
	return fixedKey[C, P](alg, key, opts)
}

// fixedKey returns a verifier for one algorithm and one key.
func fixedKey[C any, P claimsOf[C]](alg string, key any, opts []VerifyOption) Verifier[C] {
	return newVerifier[C, P]([]string{alg}, func(context.Context, *jwt.Token) (any, error) { return key, nil }, opts)
}
