package siofiberv3

import (
	"github.com/gofiber/fiber/v3"

	sio "github.com/sioplug/sioplug/core"
)

type serverKey struct{}

// Provide makes middleware by which Fiber's handlers find srv with [From].
func Provide(srv *sio.Server) fiber.Handler {
	return func(c fiber.Ctx) error {
		c.Locals(serverKey{}, srv)
		return c.Next()
	}
}

// From returns the server, for handlers that emit and do not have it in a
// variable:
//
//	siofiberv3.From(c).To("lobby").Emit("news", text)
//
// It panics unless [Provide] is among the middleware. In a unit test of the handler, use
// Provide(sio.New(nil)): a server without clients, to which emitting does nothing.
func From(c fiber.Ctx) *sio.Server {
	srv, ok := c.Locals(serverKey{}).(*sio.Server)
	if !ok {
		panic("siofiberv3: From needs middleware: app.Use(siofiberv3.Provide(srv))") //nolint:forbidigo // wrong registration
	}
	return srv
}
