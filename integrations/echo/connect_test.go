package sioecho_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"

	sio "github.com/sioplug/sioplug/core"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	"github.com/sioplug/sioplug/integrations/internal/connect/connecttest"
)

func byRole(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		switch role := c.Request().Header.Get("X-Role"); role {
		case "admin":
			user, _ := c.Get("user").(string)
			c.Set("role", c.Param("tenant")+" "+user+" "+role)
			c.Response().Header().Set("X-Lost", "there is no answer")
			return next(c)
		case "json":
			return c.JSON(http.StatusUnauthorized, map[string]string{"error": "sign in"})
		case "text":
			return c.String(http.StatusPaymentRequired, "pay")
		case "silent":
			return nil
		case "broken":
			return errors.New("out of order: 50")
		default:
			panic("on purpose")
		}
	}
}

func TestConnect(t *testing.T) {
	connecttest.Run(t, connecttest.Framework{
		Name:    "sioecho",
		Mount:   framework.InGroup,
		Connect: sioecho.Connect(byRole),
		Role: func(s *sio.Socket) string {
			role, _ := sioecho.ContextGet[string](s, "role") // that it is not there is an answer, too
			return role
		},
	})
}

// What middleware returns goes through Echo's error handler.
func TestConnectRefusesByError(t *testing.T) {
	d := serveEcho(t, nil, func(e *echo.Echo, srv *sio.Server) {
		srv.UseConnect(sioecho.Connect(func(echo.HandlerFunc) echo.HandlerFunc {
			return func(echo.Context) error { return echo.NewHTTPError(http.StatusTeapot, "no coffee") }
		}))
		sioecho.Mount(e, srv)
	})
	c := d.WebSocket(t)
	c.Send("40")
	c.Want(`44{"message":"I'm a teapot","data":{"status":418,"body":{"message":"no coffee"}}}`)
}
