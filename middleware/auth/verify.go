package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A Verifier returns the claims of a token, or an error if the token is not valid: see
// [ErrInvalid]. It must be safe for concurrent use. The verifiers of this package are for
// JSON Web Tokens. You can write your own for other tokens: compare secrets with
// [crypto/subtle]. Claims that expire need a method GetExpirationTime, as [jwt.Claims]
// have.
type Verifier[C any] func(ctx context.Context, token string) (*C, error)

// AnyOf returns a verifier that accepts a token if any of the verifiers does. Use it for
// an old and a new secret, for example. If no verifier accepts the token, the error is
// the most specific one: that the token has expired, rather than that it is not valid.
func AnyOf[C any](verifiers ...Verifier[C]) Verifier[C] {
	if len(verifiers) == 0 || slices.ContainsFunc(verifiers, func(v Verifier[C]) bool { return v == nil }) {
		misuse.Panic("auth: AnyOf needs verifiers")
	}
	return func(ctx context.Context, token string) (*C, error) {
		var worst error
		for _, v := range verifiers {
			claims, err := v(ctx, token)
			if err == nil {
				return claims, nil
			}
			if worst == nil || errors.Is(worst, ErrInvalid) || errors.Is(err, ErrExpired) {
				worst = err
			}
		}
		return nil, worst
	}
}

// With returns a verifier that also calls check for the claims that verify returns. For
// example, check can look whether the user still exists. If it returns an error, the
// token is refused.
func With[C any](verify Verifier[C], check func(ctx context.Context, claims *C) error) Verifier[C] {
	if verify == nil || check == nil {
		misuse.Panic("auth: With needs a verifier and a function")
	}
	return func(ctx context.Context, token string) (*C, error) {
		claims, err := verify(ctx, token)
		if err == nil {
			err = check(ctx, claims)
		}
		if err != nil {
			return nil, err
		}
		return claims, nil
	}
}

// A VerifyOption adds or removes a condition for tokens. Without options, a token needs a
// valid signature and an exp claim in the future. If it has an nbf claim, that must be in
// the past. The iat claim is not checked (RFC 7519 section 4.1.6): see [CheckIssuedAt].
type VerifyOption func(o *verifyOptions)

type verifyOptions struct {
	issuer   string
	audience []string
	typ      string
	leeway   time.Duration
	claims   []string
	endless  bool
	issued   bool
	short    bool
}

// Issuer requires this iss claim. It panics if iss is empty, because perhaps an
// environment variable is not set. So do the options below.
func Issuer(iss string) VerifyOption {
	requireValues("Issuer", iss)
	return func(o *verifyOptions) { o.issuer = iss }
}

// Audience requires that the aud claim contains one of these.
func Audience(aud ...string) VerifyOption {
	requireValues("Audience", aud...)
	return func(o *verifyOptions) { o.audience = append(o.audience, aud...) }
}

// Type requires this type in the header of the token, "at+jwt" for example. It refuses
// tokens that the same issuer made for another purpose.
func Type(typ string) VerifyOption {
	requireValues("Type", typ)
	return func(o *verifyOptions) { o.typ = mediaType(typ) }
}

// Leeway is the accepted difference between the clocks of issuer and server, 0 by
// default. Sockets may stay connected that much longer than their token is valid.
func Leeway(d time.Duration) VerifyOption {
	if d < 0 {
		misuse.Panic("auth: Leeway is negative")
	}
	return func(o *verifyOptions) { o.leeway = d }
}

// RequireClaims requires that the token has these claims, with any value.
func RequireClaims(names ...string) VerifyOption {
	requireValues("RequireClaims", names...)
	return func(o *verifyOptions) { o.claims = append(o.claims, names...) }
}

func requireValues(option string, values ...string) {
	if len(values) == 0 || slices.Contains(values, "") {
		misuse.Panic("auth: " + option + " got an empty value: find out why it is empty, or leave the option out")
	}
}

// InsecureNoExpiry accepts tokens without an exp claim. They never expire.
func InsecureNoExpiry() VerifyOption { return func(o *verifyOptions) { o.endless = true } }

// CheckIssuedAt refuses a token whose iat claim is in the future. If the clock of the
// issuer is ahead, all of its tokens are refused at first, so use [Leeway] as well.
func CheckIssuedAt() VerifyOption { return func(o *verifyOptions) { o.issued = true } }

// InsecureShortSecret accepts a secret that is shorter than its algorithm requires. An
// attacker who has a token can try to guess such a secret, and then make tokens. Use it
// only while you change to a longer secret:
//
//	verify := auth.AnyOf(auth.HS256[Claims](secret), auth.HS256[Claims](old, auth.InsecureShortSecret()))
func InsecureShortSecret() VerifyOption { return func(o *verifyOptions) { o.short = true } }

// maxToken is the length of the longest token that is verified. Servers and proxies
// commonly accept no longer header.
const maxToken = 16 << 10

// claimsOf is the constraint for a pointer to a type of claims.
type claimsOf[C any] interface {
	*C
	jwt.Claims
}

