package frameworks_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	fiber2jwt "github.com/gofiber/contrib/jwt"
	fiber3jwt "github.com/gofiber/contrib/v3/jwt"
	fiber3 "github.com/gofiber/fiber/v3"
	"github.com/golang-jwt/jwt/v5"
	echo4jwt "github.com/labstack/echo-jwt/v4"
	echo5 "github.com/labstack/echo/v5"
	echo5mw "github.com/labstack/echo/v5/middleware"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/middleware/auth"
)

func key(*jwt.Token) (any, error) { return secret, nil }

// subject returns whom a token is about, "" if there is none.
func subject(token *jwt.Token) string {
	if token == nil {
		return ""
	}
	s, _ := token.Claims.GetSubject()
	return s
}

var errNoToken = errors.New("no token")

func parse(header string) (*jwt.Token, error) {
	text, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return nil, errNoToken
	}
	return jwt.Parse(text, key, jwt.WithValidMethods([]string{"HS256"}))
}

// jwtApps have the frameworks' own middleware for JSON Web Tokens where there is
// one, and otherwise what their documentation proposes.
var jwtApps = map[string]signedIn{
	"gin": {
		onGin(func(c *gin.Context) {
			token, err := parse(c.GetHeader("Authorization"))
			if err != nil {
				c.AbortWithStatus(http.StatusUnauthorized)
				return
			}
			c.Set("user", token)
		}),
		func(s *sio.Socket) string {
			token, _ := siogin.Context(s).MustGet("user").(*jwt.Token)
			return subject(token)
		},
	},
	"echo": {
		onEcho(echo4jwt.WithConfig(echo4jwt.Config{SigningKey: secret})),
		func(s *sio.Socket) string {
			token, _ := sioecho.ContextGet[*jwt.Token](s, "user")
			return subject(token)
		},
	},
	"echov5": {
		onEchoV5(echo5mw.KeyAuth(func(c *echo5.Context, text string, _ echo5mw.ExtractorSource) (bool, error) {
			token, err := parse("Bearer " + text)
			c.Set("user", token)
			return err == nil, err
		})),
		func(s *sio.Socket) string {
			token, _ := sioechov5.ContextGet[*jwt.Token](s, "user")
			return subject(token)
		},
	},
	"fiber": {
		onFiber(fiber2jwt.New(fiber2jwt.Config{SigningKey: fiber2jwt.SigningKey{Key: secret}})),
		func(s *sio.Socket) string { return subject(siofiber.Locals[*jwt.Token](s, "user")) },
	},
	"fiberv3": {
		onFiberV3(
			fiber3jwt.New(fiber3jwt.Config{SigningKey: fiber3jwt.SigningKey{Key: secret}}),
			func(c fiber3.Ctx) error { c.Locals("user", fiber3jwt.FromContext(c)); return c.Next() },
		),
		func(s *sio.Socket) string { return subject(siofiberv3.Locals[*jwt.Token](s, "user")) },
	},
}

// Tokens in a header decide who may connect, and what is in them is known to
// handlers.
func TestJWT(t *testing.T) {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: "ada", ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, app := range jwtApps {
		t.Run(name, func(t *testing.T) {
			refused := http.StatusUnauthorized
			if strings.HasPrefix(name, "fiber") {
				refused = http.StatusBadRequest // is what these say if there is no token at all
			}
			whoIsWho(t, app, refused, func(*testing.T, siotest.Dialer) http.Header {
				return http.Header{"Authorization": {"Bearer " + token}}
			})
		})
	}
}

// account is what the application's tokens say, whose middleware leaves a map of it.
type account struct {
	auth.Identity

	Age int `json:"age"`
}

// Without any setting, these make jwt.MapClaims, and who is signed in by them is signed in
// here, until the token ends.
func TestJWTIsTheIdentityOfASocket(t *testing.T) {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "ada", "age": 36, "scope": "a b", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]func(s *sio.Socket) any{
		"gin":     func(s *sio.Socket) any { return siogin.Context(s).Value("user") },
		"echo":    func(s *sio.Socket) any { return sioecho.Context(s).Get("user") },
		"echov5":  func(s *sio.Socket) any { return sioechov5.Context(s).Get("user") },
		"fiber":   func(s *sio.Socket) any { return siofiber.Locals[any](s, "user") },
		"fiberv3": func(s *sio.Socket) any { return siofiberv3.Locals[any](s, "user") },
	}
	for name, app := range jwtApps {
		t.Run(name, func(t *testing.T) {
			_, d := app.mount.Serve(t, nil, func(srv *sio.Server) {
				srv.UseConnect(auth.From(func(s *sio.Socket) (*account, error) { return auth.As[account](left[name](s)) }))
				srv.On("who", sio.Reply(func(c *sio.Ctx, _ struct{}) (account, error) { return *auth.Claims[account](c.Socket), nil }))
			})
			d.Header = http.Header{"Authorization": {"Bearer " + token}}
			siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
				c := open(t, d)
				c.Connect("/", "")
				c.Send(`421["who"]`)
				if got := c.Next(); !strings.Contains(got, `"sub":"ada"`) || !strings.Contains(got, `"age":36`) || !strings.Contains(got, `"exp":`) {
					t.Errorf("got %s", got)
				}
			})
		})
	}
}
