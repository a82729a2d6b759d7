package sioecho_test

import (
	"context"
	"testing"

	"github.com/labstack/echo/v4"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	"github.com/sioplug/sioplug/integrations/internal/reused/reusedtest"
)

type scope struct{ c echo.Context }

// around makes Echo's middleware of a function.
func around(f func(c echo.Context)) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error { f(c); return next(c) }
	}
}

// Echo uses its context again, and with it what leads there.
func TestSocketOfAliceBecameAnotherUsers(t *testing.T) {
	t.Parallel()
	reusedtest.Run(t, reusedtest.Framework[echo.Context]{
		Mount: func(t *testing.T, srv *sio.Server, middleware func(c echo.Context)) siotest.Dialer {
			e := newEcho()
			sioecho.Mount(e.Group("/t/:tenant", around(middleware)), srv)
			return siotest.Loopback(t, e).At("/t/alice/socket.io/")
		},
		Connect: func(middleware func(c echo.Context)) sio.Middleware { return sioecho.Connect(around(middleware)) },
		Sources: map[string]func(c echo.Context) string{
			"header":    func(c echo.Context) string { return c.Request().Header.Get("X-User") },
			"query":     func(c echo.Context) string { return c.QueryParam("user") },
			"parameter": func(c echo.Context) string { return c.Param("tenant") },
		},
		Refused: map[string]func(c echo.Context) any{
			"field":    func(c echo.Context) any { return &scope{c} },
			"answer":   func(c echo.Context) any { return []any{c.Response()} },
			"function": func(c echo.Context) any { return func() string { return c.Request().Header.Get("X-User") } },
		},
		Set: func(c echo.Context, value any) { c.Set("user", value) },
		Get: func(s *sio.Socket) any { return sioecho.Context(s).Get("user") },
		SetContext: func(c echo.Context, key, value any) {
			c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), key, value)))
		},
	})
}
