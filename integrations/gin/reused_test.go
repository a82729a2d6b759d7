package siogin_test

import (
	"context"
	"testing"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/integrations/internal/reused/reusedtest"
)

type scope struct{ c *gin.Context }

// Gin uses its context again, and with it what leads there.
func TestSocketOfAliceBecameAnotherUsers(t *testing.T) {
	t.Parallel()
	reusedtest.Run(t, reusedtest.Framework[*gin.Context]{
		Mount: func(t *testing.T, srv *sio.Server, middleware func(c *gin.Context)) siotest.Dialer {
			r := newEngine()
			siogin.Mount(r.Group("/t/:tenant", middleware), srv)
			return siotest.Loopback(t, r).At("/t/alice/socket.io/")
		},
		Connect: func(middleware func(c *gin.Context)) sio.Middleware { return siogin.Connect(middleware) },
		Sources: map[string]func(c *gin.Context) string{
			"header":    func(c *gin.Context) string { return c.GetHeader("X-User") },
			"cookie":    func(c *gin.Context) string { s, _ := c.Cookie("user"); return s },
			"query":     func(c *gin.Context) string { return c.Query("user") },
			"parameter": func(c *gin.Context) string { return c.Param("tenant") },
		},
		Refused: map[string]func(c *gin.Context) any{
			"field":    func(c *gin.Context) any { return &scope{c} },
			"context":  func(c *gin.Context) any { return context.WithValue(c, scope{}, 1) },
			"function": func(c *gin.Context) any { return func() string { return c.GetHeader("X-User") } },
		},
		Set: func(c *gin.Context, value any) { c.Set("user", value) },
		Get: func(s *sio.Socket) any { v, _ := siogin.Context(s).Get("user"); return v },
		SetContext: func(c *gin.Context, key, value any) {
			c.Request = c.Request.WithContext(context.WithValue(c.Request.Context(), key, value))
		},
	})
}
