package sioechov5_test

import (
	"strings"
	"testing"

	"github.com/labstack/echo/v5"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// signIn keeps the header X-User among Echo's values, and refuses mallory.
func signIn(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		user := c.Request().Header.Get("X-User")
		if user == "mallory" {
			return echo.ErrUnauthorized
		}
		c.Set("user", user)
		return next(c)
	}
}

func lookup(s *sio.Socket) (tenant, user string) {
	user, _ = sioechov5.ContextGet[string](s, "user")
	return sioechov5.Context(s).Param("tenant"), user
}

func TestMountOnAnEcho(t *testing.T) {
	siotest.Run(t, func(t *testing.T, srv *sio.Server) string {
		e := echo.New()
		sioechov5.Mount(e, srv)
		return siotest.Loopback(t, e).URL
	})
}

func TestMountOnAGroup(t *testing.T) {
	siotest.Run(t, func(t *testing.T, srv *sio.Server) string {
		e := echo.New()
		sioechov5.Mount(e.Group("/t/:tenant", signIn), srv)
		return strings.Replace(siotest.Loopback(t, e).URL, "/socket.io/", "/t/acme/socket.io/", 1)
	}, siotest.Values(lookup))
}
