package auth_test

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
	"github.com/sioplug/sioplug/middleware/auth"
)

// signed is what an issuer does: usually, another program.
func signed(claims jwt.Claims) string {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		panic(err)
	}
	return token
}

func soon() *jwt.NumericDate { return jwt.NewNumericDate(time.Now().Add(time.Hour)) }

// A place is a server in memory, for clients to come to.
type place struct {
	*exampletb.TB
	siotest.Dialer

	srv *sio.Server
}

func open(srv *sio.Server) place {
	tb := exampletb.New()
	return place{tb, siotest.Pipes(tb, srv), srv}
}

func (p place) close() { p.End(p.srv) }

// visit connects a client with a token, which sends packets, and prints the answers.
func (p place) visit(token string, packets ...string) *siotest.Client {
	c := p.WebSocket(p)
	c.Send(`40{"token":"` + token + `"}`)
	answer := c.Next()
	if strings.HasPrefix(answer, "40") {
		answer = "connected" // with an id that is another one each time
	}
	fmt.Println(answer)
	for _, packet := range packets {
		c.Send(packet)
		fmt.Println(c.Next())
	}
	return c
}

func Example() {
	type Claims struct {
		jwt.RegisteredClaims

		Name string `json:"name"`
	}
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(auth.HS256[Claims](secret))) // ← the one line
	srv.On("hello", func(c *sio.Ctx) error {
		return c.Ack("Hello " + auth.Claims[Claims](c.Socket).Name)
	})

	ann := Claims{jwt.RegisteredClaims{Subject: "1", ExpiresAt: soon()}, "Ann"}
	p := open(srv)
	defer p.close()
	p.visit("made up")
	p.visit(signed(ann), `420["hello"]`)
	// Output:
	// 44{"message":"token invalid","data":{"code":"token_invalid"}}
	// connected
	// 430["Hello Ann"]
}

// Tokens that are no JSON Web Tokens need a verifier of one's own. This one knows
// the fingerprints of a few API keys. It compares all of them with the same effort,
// so that nobody learns from the time that it takes.
func ExampleVerifier() {
	type Machine struct{ Name string }
	machines := map[[sha256.Size]byte]*Machine{
		sha256.Sum256([]byte("k3y-of-the-press")): {"press"},
		sha256.Sum256([]byte("k3y-of-the-lathe")): {"lathe"},
	}
	var keys auth.Verifier[Machine] = func(_ context.Context, token string) (found *Machine, _ error) {
		sum := sha256.Sum256([]byte(token))
		for known, m := range machines {
			if subtle.ConstantTimeCompare(sum[:], known[:]) == 1 {
				found = m
			}
		}
		if found == nil {
			return nil, auth.ErrInvalid
		}
		return found, nil
	}

	srv := sio.New(nil)
	srv.UseConnect(auth.Require(keys))
	srv.On("who", func(c *sio.Ctx) error { return c.Ack(auth.Claims[Machine](c.Socket).Name) })

	p := open(srv)
	defer p.close()
	p.visit("k3y-of-the-lathe", `420["who"]`)
	p.visit("k3y-of-the-latha")
	// Output:
	// connected
	// 430["lathe"]
	// 44{"message":"token invalid","data":{"code":"token_invalid"}}
}

// While a secret is replaced, tokens of both are good.
func ExampleAnyOf() {
	old := []byte("an old secret that nobody should use any more")
	verify := auth.AnyOf(auth.HS256[auth.Identity](secret), auth.HS256[auth.Identity](old))
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(verify))

	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{ExpiresAt: soon()}).SignedString(old)
	if err != nil {
		panic(err)
	}
	p := open(srv)
	defer p.close()
	p.visit(token)
	// Output: connected
}

// A framework's middleware has authenticated the request, here by a header. With
// Gin, From looks into siogin.Context(s), and so on.
func ExampleFrom() {
	type User struct{ Name string }
	srv := sio.New(nil)
	srv.UseConnect(auth.From(func(s *sio.Socket) (*User, error) {
		name := s.Handshake().Header.Get("X-User")
		if name == "" {
			return nil, nil // nobody
		}
		return &User{name}, nil
	}))
	srv.On("who", func(c *sio.Ctx) error { return c.Ack(auth.Claims[User](c.Socket).Name) })

	p := open(srv)
	defer p.close()
	p.visit("")
	p.Header = map[string][]string{"X-User": {"Ann"}}
	p.visit("", `420["who"]`)
	// Output:
	// 44{"message":"token missing","data":{"code":"token_missing"}}
	// connected
	// 430["Ann"]
}