// A verification is a verifier without the type of its claims.
type verification struct {
	opts   verifyOptions
	parser *jwt.Parser
	key    func(ctx context.Context, t *jwt.Token) (any, error)
}

// newVerifier returns a verifier for tokens of these algorithms and no others.
func newVerifier[C any, P claimsOf[C]](
	algorithms []string, key func(context.Context, *jwt.Token) (any, error), opts []VerifyOption,
) Verifier[C] {
	if !readable(P(new(C))) {
		misuse.Panic(fmt.Sprintf("auth: %T cannot be read before it has been decoded: embed jwt.RegisteredClaims itself, not a pointer", new(C)))
	}
	v := &verification{key: key}
	for _, o := range opts {
		o(&v.opts)
	}
	v.parser = jwt.NewParser(v.opts.parser(algorithms)...)
	return func(ctx context.Context, token string) (*C, error) {
		claims := P(new(C))
		if err := v.verify(ctx, token, claims); err != nil {
			return nil, err
		}
		reportLeeway(ctx, v.opts.leeway)
		return claims, nil
	}
}

// readable reports whether the methods of zero claims can be called.
func readable(claims jwt.Claims) bool {
	err := rescue.Call(func() error {
		_, _ = claims.GetExpirationTime() // there is none
		return nil
	})
	return err == nil
}

func (o *verifyOptions) parser(algorithms []string) []jwt.ParserOption {
	opts := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithStrictDecoding(), jwt.WithLeeway(o.leeway),
	}
	if o.issued {
		opts = append(opts, jwt.WithIssuedAt())
	}
	if !o.endless {
		opts = append(opts, jwt.WithExpirationRequired())
	}
	if o.issuer != "" {
		opts = append(opts, jwt.WithIssuer(o.issuer))
	}
	return opts
}

func (v *verification) verify(ctx context.Context, token string, claims jwt.Claims) error {
	if len(token) > maxToken {
		return &tokenError{ErrInvalid, fmt.Sprintf("it has %d bytes", len(token))}
	}
	_, err := v.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		if err := v.checkHeader(t.Header); err != nil {
			return nil, err
		}
		return v.key(ctx, t)
	})
	err = classify(err)
	if err == nil || errors.Is(err, ErrExpired) { // an expired token for another audience is not valid
		err = cmp.Or(v.checkAudience(claims), err)
	}
	if err != nil {
		return err
	}
	return v.checkClaims(token)
}

// checkAudience checks that the token is for one of the audiences. The JWT library before
// 5.3 can check for one audience only.
func (v *verification) checkAudience(claims jwt.Claims) error {
	if len(v.opts.audience) == 0 {
		return nil
	}
	audience, err := claims.GetAudience()
	if err != nil || !slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(v.opts.audience, a) }) {
		return &tokenError{ErrInvalid, "it is for another audience"}
	}
	return nil
}

// checkHeader refuses tokens of another type, and tokens with extensions: a verifier must
// refuse extensions that it does not know (RFC 7515 section 4.1.11).
func (v *verification) checkHeader(header map[string]any) error {
	if _, ok := header["crit"]; ok {
		return &tokenError{ErrInvalid, "header has crit"}
	}
	typ, _ := header["typ"].(string)
	if v.opts.typ != "" && mediaType(typ) != v.opts.typ {
		return &tokenError{ErrInvalid, "header has another typ"}
	}
	return nil
}

// mediaType returns a type as it can be compared (RFC 7515 section 4.1.9).
func mediaType(typ string) string { return strings.TrimPrefix(strings.ToLower(typ), "application/") }

// checkClaims checks that a valid token has the required claims.
func (v *verification) checkClaims(token string) error {
	if len(v.opts.claims) == 0 {
		return nil
	}
	_, payload, _ := strings.Cut(token, ".")
	payload, _, _ = strings.Cut(payload, ".")
	var claims map[string]json.RawMessage
	data, err := v.parser.DecodeSegment(payload)
	if err != nil || json.Unmarshal(data, &claims) != nil {
		return &tokenError{ErrInvalid, "claims are no object"}
	}
	missing := func(name string) bool { return claims[name] == nil || string(claims[name]) == "null" }
	if i := slices.IndexFunc(v.opts.claims, missing); i >= 0 {
		return &tokenError{ErrInvalid, fmt.Sprintf("it has no claim %q", v.opts.claims[i])}
	}
	return nil
}

// leewayKey is the key of a *time.Duration in the context of a verifier. The verifier
// sets it to its leeway, so that the session knows how long the token is accepted. The
// type Verifier needs no result for it.
type leewayKey struct{}

func withLeeway(ctx context.Context) (context.Context, *time.Duration) {
	leeway := new(time.Duration)
	return context.WithValue(ctx, leewayKey{}, leeway), leeway
}

func reportLeeway(ctx context.Context, leeway time.Duration) {
	if target, ok := ctx.Value(leewayKey{}).(*time.Duration); ok {
		*target = leeway
	}
}
