package auth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
)

// JWKS returns a verifier for tokens that are signed with one of the keys in a set. The
// kid of the token selects the key. The key selects the algorithm: the one that it names,
// or those of its type. Secrets in a set are not used, so a client cannot use a public
// key as a secret.
func JWKS[C any, P claimsOf[C]](keys *KeySet, opts ...VerifyOption) Verifier[C] {
	if keys == nil {
		misuse.Panic("auth: JWKS needs a key set: see KeysFromURL")
	}
	return newVerifier[C, P](keys.opts.Algorithms, func(ctx context.Context, t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		return keys.keysFor(ctx, kid, t.Method.Alg())
	}, opts)
}

// KeySetOptions are the settings of a [KeySet]. A zero value means the default.
type KeySetOptions struct {
	// Algorithms are the allowed algorithms. By default, these are all algorithms that
	// use public keys.
	Algorithms []string

	// Refresh is the age at which keys are fetched again in the background, 15
	// minutes by default. If keys are twice as old when a token comes, the token waits
	// for the fetch, because its key may have been withdrawn.
	Refresh time.Duration

	// MinInterval is the shortest time between two fetches, 10 seconds by default. It
	// also holds for tokens whose kid is not in the set. So a new key may be unknown
	// for that time.
	MinInterval time.Duration

	// MaxStale is the age from which on keys are not used any more, 24 hours by
	// default. Keys get that old if all fetches fail. Then tokens are refused with
	// [CodeUnavailable].
	MaxStale time.Duration

	// Client fetches from a URL. The default one gives up after 10 seconds and
	// does not follow redirects to plain HTTP.
	Client HTTPClient

	// InsecureHTTP allows a URL with plain HTTP. An attacker who can change the
	// fetched keys can make tokens. URLs of this machine are always allowed.
	InsecureHTTP bool

	// Logger is told at Error when fetching fails. Nil means slog.Default().
	Logger *slog.Logger
}

// A KeySet has the keys of an issuer: a JSON Web Key Set (RFC 7517). It fetches them when
// they are needed, and keeps them. Several verifiers can share one. It is safe for
// concurrent use, and does not have to be closed.
type KeySet struct {
	opts  KeySetOptions
	fetch func(ctx context.Context) ([]byte, error)

	mu      sync.Mutex
	keys    []key
	loaded  time.Time     // when keys were fetched; zero for never
	tried   time.Time     // when the last fetch began
	failed  bool          // the last fetch has failed
	pending chan struct{} // closed when the running fetch has ended; nil if none runs
}

const (
	defaultRefresh     = 15 * time.Minute
	defaultMinInterval = 10 * time.Second
	defaultMaxStale    = 24 * time.Hour

	// fetchTimeout bounds one fetch, and so its goroutine.
	fetchTimeout = 10 * time.Second
)

// keysFor returns the keys that a token may be signed with. If there is none, it waits
// for a fetch, unless the last one began less than MinInterval ago.
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

// lookup is keysFor without the wait. If the caller should wait, fetching is not nil: it
// is closed when the fetch has ended.
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
		return found, nil, nil // a regular fetch runs in the background, and an issuer that is down is not waited for
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

// startFetchLocked starts a fetch, unless one runs or the last one began less than
// MinInterval ago. It returns the channel of the running fetch, nil if there is none.
func (k *KeySet) startFetchLocked(now time.Time) <-chan struct{} {
	if k.pending != nil {
		return k.pending
	}
	if !k.tried.IsZero() && now.Sub(k.tried) < k.opts.MinInterval {
		return nil
	}
	k.tried = now
	k.pending = make(chan struct{})
	go k.load() // ends with the fetch
	return k.pending
}

func (k *KeySet) load() {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	var keys []key
	err := rescue.Apart(func() (err error) { // the client may be the application's
		keys, err = k.attempt(ctx)
		return err
	})
	if err != nil {
		k.opts.Logger.Error("fetching a key set failed", slog.Any("err", err))
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
