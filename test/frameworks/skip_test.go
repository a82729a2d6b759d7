package frameworks_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	fiber2 "github.com/gofiber/fiber/v2"
	fiber2key "github.com/gofiber/fiber/v2/middleware/keyauth"
	fiber3 "github.com/gofiber/fiber/v3"
	echo4 "github.com/labstack/echo/v4"
	echo4mw "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5mw "github.com/labstack/echo/v5/middleware"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
)

// Echo's middleware for static files does not take requests for the mount as requests
// for index.html.
func TestStaticFilesInFrontOfTheMount(t *testing.T) {
	site := fstest.MapFS{"index.html": {Data: []byte("<h1>page</h1>")}}
	mounts{
		"echo":   onEcho(echo4mw.StaticWithConfig(echo4mw.StaticConfig{Filesystem: http.FS(site), HTML5: true})),
		"echov5": onEchoV5(echo5mw.StaticWithConfig(echo5mw.StaticConfig{Filesystem: site, HTML5: true})),
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		_, d := mount.Serve(t, nil, echo)
		mustEcho(t, d.Polling(t))
		mustEcho(t, d.WebSocket(t))
		if got := fetch(t, d, http.MethodGet, root(d), ""); got.body != "<h1>page</h1>" {
			t.Errorf("the page is %q", got.body)
		}
	})
}

// Middleware with a skipper for the mount does not run for the mount, and runs for all
// other paths, however these are written.
func TestMiddlewareLeavesTheMountOut(t *testing.T) {
	refuse4 := echo4mw.KeyAuthWithConfig(echo4mw.KeyAuthConfig{
		Skipper: sioecho.Skipper, Validator: func(string, echo4.Context) (bool, error) { return false, nil },
	})
	refuse5 := echo5mw.KeyAuthWithConfig(echo5mw.KeyAuthConfig{
		Skipper:   sioechov5.Skipper,
		Validator: func(*echo5.Context, string, echo5mw.ExtractorSource) (bool, error) { return false, nil },
	})
	refuse2 := fiber2key.New(fiber2key.Config{
		Next: siofiber.Next, Validator: func(*fiber2.Ctx, string) (bool, error) { return false, nil },
	})
	refuse3 := func(c fiber3.Ctx) error {
		if siofiberv3.Next(c) {
			return c.Next()
		}
		return c.SendStatus(http.StatusUnauthorized)
	}
	mounts{
		"echo": onEcho(refuse4), "echov5": onEchoV5(refuse5), "fiber": onFiber(refuse2), "fiberv3": onFiberV3(refuse3),
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		_, d := mount.Serve(t, nil, echo)
		mustEcho(t, d.Polling(t))
		mustEcho(t, d.WebSocket(t))
		for _, path := range []string{"", "page", "page/socket.io/", "socket.iox/", "page?socket.io/"} {
			if got := fetch(t, d, http.MethodGet, root(d)+path, ""); got.status < 400 || got.status == http.StatusNotFound {
				t.Errorf("/%s: status %d", path, got.status)
			}
		}
	})
}

// root is the address of the application around a mount.
func root(d siotest.Dialer) string { return strings.TrimSuffix(d.URL, "socket.io/") }

// A mount in a group is left out by its path, and by no other.
func TestMiddlewareLeavesTheMountOfAGroupOut(t *testing.T) {
	mounts{
		"fiber": func(t *testing.T, srv *sio.Server) siotest.Dialer {
			app := fiber2.New(fiber2.Config{DisableStartupMessage: true})
			app.Use(fiber2key.New(fiber2key.Config{
				Next:      siofiber.NextAt("/api/socket.io"),
				Validator: func(*fiber2.Ctx, string) (bool, error) { return false, nil },
			}))
			siofiber.Mount(app.Group("/api"), srv)
			return listen(t, func(l net.Listener) error { return app.Listener(l) }, app.ShutdownWithContext).At("/api/socket.io/")
		},
		"fiberv3": func(t *testing.T, srv *sio.Server) siotest.Dialer {
			app := fiber3.New()
			app.Use(func(c fiber3.Ctx) error {
				if siofiberv3.NextAt("/api/socket.io")(c) {
					return c.Next()
				}
				return c.SendStatus(http.StatusUnauthorized)
			})
			siofiberv3.Mount(app.Group("/api"), srv)
			quiet := fiber3.ListenConfig{DisableStartupMessage: true}
			return listen(t, func(l net.Listener) error { return app.Listener(l, quiet) }, app.ShutdownWithContext).At("/api/socket.io/")
		},
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		_, d := mount.Serve(t, nil, echo)
		mustEcho(t, d.Polling(t))
		for _, path := range []string{"", "socket.io/", "api/", "api/socket.iox/", "x/api/socket.io/"} {
			got := fetch(t, d, http.MethodGet, strings.TrimSuffix(d.URL, "api/socket.io/")+path, "")
			if got.status < 400 || got.status == http.StatusNotFound {
				t.Errorf("/%s: status %d", path, got.status)
			}
		}
	})
}
