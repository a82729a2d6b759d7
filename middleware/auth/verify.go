package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A Verifier returns the claims of a token, or an error if the token is no good:
// see [ErrInvalid]. It must be safe for concurrent use. Those of this package
// verify JSON Web Tokens; write your own for other tokens, with comparisons by
// [crypto/subtle] where it looks up secrets. Claims that know when they end have
// a method GetExpirationTime, as [jwt.Claims] do.
type Verifier[C any] func(ctx context.Context, token string) (*C, error)

// AnyOf returns a verifier that takes what any of the verifiers takes: those of
// an old and a new secret, for example. If none does, the error is the one that
// tells most: that of a verifier which knows the token, but that it has expired,
// rather than that of one which does not.
func AnyOf[C any](verifiers ...Verifier[C]) Verifier[C] {
	if len(verifiers) == 0 || slices.ContainsFunc(verifiers, func(v Verifier[C]) bool { return v == nil }) {
		misuse("AnyOf needs verifiers")
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

// With returns a verifier that also asks check about claims that verify accepts:
// whether the token has been revoked, for example. An error refuses the token.
func With[C any](verify Verifier[C], check func(ctx context.Context, claims *C) error) Verifier[C] {
	if verify == nil || check == nil {
		misuse("With needs a verifier and a function")
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

// A VerifyOption is a condition on the tokens that a verifier accepts, or lifts
// one. Without any, a token has to have a good signature, an exp claim in the future,
// and an nbf claim, if it has one, in the past. The iat claim is for information (RFC
// 7519 section 4.1.6): see [CheckIssuedAt].
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

// Issuer has the iss claim be this one. It panics if that is empty, as it is where
// an environment variable was forgotten; so do the options below.
func Issuer(iss string) VerifyOption {
	requireValues("Issuer", iss)
	return func(o *verifyOptions) { o.issuer = iss }
}

// Audience has the aud claim contain one of these.
func Audience(aud ...string) VerifyOption {
	requireValues("Audience", aud...)
	return func(o *verifyOptions) { o.audience = append(o.audience, aud...) }
}

// Type has the token's header say that it is of this type, "at+jwt" for example,
// so that tokens which the same issuer made for something else are refused.
func Type(typ string) VerifyOption {
	requireValues("Type", typ)
	return func(o *verifyOptions) { o.typ = mediaType(typ) }
}

// Leeway is how far the issuer's clock may be from ours, 0 by default. Sockets
// may stay that much longer than their tokens.
func Leeway(d time.Duration) VerifyOption {
	if d < 0 {
		misuse("Leeway is negative")
	}
	return func(o *verifyOptions) { o.leeway = d }
}

// RequireClaims has these claims be there, whatever their values.
func RequireClaims(names ...string) VerifyOption {
	requireValues("RequireClaims", names...)
	return func(o *verifyOptions) { o.claims = append(o.claims, names...) }
}

func requireValues(option string, values ...string) {
	if len(values) == 0 || slices.Contains(values, "") {
		misuse(option + " says nothing: find out why its value is empty, or leave it out")
	}
}

// InsecureNoExpiry accepts tokens without an exp claim, which are good for ever.
func InsecureNoExpiry() VerifyOption { return func(o *verifyOptions) { o.endless = true } }

// CheckIssuedAt refuses a token whose iat claim is in the future. An issuer whose clock
// is ahead of ours makes such tokens, so use [Leeway] with it.
func CheckIssuedAt() VerifyOption { return func(o *verifyOptions) { o.issued = true } }

// InsecureShortSecret accepts a secret that is shorter than its algorithm asks for. Whoever
// has seen a token can try to guess such a secret, and then
// make tokens. It is for the time of a change to a longer one:
//
//	verify := auth.AnyOf(auth.HS256[Claims](secret), auth.HS256[Claims](old, auth.InsecureShortSecret()))
func InsecureShortSecret() VerifyOption { return func(o *verifyOptions) { o.short = true } }

// maxToken is the length of the largest token that is looked at. Servers and
// proxies commonly take no larger header.
const maxToken = 16 << 10

// claimsOf is satisfied by the pointer to a type of claims.
type claimsOf[C any] interface {
	*C
	jwt.Claims
}

// A verification is what a verifier has besides the type of its claims.
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
		misuse(fmt.Sprintf("%T cannot be read before it has been decoded: embed jwt.RegisteredClaims itself, not a pointer", new(C)))
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

// readable reports whether claims without any value can be asked for one.
func readable(claims jwt.Claims) (ok bool) {
	defer func() { ok = recover() == nil }()
	_, _ = claims.GetExpirationTime() // there is none
	return true
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
	if err != nil {
		return classify(err)
	}
	if err := v.checkAudience(claims); err != nil {
		return err
	}
	return v.checkClaims(token)
}

// checkAudience wants one of the audiences that the token may be for. It is not
// left to the library because before 5.3 that knows only one.
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

// checkHeader refuses extensions, which those who do not know them must (RFC
// 7515 section 4.1.11), and tokens of another type.
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

// checkClaims looks for claims that have to be there. The token is a good one.
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

// graceKey is for a *time.Duration in the context of a verifier, which it sets to
// how long after its end it accepts a token. So whoever watches over the end
// knows, and the type of verifiers stays simple.
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

// misuse ends the program at startup, when what it asks for can only be wrong.
func misuse(msg string) {
	panic("auth: " + msg) //nolint:forbidigo // wrong registration must not go unnoticed
}
