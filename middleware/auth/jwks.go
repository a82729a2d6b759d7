package auth

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// JWKS returns a verifier for tokens that are signed with one of the keys in a
// set. Which one, the token's kid says; how, the key says: its algorithm if it
// names one, otherwise those of its type. Secrets in a set are not used, so that
// nobody can pass a public key for one.
func JWKS[C any, P claimsOf[C]](keys *KeySet, opts ...VerifyOption) Verifier[C] {
	if keys == nil {
		misuse("JWKS needs a key set: see KeysFromURL")
	}
	return newVerifier[C, P](keys.opts.Algorithms, func(ctx context.Context, t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		return keys.keysFor(ctx, kid, t.Method.Alg())
	}, opts)
}

// KeySetOptions are the settings of a [KeySet]. A zero value means the default.
type KeySetOptions struct {
	// Algorithms are those that tokens may be signed by: all but those with
	// secrets by default.
	Algorithms []string

	// Refresh is the age at which keys are fetched again in the background, 15
	// minutes by default. If no token came for another as long, the first one
	// waits for that, since its key may have been withdrawn meanwhile.
	Refresh time.Duration

	// MinInterval is the time between two attempts to fetch, 10 seconds by
	// default, however many tokens have a kid that is not in the set. For that
	// long a key that is new to the set may not be known yet.
	MinInterval time.Duration

	// MaxStale is the age at which keys are no longer used because fetching
	// them failed all the time, 24 hours by default. From then on, tokens are
	// refused with [CodeUnavailable].
	MaxStale time.Duration

	// Client fetches from a URL. The default one gives up after 10 seconds and
	// does not follow redirects to plain HTTP.
	Client HTTPClient

	// InsecureHTTP allows a URL of plain HTTP that is not this machine's. Who
	// can change what is fetched can make tokens.
	InsecureHTTP bool

	// Logger is told at Error when fetching fails. Nil means slog.Default().
	Logger *slog.Logger
}

// A KeySet has the keys of an issuer, a JSON Web Key Set (RFC 7517), from
// wherever that is. It fetches them when they are needed, and keeps them. Several
// verifiers can share one. It is safe for concurrent use, and needs no closing.
type KeySet struct {
	opts  KeySetOptions
	fetch func(ctx context.Context) ([]byte, error)

	mu      sync.Mutex
	keys    []key
	loaded  time.Time     // when keys were fetched; zero for never
	tried   time.Time     // when that was tried last
	failed  bool          // so did that
	pending chan struct{} // closed when the attempt under way has ended; nil if there is none
}

const (
	defaultRefresh     = 15 * time.Minute
	defaultMinInterval = 10 * time.Second
	defaultMaxStale    = 24 * time.Hour

	// fetchTimeout bounds one attempt, and so the goroutine that makes it.
	fetchTimeout = 10 * time.Second
)

// find returns the keys that a token may be signed with. If there is none it
// waits for the set to be fetched, unless that was tried a moment ago.
func (k *KeySet) keysFor(ctx context.Context, kid, alg string) (jwt.VerificationKeySet, error) {
	for waited := false; ; waited = true {
		found, fetching, err := k.lookup(kid, alg, waited) //nolint:contextcheck // an attempt to fetch is for all who wait for it
		if fetching == nil {
			return found, err
		}
		select {
		case <-fetching:
		case <-ctx.Done():
			return jwt.VerificationKeySet{}, &tokenError{ErrUnavailable, ctx.Err().Error()}
		}
	}
}

// look is find without the wait: fetching is closed when it is worth looking
// again, and nil if there is nothing to wait for, or the caller has waited.
func (k *KeySet) lookup(kid, alg string, waited bool) (found jwt.VerificationKeySet, fetching <-chan struct{}, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	age := now.Sub(k.loaded)
	usable := !k.loaded.IsZero() && age < k.opts.MaxStale
	if usable {
		for _, candidate := range k.keys {
			if candidate.fits(kid, alg) {
				found.Keys = append(found.Keys, candidate.public)
			}
		}
	}
	if len(found.Keys) > 0 && age < k.opts.Refresh {
		return found, nil, nil
	}
	if !waited {
		fetching = k.startFetchLocked(now)
	}
	switch {
	case len(found.Keys) > 0 && (age < 2*k.opts.Refresh || k.failed):
		return found, nil, nil // nobody waits for what is to be expected, or for an issuer that is down
	case fetching != nil || len(found.Keys) > 0:
		return found, fetching, nil
	case !usable:
		return found, nil, &tokenError{ErrUnavailable, "there is no current key set"}
	case k.failed:
		return found, nil, &tokenError{ErrUnavailable, "its key is not in the set, which could not be fetched again"}
	default:
		return found, nil, &tokenError{ErrInvalid, "its key is not in the set"}
	}
}

// refresh has the keys fetched, unless it is too soon. It returns what ends with
// the attempt under way, nil if there is none. The caller holds the lock.
func (k *KeySet) startFetchLocked(now time.Time) <-chan struct{} {
	if k.pending != nil {
		return k.pending
	}
	if !k.tried.IsZero() && now.Sub(k.tried) < k.opts.MinInterval {
		return nil
	}
	k.tried = now
	k.pending = make(chan struct{})
	go k.load() // ends with the attempt
	return k.pending
}

func (k *KeySet) load() {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	var keys []key
	var err error
	if failed := apart(func() { keys, err = k.attempt(ctx) }); failed != nil { // the client may be the user's
		keys, err = nil, errors.New(failed.text)
	}
	if err != nil {
		apart(func() { k.opts.Logger.Error("fetching a key set failed", slog.Any("err", err)) })
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failed = err != nil; !k.failed {
		k.keys, k.loaded = keys, time.Now()
	}
	close(k.pending)
	k.pending = nil
}

func (k *KeySet) attempt(ctx context.Context) ([]key, error) {
	data, err := k.fetch(ctx)
	if err != nil {
		return nil, err
	}
	return parseKeys(data)
}
