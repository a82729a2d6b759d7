// Package snippets is what the code in the documents can take for granted.
package snippets

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v2"
	fiber3 "github.com/gofiber/fiber/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"
	"github.com/redis/go-redis/v9"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/auth"
	"github.com/sioplug/sioplug/middleware/users"
)

var (
	ctx         context.Context
	httpServer  *http.Server
	mux         *http.ServeMux
	r           *gin.Engine
	e           *echo.Echo
	e5          *echo5.Echo
	app         *fiber.App
	app3        *fiber3.App
	router      chi.Router
	srv         *sio.Server
	c           *sio.Ctx
	chat, admin *sio.Namespace
	s           *sioclient.Socket
	client      *redis.Client
	people      *users.Users
)

type (
	Claims struct {
		jwt.RegisteredClaims

		Name string
	}
	User struct{ Name string }
)

var (
	secret, oldSecret []byte
	rsaKey            *rsa.PublicKey
	ecdsaKey          *ecdsa.PublicKey
	ed25519Key        ed25519.PublicKey
	subject           string
)

func fetchToken(context.Context) (string, error)            { return "", nil }
func inBlacklist(context.Context, auth.Token) (bool, error) { return false, nil }
func addToBlacklist(string)                                 {}
func save(context.Context, []byte) error                    { return nil }
func mayEdit(*Claims, *sio.Ctx) error                       { return nil }
func isMember(context.Context, string, string) bool         { return false }

func signIn(*gin.Context)     {}
func adminsOnly(*gin.Context) {}
func profile(*gin.Context)    {}

func post(*sio.Ctx, string) error { return nil }
func ban(*sio.Ctx, string) error  { return nil }
func join(*sio.Ctx, string) error { return nil }
