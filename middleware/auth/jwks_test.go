package auth_test

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/sioplug/sioplug/middleware/auth"
)

// An issuer has a key set to fetch, in memory.
type issuer struct {
	mu      sync.Mutex
	set     string
	err     error
	delay   time.Duration
	fetches int
}

func (i *issuer) Do(*http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.fetches++
	delay := i.delay
	i.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return nil, i.err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(i.set))}, nil
}

func (i *issuer) change(f func(i *issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(i)
}

func (i *issuer) wantFetches(t *testing.T, n int) {
	t.Helper()
	synctest.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fetches != n {
		t.Errorf("%d fetches, want %d", i.fetches, n)
	}
}

func (i *issuer) keys(opts auth.KeySetOptions) *auth.KeySet {
	opts.Client = i
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return auth.KeysFromURL("https://issuer.example/jwks.json", &opts)
}

// jwk describes a key as sets have them.
func jwk(tb testing.TB, key crypto.PublicKey, kid, alg, use string) string {
	tb.Helper()
	k, err := jwkset.NewJWKFromKey(key, jwkset.JWKOptions{
		Metadata: jwkset.JWKMetadataOptions{KID: kid, ALG: jwkset.ALG(alg), USE: jwkset.USE(use)},
		Marshal:  jwkset.JWKMarshalOptions{Private: true},
	})
	if err != nil {
		tb.Fatal(err)
	}
	data, err := json.Marshal(k.Marshal())
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

func set(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func TestKeySetRotates(t *testing.T) {
	t.Parallel()
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{set: set(jwk(t, &k.rsa.PublicKey, "old", "RS256", "sig"))}
		verify := auth.JWKS[auth.Identity](i.keys(auth.KeySetOptions{}))
		want := func(what, token string, want error) {
			t.Helper()
			if _, err := verify(t.Context(), token); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		before := sign(t, jwt.SigningMethodRS256, k.rsa, ann(nil), "kid", "old")
		after := sign(t, jwt.SigningMethodES256, k.p256, ann(nil), "kid", "new")

		i.wantFetches(t, 0)
		want("first token", before, nil)
		want("second token", before, nil)
		i.wantFetches(t, 1)
		want("key that is not in the set yet", after, auth.ErrInvalid)
		i.wantFetches(t, 1) // the set was fetched a moment ago

		i.change(func(i *issuer) { i.set = set(jwk(t, &k.p256.PublicKey, "new", "ES256", "sig")) })
		want("known key", before, nil)
		time.Sleep(10 * time.Second)
		want("new key", after, nil)
		i.wantFetches(t, 2)
		want("removed key", before, auth.ErrInvalid)
		i.wantFetches(t, 2)
	})
}

func TestKeySetIsRefreshedInTheBackground(t *testing.T) {
	t.Parallel()
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{set: set(jwk(t, &k.rsa.PublicKey, "a", "", ""))}
		verify := auth.JWKS[auth.Identity](i.keys(auth.KeySetOptions{Refresh: time.Minute}))
		tok := sign(t, jwt.SigningMethodPS512, k.rsa, ann(nil), "kid", "a")
		if _, err := verify(t.Context(), tok); err != nil {
			t.Fatal(err)
		}
		i.change(func(i *issuer) { i.delay = 5 * time.Second })
		time.Sleep(time.Minute)
		start := time.Now()
		for range 100 {
			if _, err := verify(t.Context(), tok); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("tokens of a known key waited for %v", waited)
		}
		i.wantFetches(t, 2)
		time.Sleep(10 * time.Second)
	})
}

// An issuer withdraws a key while no tokens come: the first one after that must not
// be accepted on the strength of what was known before.
func TestWithdrawnKeyAfterAQuietTime(t *testing.T) {
	t.Parallel()
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{set: set(jwk(t, &k.rsa.PublicKey, "old", "RS256", "sig"))}
		verify := auth.JWKS[auth.Identity](i.keys(auth.KeySetOptions{}))
		tok := sign(t, jwt.SigningMethodRS256, k.rsa, ann(claims{"exp": time.Now().Add(100 * time.Hour).Unix()}), "kid", "old")
		want := func(what string, want error) {
			t.Helper()
			if _, err := verify(t.Context(), tok); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		want("first", nil)
		i.change(func(i *issuer) { i.set = set(jwk(t, &k.p256.PublicKey, "new", "ES256", "sig")) })
		time.Sleep(30*time.Minute - time.Second)
		want("within bounds", nil) // and fetched in the background
		synctest.Wait()
		want("withdrawn", auth.ErrInvalid)

		i.change(func(i *issuer) { i.set = set(jwk(t, &k.rsa.PublicKey, "old", "RS256", "sig")) })
		time.Sleep(time.Hour)
		want("back", nil)
		i.change(func(i *issuer) { i.set = set(jwk(t, &k.p256.PublicKey, "new", "ES256", "sig")) })
		time.Sleep(time.Hour)
		want("withdrawn in the night", auth.ErrInvalid)
		i.wantFetches(t, 4)
	})
}

