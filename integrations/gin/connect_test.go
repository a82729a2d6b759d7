package siogin_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/integrations/internal/connect/connecttest"
)

func byRole(c *gin.Context) {
	switch role := c.GetHeader("X-Role"); role {
	case "admin":
		c.Set("role", c.Param("tenant")+" "+c.GetString("user")+" "+role)
		c.Header("X-Lost", "there is no answer")
		c.Next()
	case "json":
		c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": "sign in"})
	case "text":
		c.String(http.StatusPaymentRequired, "pay")
		c.Abort()
	case "silent":
		c.Abort()
	case "broken":
		c.AbortWithStatus(http.StatusServiceUnavailable)
	default:
		panic("on purpose")
	}
}

func TestConnect(t *testing.T) {
	connecttest.Run(t, connecttest.Framework{
		Name:    "siogin",
		Mount:   framework.InGroup,
		Connect: siogin.Connect(byRole),
		Role:    func(s *sio.Socket) string { return siogin.Context(s).GetString("role") },
	})
}
