package auth_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/middleware/auth"
)

// The issuer publishes its public keys at a URL, here for a key of EdDSA.
func ExampleJWKS() {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "2026", "x": %q}]}`,
			base64.RawURLEncoding.EncodeToString(public))
	}))
	defer issuer.Close()

	keys := auth.KeysFromURL(issuer.URL+"/.well-known/jwks.json", nil)
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(auth.JWKS[auth.Identity](keys, auth.Audience("chat"))))
	srv.On("who", func(c *sio.Ctx) error { return c.Ack(auth.Subject(c.Socket)) })

	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.RegisteredClaims{
		Subject: "ann", Audience: jwt.ClaimStrings{"chat"}, ExpiresAt: soon(),
	})
	token.Header["kid"] = "2026"
	signed, err := token.SignedString(private)
	if err != nil {
		panic(err)
	}
	p := open(srv)
	defer p.close()
	p.visit(signed, `420["who"]`)
	// Output:
	// connected
	// 430["ann"]
}

// The tokens of this issuer have the user in the claim id.
func ExampleSubjectOf() {
	type Claims struct {
		jwt.RegisteredClaims

		UserID int `json:"id"`
	}
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(auth.HS256[Claims](secret), auth.SubjectOf(func(c *Claims) int { return c.UserID })))
	srv.On("who", func(c *sio.Ctx) error { return c.Ack(auth.Subject(c.Socket)) })

	p := open(srv)
	defer p.close()
	p.visit(signed(Claims{jwt.RegisteredClaims{ExpiresAt: soon()}, 7}), `420["who"]`)
	// Output:
	// connected
	// 430["7"]
}

// Only some users may send an event.
func ExampleScope() {
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(auth.HS256[auth.Identity](secret)))
	done := sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "done", nil })
	srv.On("read", done, auth.Scope("chat:read"))
	srv.On("delete", done, auth.Scope("chat:read", "chat:delete")) // both
	srv.On("ban", done, auth.Role("admin", "moderator"))           // one of them

	reader := jwt.MapClaims{"sub": "ann", "exp": soon(), "scope": "chat:read", "roles": []string{"moderator"}}
	p := open(srv)
	defer p.close()
	p.visit(signed(reader), `420["read"]`, `421["delete"]`, `422["ban"]`)
	// Output:
	// connected
	// 430["done"]
	// 431[{"error":{"message":"forbidden","data":{"code":"forbidden"}}}]
	// 432["done"]
}

// Metrics or an audit log.
func ExampleObserve() {
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(auth.HS256[auth.Identity](secret), auth.Observe(func(e auth.Event) {
		fmt.Printf("observed: %s %q %q\n", e.Kind, e.Subject, e.Code)
	})))

	p := open(srv)
	defer p.close()
	p.visit("made up")
	p.visit(signed(jwt.RegisteredClaims{Subject: "ann", ExpiresAt: soon()}))
	// Output:
	// observed: refused "" "token_invalid"
	// 44{"message":"token invalid","data":{"code":"token_invalid"}}
	// observed: accepted "ann" ""
	// connected
}

// Clients without a token may read. Only those with one may write.
func ExampleSignedIn() {
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(auth.HS256[auth.Identity](secret), auth.AllowAnonymous()))
	done := sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "done", nil })
	srv.On("read", done)
	srv.On("write", done, auth.SignedIn())

	p := open(srv)
	defer p.close()
	c := p.WebSocket(p)
	c.Connect("/", "")
	c.Send(`420["read"]`, `421["write"]`)
	fmt.Println(c.Next())
	fmt.Println(c.Next())
	// Output:
	// 430["done"]
	// 431[{"error":{"message":"token missing","data":{"code":"token_missing"}}}]
}

// A list of revocations that the servers of a cluster share. What is revoked on one server
// is refused on all of them.
func ExampleNewRevocations() {
	cluster := adapter.NewMemory()
	start := func() (*sio.Server, *auth.Revocations) {
		srv := sio.New(&sio.Options{Adapter: cluster})
		revoked := auth.NewRevocations(srv, nil)
		srv.UseConnect(auth.Require(auth.HS256[auth.Identity](secret), auth.Revoked(revoked.Contains)))
		return srv, revoked
	}
	one, _ := start()
	two, revoked := start()

	fmt.Println(revoked.Subject("ann"))
	fmt.Println(errors.Join(one.Shutdown(context.Background()), two.Shutdown(context.Background())))
	// Output:
	// <nil>
	// <nil>
}
