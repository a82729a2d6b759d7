package interop_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/auth"
)

// The client in docs/auth.md is the one that the scenarios use.
func TestDocumentedClient(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/auth.md")
	if err != nil {
		t.Fatal(err)
	}
	client, err := os.ReadFile("support/signin.js")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(docs), "<!-- checked: client -->\n```js\n")
	if block, _, _ = strings.Cut(block, "```"); block != string(client) {
		t.Error("docs/auth.md: the block \"client\" should be support/signin.js")
	}
}

var (
	sharedSecret = []byte("a secret of 32 bytes that is not one")
	otherSecret  = []byte("the secret of somebody else, who has no business here, has 64 of them")
)

// vaults are namespaces with guards, and an issuer of tokens for them, good ones and
// bad ones. A guard's own tests are in its package; here is what clients make of it.
func vaults(srv *sio.Server, m mount) {
	is := newIssuer()
	issuing := srv.Of("/issuer")
	issuing.On("issue", sio.Reply(func(_ *sio.Ctx, o request) (string, error) { return is.issue(o) }))
	issuing.On("rotate", func(c *sio.Ctx) error { is.rotate(); return c.Ack() })

	vault := srv.Of("/vault")
	verify := auth.HS256[auth.Identity](sharedSecret, auth.Audience("interop"))
	vault.UseConnect(auth.Require(verify, auth.WarnBefore(time.Second), auth.FromCookie("token"), auth.FromQuery("token"),
		auth.Revoked(is.revoked)))
	vault.On("authenticate", auth.Refresh(verify))
	vault.On("who", who)
	vault.On("post", acknowledge, auth.Scope("chat:write"))
	vault.On("moderate", acknowledge, auth.Role("moderator"))
	vault.On("join", sio.Reply(func(c *sio.Ctx, room string) (bool, error) { return true, c.Join(room) }),
		auth.Join(func(id *auth.Identity, room string) error {
			if strings.HasPrefix(room, id.Subject+"/") {
				return nil
			}
			return auth.ErrForbidden
		}))
	vault.On("revoke subject", sio.Bind(func(_ *sio.Ctx, subject string) error {
		is.blacklist.Store(subject, true)
		return auth.RevokeSubject(vault, subject)
	}))
	vault.On("revoke token", sio.Bind(func(_ *sio.Ctx, id string) error {
		is.blacklist.Store(id, true)
		return auth.RevokeToken(vault, id)
	}))

	set := auth.KeysFromURL("https://issuer.test/keys", &auth.KeySetOptions{Client: is, MinInterval: time.Nanosecond})
	keyed := srv.Of("/vault/keys")
	keyed.UseConnect(auth.Require(auth.JWKS[auth.Identity](set)))
	keyed.On("who", who)

	down := auth.KeysFromURL("https://issuer.test/keys", &auth.KeySetOptions{Client: unreachable{}, Logger: slog.New(slog.DiscardHandler)})
	srv.Of("/vault/down").UseConnect(auth.Require(auth.JWKS[auth.Identity](down)))

	lobby := srv.Of("/lobby")
	lobby.UseConnect(auth.Require(verify, auth.AllowAnonymous()))
	lobby.On("authenticate", auth.Refresh(verify))
	lobby.On("who", who)
	lobby.On("post", acknowledge, auth.SignedIn())

	framework := srv.Of("/framework")
	framework.UseConnect(auth.From(func(s *sio.Socket) (*guest, error) {
		name, _ := m.identify(s)
		if name == "" {
			return nil, nil
		}
		return &guest{name}, nil
	}))
	framework.On("who", who)
	framework.On("revoke me", func(c *sio.Ctx) error { return auth.RevokeSubject(framework, auth.Subject(c.Socket)) })
}

var who = sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) { return auth.Subject(c.Socket), nil })

// A guest is who the framework's middleware has let in.
type guest struct{ name string }

// GetSubject makes guests known to package auth.
func (g *guest) GetSubject() (string, error) { return g.name, nil }

// A request is for a token.
type request struct {
	Subject   string   `json:"subject"`
	ID        string   `json:"id"`
	Audience  string   `json:"audience"`
	Life      int      `json:"life"`      // seconds
	NotBefore int      `json:"notBefore"` // seconds from now
	Algorithm string   `json:"algorithm"`
	Key       string   `json:"key"` // its id: "old" or "new"
	Scopes    []string `json:"scopes"`
	Roles     []string `json:"roles"`
}

// An issuer makes tokens, has a set of keys, and remembers what was revoked.
type issuer struct {
	keys      map[string]*rsa.PrivateKey
	blacklist sync.Map // subjects and ids of tokens

	mu      sync.Mutex
	current string // the id of the key in the set
}

func newIssuer() *issuer { return &issuer{keys: rsaKeys(), current: "old"} }

// rsaKeys takes its time, so servers share the keys.
var rsaKeys = sync.OnceValue(func() map[string]*rsa.PrivateKey {
	keys := make(map[string]*rsa.PrivateKey)
	for _, id := range []string{"old", "new"} {
		keys[id], _ = rsa.GenerateKey(rand.Reader, 2048) // it does not fail
	}
	return keys
})

func (i *issuer) issue(o request) (string, error) {
	now := time.Now()
	id := auth.Identity{Scopes: o.Scopes, Roles: o.Roles}
	id.Subject, id.ID, id.Audience = o.Subject, o.ID, jwt.ClaimStrings{o.Audience}
	id.ExpiresAt = jwt.NewNumericDate(now.Add(time.Duration(o.Life) * time.Second))
	if o.NotBefore != 0 {
		id.NotBefore = jwt.NewNumericDate(now.Add(time.Duration(o.NotBefore) * time.Second))
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(o.Algorithm), id)
	token.Header["kid"] = o.Key
	switch o.Algorithm {
	case "none":
		return token.SignedString(jwt.UnsafeAllowNoneSignatureType)
	case "RS256":
		return token.SignedString(i.keys[o.Key])
	case "HS512":
		return token.SignedString(otherSecret)
	default:
		return token.SignedString(sharedSecret)
	}
}

func (i *issuer) rotate() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.current = "new"
}

// Do implements [auth.HTTPClient]: it answers with the set of the current key.
func (i *issuer) Do(*http.Request) (*http.Response, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	store := jwkset.NewMemoryStorage()
	key, err := jwkset.NewJWKFromKey(i.keys[i.current].Public(), jwkset.JWKOptions{
		Metadata: jwkset.JWKMetadataOptions{KID: i.current, ALG: jwkset.AlgRS256, USE: jwkset.UseSig},
	})
	if err != nil {
		return nil, err
	}
	if err := store.KeyWrite(context.Background(), key); err != nil {
		return nil, err
	}
	set, err := store.JSONPublic(context.Background())
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(set)))}, err
}

func (i *issuer) revoked(_ context.Context, t auth.Token) (bool, error) {
	_, subject := i.blacklist.Load(t.Subject)
	_, id := i.blacklist.Load(t.ID)
	return subject || id, nil
}

type unreachable struct{}

func (unreachable) Do(*http.Request) (*http.Response, error) {
	return nil, errors.New("no route to host")
}
