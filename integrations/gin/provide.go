package siogin

import (
	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
)

// serverKey is a string because contexts of Gin before 1.11 have no other keys.
const serverKey = "github.com/sioplug/sioplug/integrations/gin.server"

// Provide makes middleware by which Gin's handlers find srv with [From].
func Provide(srv *sio.Server) gin.HandlerFunc {
	return func(c *gin.Context) { c.Set(serverKey, srv) }
}

// From returns the server, for handlers that emit and do not have it in a
// variable:
//
//	siogin.From(c).To("lobby").Emit("news", text)
//
// It panics unless [Provide] is among the middleware. In a unit test of the handler, use
// Provide(sio.New(nil)): a server without clients, to which emitting does nothing.
func From(c *gin.Context) *sio.Server {
	v, _ := c.Get(serverKey)
	srv, ok := v.(*sio.Server)
	if !ok {
		panic("siogin: From needs middleware: r.Use(siogin.Provide(srv))") //nolint:forbidigo // wrong registration
	}
	return srv
}
