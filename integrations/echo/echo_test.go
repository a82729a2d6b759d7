package sioecho_test

import (
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

// newEcho returns an Echo that takes clients' addresses from these, where version 4 would trust every header.
func newEcho(from echo.IPExtractor) *echo.Echo {
	e := echo.New()
	e.IPExtractor = from
	return e
}

func TestMount(t *testing.T) {
	onApp := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := newEcho(echo.ExtractIPDirect())
		sioecho.Mount(e, srv)
		return siotest.Loopback(t, e)
	}
	onGroup := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := newEcho(echo.ExtractIPDirect())
		sioecho.Mount(e.Group("/t/:tenant", signIn), srv)
		return siotest.Loopback(t, e).At("/t/acme/socket.io/")
	}
	ownPath := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := newEcho(echo.ExtractIPDirect())
		e.Any("/t/:tenant/live/", sioecho.Handler(srv), signIn)
		return siotest.Loopback(t, e).At("/t/acme/live/")
	}
	proxied := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := newEcho(echo.ExtractIPFromXFFHeader()) // trusts loopback
		sioecho.Mount(e, srv)
		return siotest.Loopback(t, e)
	}
	overTLS := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		e := newEcho(echo.ExtractIPDirect())
		sioecho.Mount(e, srv)
		return siotest.LoopbackTLS(t, e)
	}
	t.Run("app", func(t *testing.T) { siotest.Run(t, onApp) })
	t.Run("group", func(t *testing.T) { siotest.Run(t, onGroup, siotest.Values(lookup)) })
	t.Run("own path", func(t *testing.T) { siotest.Run(t, ownPath, siotest.Values(lookup)) })
	t.Run("behind a proxy", func(t *testing.T) { siotest.Run(t, proxied, siotest.Proxied()) })
	t.Run("TLS", func(t *testing.T) { siotest.Run(t, overTLS) })
}
