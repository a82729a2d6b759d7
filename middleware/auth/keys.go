package auth

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/MicahParks/jwkset"

	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
)

// An HTTPClient sends the requests of a [KeySet]. An [*http.Client] is one.
type HTTPClient interface {
	Do(r *http.Request) (*http.Response, error)
}

// maxKeySet is the size in bytes of the largest key set that is read.
const maxKeySet = 1 << 20

// KeysFromURL returns the key set at a URL. It panics unless the URL uses HTTPS or is of
// this machine. opts may be nil.
func KeysFromURL(address string, opts *KeySetOptions) *KeySet {
	o := opts.withDefaults()
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		misuse.Panic(fmt.Sprintf("auth: KeysFromURL(%q): this is no URL", address))
	}
	if u.Scheme != "https" && !o.InsecureHTTP && !loopback(u.Hostname()) {
		misuse.Panic(fmt.Sprintf("auth: KeysFromURL(%q): use https, or KeySetOptions.InsecureHTTP", address))
	}
	client := o.Client
	if client == nil {
		client = &http.Client{Timeout: fetchTimeout, CheckRedirect: staysSecure}
	}
	return &KeySet{opts: o, fetch: func(ctx context.Context) ([]byte, error) {
		return download(ctx, client, u)
	}}
}

// KeysFromFile returns the key set in a file. The file is read again when keys from a URL
// would be fetched again. opts may be nil.
func KeysFromFile(name string, opts *KeySetOptions) *KeySet {
	return &KeySet{opts: opts.withDefaults(), fetch: func(context.Context) ([]byte, error) {
		f, err := os.Open(name) //nolint:gosec // it is the operator's choice
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // it was only read
		return readKeySet(f)
	}}
}

func (opts *KeySetOptions) withDefaults() KeySetOptions {
	var o KeySetOptions
	if opts != nil {
		o = *opts
	}
	if o.Refresh < 0 || o.MinInterval < 0 || o.MaxStale < 0 {
		misuse.Panic("auth: KeySetOptions has a negative time: leave it 0 for the default")
	}
	o.Refresh = cmp.Or(o.Refresh, defaultRefresh)
	o.MinInterval = cmp.Or(o.MinInterval, defaultMinInterval)
	o.MaxStale = cmp.Or(o.MaxStale, defaultMaxStale)
	o.Logger = rescue.Logger(cmp.Or(o.Logger, slog.Default()))
	if len(o.Algorithms) == 0 {
		o.Algorithms = asymmetric()
	}
	for _, alg := range o.Algorithms {
		if !slices.Contains(asymmetric(), alg) {
			misuse.Panic(fmt.Sprintf("auth: KeySetOptions.Algorithms has %q: use some of %q", alg, asymmetric()))
		}
	}
	return o
}

func asymmetric() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// staysSecure refuses redirects from HTTPS to plain HTTP, and more than a few.
func staysSecure(r *http.Request, via []*http.Request) error {
	const few = 5
	if len(via) > few {
		return errors.New("too many redirects")
	}
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return errors.New("redirect from https to " + r.URL.Scheme)
	}
	return nil
}

func download(ctx context.Context, client HTTPClient, u *url.URL) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered with status %d", u.Redacted(), res.StatusCode)
	}
	return readKeySet(res.Body)
}

func readKeySet(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err == nil && len(data) > maxKeySet {
		err = fmt.Errorf("key set has more than %d bytes", maxKeySet)
	}
	return data, err
}

// A key is a public key of a set.
type key struct {
	id     string
	alg    string // "" for any of its type
	public any
}

// parseKeys returns the keys of a set that can verify signatures. It ignores other keys
// (RFC 7517 section 5).
func parseKeys(data []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("decoding key set: %w", err)
	}
	var keys []key
	for _, raw := range set.Keys {
		jwk, err := jwkset.NewJWKFromRawJSON(raw, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			continue
		}
		m := jwk.Marshal()
		if m.USE != "" && m.USE != jwkset.UseSig ||
			len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
			continue
		}
		k := key{id: m.KID, alg: m.ALG.String(), public: jwk.Key()}
		if k.algorithmPrefixes() != "" {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("key set has no key for signatures")
	}
	return keys, nil
}

// algorithmPrefixes returns the prefixes of the algorithms for the type of the key, with
// spaces between them. It returns "" for an unusable key.
func (k *key) algorithmPrefixes() string {
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		if strongRSA(p) {
			return "RS PS"
		}
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ES%d", map[int]int{256: 256, 384: 384, 521: 512}[p.Curve.Params().BitSize])
	case ed25519.PublicKey:
		if !allBytesEqual(p) {
			return "EdDSA"
		}
	}
	return ""
}

// fits reports whether a token with this header may be signed with the key. A token
// without a kid fits every key.
func (k *key) fits(kid, alg string) bool {
	if kid != "" && kid != k.id || k.alg != "" && k.alg != alg {
		return false
	}
	return slices.ContainsFunc(strings.Fields(k.algorithmPrefixes()), func(f string) bool { return strings.HasPrefix(alg, f) })
}
