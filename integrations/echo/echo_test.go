package sioecho_test

import (
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// signIn keeps the header X-User among Echo's values, and refuses mallory.
func signIn(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		user := c.Request().Header.Get("X-User")
		if user == "mallory" {
			return echo.ErrUnauthorized
		}
		c.Set("user", user)
		return next(c)
	}
}

func lookup(s *sio.Socket) (tenant, user string) {
	user, _ = sioecho.ContextGet[string](s, "user")
	return sioecho.Context(s).Param("tenant"), user
}

// newEcho returns an Echo that trusts no proxy, as version 4 does unless told otherwise.
func newEcho() *echo.Echo {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	return e
}

func TestMountOnAnEcho(t *testing.T) {
	siotest.Run(t, func(t *testing.T, srv *sio.Server) string {
		e := newEcho()
		sioecho.Mount(e, srv)
		return siotest.Loopback(t, e).URL
	})
}

func TestMountOnAGroup(t *testing.T) {
	siotest.Run(t, func(t *testing.T, srv *sio.Server) string {
		e := newEcho()
		sioecho.Mount(e.Group("/t/:tenant", signIn), srv)
		return strings.Replace(siotest.Loopback(t, e).URL, "/socket.io/", "/t/acme/socket.io/", 1)
	}, siotest.Values(lookup))
}
