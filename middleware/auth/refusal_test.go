package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/auth"
)

// What clients are told, word for word.
const (
	missing     = `{"message":"token missing","data":{"code":"token_missing"}}`
	expired     = `{"message":"token expired","data":{"code":"token_expired"}}`
	invalid     = `{"message":"token invalid","data":{"code":"token_invalid"}}`
	revoked     = `{"message":"token revoked","data":{"code":"token_revoked"}}`
	forbidden   = `{"message":"forbidden","data":{"code":"forbidden"}}`
	unavailable = `{"message":"authentication unavailable","data":{"code":"auth_unavailable"}}`
	internal    = `{"message":"internal error"}`
)

// A refused is a way to be refused, at connect time and by a refresh alike. The
// table in docs/auth.md is made of them.
type refused struct {
	situation string
	verify    auth.Verifier[auth.Identity]
	payload   string
	want      string
}

func refusals(t *testing.T) []refused {
	payload := func(token string) string { return fmt.Sprintf(`{"token":%q}`, token) }
	failing := func(err error) auth.Verifier[auth.Identity] {
		return func(context.Context, string) (*auth.Identity, error) { return nil, err }
	}
	k := keys()
	now := time.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	someKey := `{"kty":"EC"}`
	set := auth.KeysFromFile(writeFile(t, set(jwk(t, &k.rsa.PublicKey, "a", "RS256", "sig"), someKey)), nil)
	return []refused{
		{"no auth payload", hs256(), ``, missing},
		{"no token in the payload", hs256(), `{}`, missing},
		{"token is null", hs256(), `{"token":null}`, missing},
		{"token is empty", hs256(), `{"token":""}`, missing},
		{"token is a number", hs256(), `{"token":7}`, invalid},
		{"token is an object", hs256(), `{"token":{}}`, invalid},
		{"token is garbage", hs256(), payload("x.y.z"), invalid},
		{"token is too long", hs256(), payload(strings.Repeat("x", 16<<10+1)), invalid},
		{"expired", hs256(), payload(token(t, claims{"exp": in(-time.Hour)})), expired},
		{"expired and tampered with", hs256(), payload(tamper(token(t, claims{"exp": in(-time.Hour)}))), invalid},
		{"without an end", hs256(), payload(token(t, claims{"exp": nil})), invalid},
		{"not yet valid", hs256(), payload(token(t, claims{"nbf": in(time.Hour)})), invalid},
		{"issued in the future", hs256(auth.CheckIssuedAt()), payload(token(t, claims{"iat": in(time.Hour)})), invalid},
		{"wrong audience", hs256(auth.Audience("chat")), payload(token(t, claims{"aud": "mail"})), invalid},
		{"wrong issuer", hs256(auth.Issuer("me")), payload(token(t, claims{"iss": "you"})), invalid},
		{"wrong type", hs256(auth.Type("at+jwt")), payload(token(t, nil)), invalid},
		{"required claim missing", hs256(auth.RequireClaims("tenant")), payload(token(t, nil)), invalid},
		{"wrong secret", hs256(), payload(sign(t, jwt.SigningMethodHS256, []byte("another"), ann(nil))), invalid},
		{"wrong algorithm", hs256(), payload(sign(t, jwt.SigningMethodHS512, secret, ann(nil))), invalid},
		{"algorithm none", hs256(), payload(sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, ann(nil))), invalid},
		{"tampered with", hs256(), payload(tamper(token(t, nil))), invalid},
		{
			"key not in the set", auth.JWKS[auth.Identity](set),
			payload(sign(t, jwt.SigningMethodRS256, k.rsa, ann(nil), "kid", "b")), invalid,
		},
		{
			"key set cannot be fetched", auth.JWKS[auth.Identity](auth.KeysFromFile("/nowhere", quiet())),
			payload(sign(t, jwt.SigningMethodRS256, k.rsa, ann(nil), "kid", "a")), unavailable,
		},
		{"revoked", failing(fmt.Errorf("session 7: %w", auth.ErrRevoked)), payload("x"), revoked},
		{"refused by a check of yours", failing(fmt.Errorf("banned: %w", auth.ErrForbidden)), payload("x"), forbidden},
		{"the same with an error of yours", failing(&sio.Error{Message: "banned"}), payload("x"), `{"message":"banned"}`},
		{"the check itself fails", failing(errors.New("database down")), payload("x"), internal},
		{"neither claims nor an error", failing(nil), payload("x"), internal},
	}
}

func TestEveryRefusalAsTheClientSeesIt(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var table strings.Builder
		for i, r := range refusals(t) {
			ns := srv.Of(fmt.Sprintf("/%d", i))
			ns.UseConnect(auth.Require(r.verify))
			c := d.WebSocket(t)
			c.Send("40" + ns.Name() + "," + r.payload)
			if got := c.Next(); got != "44"+ns.Name()+","+r.want {
				t.Errorf("%s: client sees %s, want %s", r.situation, got, r.want)
			}
			fmt.Fprintf(&table, "| %s | %s |\n", r.situation, columns(t, r.want))
			// What is the server's own fault is an error, all else is not worth more than Debug.
			if level := log.levelOf(ns.Name()); (level == "ERROR") != (r.want == internal) {
				t.Errorf("%s: logged at %q", r.situation, level)
			}
		}
		wantInDocs(t, "refusals", table.String())
	})
}

// columns are the message and the code of an error.
func columns(t *testing.T, wire string) string {
	t.Helper()
	var e struct {
		Message string
		Data    struct{ Code string }
	}
	if err := json.Unmarshal([]byte(wire), &e); err != nil {
		t.Fatal(err)
	}
	if e.Data.Code == "" {
		return fmt.Sprintf("`%s` | none", e.Message)
	}
	return fmt.Sprintf("`%s` | `%s`", e.Message, e.Data.Code)
}

// wantInDocs compares rows with those of a table in docs/auth.md, which stands
// behind a comment with its name.
func wantInDocs(t *testing.T, name, rows string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/auth.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "<!-- checked: "+name+" -->\n")
	table, _, _ = strings.Cut(table, "\n\n")
	if lines := strings.SplitN(table, "\n", 3); !found || len(lines) < 3 || lines[2]+"\n" != rows {
		t.Errorf("docs/auth.md: the table %q should have these rows:\n%s", name, rows)
	}
}

// A refresh is refused for the same reasons, and does no harm.
func TestEveryRefusalOfARefresh(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		who(srv)
		srv.UseConnect(auth.Require(hs256()))
		c := enter(t, d, token(t, nil))
		for i, r := range refusals(t) {
			event := fmt.Sprintf("authenticate %d", i)
			srv.On(event, auth.Refresh(r.verify))
			argument := ""
			if r.payload != "" {
				argument = "," + r.payload
			}
			c.Send(`420["` + event + `"` + argument + `]`)
			if got := c.Next(); got != `430[{"error":`+r.want+`}]` {
				t.Errorf("%s: client sees %s, want %s", r.situation, got, r.want)
			}
		}
		c.Send(`420["who"]`)
		c.Want(`430["ann ann"]`)
	})
}

func TestErrorOfTheVerifiersOwnIsInternal(t *testing.T) {
	t.Parallel()
	log := new(logbook)
	bubble(t, &sio.Options{Logger: log.logger()}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(auth.Require(func(context.Context, string) (*auth.Identity, error) {
			return nil, errors.New("database down")
		}))
		c := d.WebSocket(t)
		c.Send(`40{"token":"x"}`)
		c.Want("44" + internal)
		if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "database down") {
			t.Errorf("not logged:\n%s", log)
		}
	})
}
