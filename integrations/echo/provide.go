package sioecho

import (
	"github.com/labstack/echo/v4"

	sio "github.com/sioplug/sioplug/core"
)

// serverKey is among Echo's values, whose keys are strings.
const serverKey = "github.com/sioplug/sioplug server"

// Provide makes middleware by which Echo's handlers find srv with [From].
func Provide(srv *sio.Server) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Set(serverKey, srv)
			return next(c)
		}
	}
}

// From returns the server, for handlers that emit and do not have it in a
// variable:
//
//	sioecho.From(c).To("lobby").Emit("news", text)
//
// It panics unless [Provide] is among the middleware. In a unit test of the handler, use
// Provide(sio.New(nil)): a server without clients, to which emitting does nothing.
func From(c echo.Context) *sio.Server {
	srv, ok := c.Get(serverKey).(*sio.Server)
	if !ok {
		panic("sioecho: From needs middleware: e.Use(sioecho.Provide(srv))") //nolint:forbidigo // wrong registration
	}
	return srv
}