// However little time there has to be between two attempts, a token is worth one.
func TestUnknownKeyIsLookedForOnce(t *testing.T) {
	t.Parallel()
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{set: set(jwk(t, &k.rsa.PublicKey, "a", "RS256", "sig")), delay: time.Second}
		verify := auth.JWKS[auth.Identity](i.keys(auth.KeySetOptions{MinInterval: time.Nanosecond}))
		for n := range 3 {
			tok := sign(t, jwt.SigningMethodRS256, k.rsa, ann(nil), "kid", "b")
			if _, err := verify(t.Context(), tok); !errors.Is(err, auth.ErrInvalid) {
				t.Errorf("got %v, want ErrInvalid", err)
			}
			i.wantFetches(t, n+1)
		}
	})
}

// While an issuer is down nobody waits for it again and again, as long as there are
// keys; and whose key is not among them is not told to sign in again.
func TestIssuerThatIsDown(t *testing.T) {
	t.Parallel()
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{set: set(jwk(t, &k.rsa.PublicKey, "a", "RS256", "sig"))}
		verify := auth.JWKS[auth.Identity](i.keys(auth.KeySetOptions{}))
		later := claims{"exp": time.Now().Add(100 * time.Hour).Unix()}
		known := sign(t, jwt.SigningMethodRS256, k.rsa, ann(later), "kid", "a")
		unknown := sign(t, jwt.SigningMethodRS256, k.rsa, ann(later), "kid", "b")
		if _, err := verify(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		i.change(func(i *issuer) { i.err, i.delay = errors.New("no route to host"), 9*time.Second })
		time.Sleep(10 * time.Second)
		start := time.Now()
		if _, err := verify(t.Context(), unknown); !errors.Is(err, auth.ErrUnavailable) || time.Since(start) != 9*time.Second {
			t.Errorf("unknown key: %v after %v", err, time.Since(start))
		}
		for range 100 {
			time.Sleep(10 * time.Minute)
			start := time.Now()
			if _, err := verify(t.Context(), known); err != nil || time.Since(start) != 0 {
				t.Errorf("known key: %v after %v", err, time.Since(start))
			}
		}
		time.Sleep(time.Minute)
	})
}

// Who does not want to wait any longer does not keep others from it.
func TestContextThatEndsWhileAKeySetIsFetched(t *testing.T) {
	t.Parallel()
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{set: set(jwk(t, &k.rsa.PublicKey, "a", "RS256", "sig")), delay: 5 * time.Second}
		verify := auth.JWKS[auth.Identity](i.keys(auth.KeySetOptions{}))
		tok := sign(t, jwt.SigningMethodRS256, k.rsa, ann(nil), "kid", "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := verify(ctx, tok); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		if _, err := verify(t.Context(), tok); err != nil {
			t.Error(err)
		}
		i.wantFetches(t, 1)
	})
}

func TestKeySetThatCannotBeFetched(t *testing.T) {
	t.Parallel()
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		log := new(logbook)
		i := &issuer{err: errors.New("no route to host")}
		verify := auth.JWKS[auth.Identity](i.keys(auth.KeySetOptions{Logger: log.logger()}))
		tok := sign(t, jwt.SigningMethodRS256, k.rsa, ann(claims{"exp": time.Now().Add(1000 * time.Hour).Unix()}), "kid", "a")
		want := func(what string, want error) {
			t.Helper()
			if _, err := verify(t.Context(), tok); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		for range 50 {
			want("never fetched", auth.ErrUnavailable)
		}
		i.wantFetches(t, 1)
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors logged for one attempt:\n%s", n, log)
		}
		time.Sleep(10 * time.Second)
		i.change(func(i *issuer) { i.err, i.set = nil, set(jwk(t, &k.rsa.PublicKey, "a", "RS256", "sig")) })
		want("fetched", nil)
		i.change(func(i *issuer) { i.err = errors.New("no route to host") })
		time.Sleep(24*time.Hour - time.Second)
		want("stale, within bounds", nil)
		synctest.Wait()
		time.Sleep(time.Second)
		want("too stale", auth.ErrUnavailable)
		time.Sleep(10 * time.Second)
		i.change(func(i *issuer) { i.set, i.err = set(), nil })
		want("fetched, but empty", auth.ErrUnavailable)
		time.Sleep(10 * time.Second)
		i.change(func(i *issuer) { i.set = set(jwk(t, &k.rsa.PublicKey, "a", "RS256", "sig")) })
		want("back again", nil)
	})
}

func TestKeySetIsFetchedOnceForAll(t *testing.T) {
	t.Parallel()
	k := keys()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{set: set(jwk(t, &k.rsa.PublicKey, "a", "RS256", "sig")), delay: time.Second}
		verify := auth.JWKS[auth.Identity](i.keys(auth.KeySetOptions{}))
		tok := sign(t, jwt.SigningMethodRS256, k.rsa, ann(nil), "kid", "a")
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := verify(t.Context(), tok); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		i.wantFetches(t, 1)
	})
}

func TestPanicOfTheClientOnlyFailsTheAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		verify := auth.JWKS[auth.Identity](auth.KeysFromURL("https://issuer.example/jwks.json", &auth.KeySetOptions{
			Client: panicking{}, Logger: slog.New(slog.DiscardHandler),
		}))
		if _, err := verify(t.Context(), token(t, nil)); !errors.Is(err, auth.ErrInvalid) {
			t.Errorf("HMAC: %v", err)
		}
		tok := sign(t, jwt.SigningMethodRS256, keys().rsa, ann(nil), "kid", "a")
		if _, err := verify(t.Context(), tok); !errors.Is(err, auth.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
	})
}

type panicking struct{}

func (panicking) Do(*http.Request) (*http.Response, error) { panic("a bug") }