// A client changes its token without losing its connection.
func ExampleRefresh() {
	verify := auth.HS256[auth.Identity](secret)
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(verify))
	srv.On("authenticate", auth.Refresh(verify))
	srv.On("post", func(c *sio.Ctx) error { return c.Ack("posted") }, auth.Scope("chat:write"))

	reader := auth.Identity{RegisteredClaims: jwt.RegisteredClaims{Subject: "ann", ExpiresAt: soon()}}
	writer := reader
	writer.Scopes = auth.List{"chat:read", "chat:write"}
	p := open(srv)
	defer p.close()
	p.visit(signed(reader), `420["post"]`, `421["authenticate","`+signed(writer)+`"]`, `422["post"]`)
	// Output:
	// connected
	// 430[{"error":{"message":"forbidden","data":{"code":"forbidden"}}}]
	// 431[{"expiresIn":3600}]
	// 432["posted"]
}

// Clients join the rooms of their own company.
func ExampleJoin() {
	type Claims struct {
		jwt.RegisteredClaims

		Company string `json:"company"`
	}
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(auth.HS256[Claims](secret)))
	srv.On("join", sio.Reply(func(c *sio.Ctx, room string) ([]string, error) {
		err := c.Join(room)
		return slices.Clone(c.Rooms()[1:]), err
	}), auth.Join(func(claims *Claims, room string) error {
		if company, _, _ := strings.Cut(room, "/"); company != claims.Company {
			return auth.ErrForbidden
		}
		return nil
	}))

	ann := Claims{jwt.RegisteredClaims{ExpiresAt: soon()}, "acme"}
	p := open(srv)
	defer p.close()
	p.visit(signed(ann), `420["join","acme/sales"]`, `421["join","umbrella/sales"]`)
	// Output:
	// connected
	// 430[["acme/sales"]]
	// 431[{"error":{"message":"forbidden","data":{"code":"forbidden"}}}]
}

// A namespace for administrators, with a reason for those who are none.
func ExampleCheck() {
	srv := sio.New(nil)
	admin := srv.Of("/admin")
	admin.UseConnect(auth.Require(auth.HS256[auth.Identity](secret)),
		auth.Check(func(id *auth.Identity, _ *sio.Ctx) error {
			if !id.HasRole("admin") {
				return &sio.Error{Message: "for administrators", Data: map[string]any{"contact": "it@example.org"}}
			}
			return nil
		}))

	p := open(srv)
	defer p.close()
	c := p.WebSocket(p)
	c.Send(`40/admin,{"token":"` + signed(jwt.RegisteredClaims{Subject: "ann", ExpiresAt: soon()}) + `"}`)
	fmt.Println(c.Next())
	// Output: 44/admin,{"message":"for administrators","data":{"contact":"it@example.org"}}
}

// Ann is dismissed: her sockets end, and her token is of no use any more.
func ExampleRevokeSubject() {
	var dismissed sync.Map // in a database that all servers use
	srv := sio.New(nil)
	srv.UseConnect(auth.Require(auth.HS256[auth.Identity](secret),
		auth.Revoked(func(_ context.Context, t auth.Token) (bool, error) {
			_, found := dismissed.Load(t.Subject)
			return found, nil
		})))
	srv.On("hello", func(c *sio.Ctx) error { return c.Ack("Hello " + auth.Subject(c.Socket)) })

	p := open(srv)
	defer p.close()
	token := signed(jwt.RegisteredClaims{Subject: "ann", ExpiresAt: soon()})
	ann := p.visit(token, `420["hello"]`)

	dismissed.Store("ann", true) // first, or she would be back before
	if err := auth.RevokeSubject(srv.Namespace, "ann"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(ann.Next())
	fmt.Println(ann.Next(), "is DISCONNECT")
	p.visit(token)
	// Output:
	// connected
	// 430["Hello ann"]
	// 42["token_revoked",{"code":"token_revoked"}]
	// 41 is DISCONNECT
	// 44{"message":"token revoked","data":{"code":"token_revoked"}}
}
