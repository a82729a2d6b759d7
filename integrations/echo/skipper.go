package sioecho

import (
	"strings"

	"github.com/labstack/echo/v4"
)

// Skipper reports whether a request has come by the route of a [Mount]. It is for the
// application's own middleware that is not meant for sockets:
//
//	e.Use(middleware.GzipWithConfig(middleware.GzipConfig{Skipper: sioecho.Skipper}))
//
// It goes by the route that Echo has found, which a client cannot choose. So it has no
// effect in [echo.Echo.Pre], which runs before that.
func Skipper(c echo.Context) bool {
	route := strings.TrimSuffix(c.Path(), ":"+fileParam)
	return strings.HasSuffix(strings.TrimSuffix(route, "/"), path)
}
