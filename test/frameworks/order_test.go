package frameworks_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"
	fiber2 "github.com/gofiber/fiber/v2"
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
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

func lateEcho(next echo4.HandlerFunc) echo4.HandlerFunc {
	return func(c echo4.Context) error {
		c.Response().Header().Set("X-Late", "yes")
		return next(c)
	}
}

func lateEchoV5(next echo5.HandlerFunc) echo5.HandlerFunc {
	return func(c *echo5.Context) error {
		c.Response().Header().Set("X-Late", "yes")
		return next(c)
	}
}

// Middleware that is added after the mount counts in Echo, which composes it for
// each request; not in an Echo group, and not elsewhere.
func TestMiddlewareAddedAfterTheMount(t *testing.T) {
	for name, tt := range map[string]struct {
		mount siotest.Mount
		late  string
	}{
		"gin": {func(t *testing.T, srv *sio.Server) siotest.Dialer {
			r := gin.New()
			siogin.Mount(r, srv)
			r.Use(func(c *gin.Context) { c.Header("X-Late", "yes") })
			return siotest.Loopback(t, r)
		}, ""},
		"echo": {func(t *testing.T, srv *sio.Server) siotest.Dialer {
			e := echo4.New()
			sioecho.Mount(e, srv)
			e.Use(lateEcho)
			return siotest.Loopback(t, e)
		}, "yes"},
		"echo group": {func(t *testing.T, srv *sio.Server) siotest.Dialer {
			e := echo4.New()
			g := e.Group("")
			sioecho.Mount(g, srv)
			g.Use(lateEcho)
			return siotest.Loopback(t, e)
		}, ""},
		"echov5": {func(t *testing.T, srv *sio.Server) siotest.Dialer {
			e := echo5.New()
			sioechov5.Mount(e, srv)
			e.Use(lateEchoV5)
			return siotest.Loopback(t, e)
		}, "yes"},
		"echov5 group": {func(t *testing.T, srv *sio.Server) siotest.Dialer {
			e := echo5.New()
			g := e.Group("")
			sioechov5.Mount(g, srv)
			g.Use(lateEchoV5)
			return siotest.Loopback(t, e)
		}, ""},
		"fiber": {func(t *testing.T, srv *sio.Server) siotest.Dialer {
			app := fiber2.New(fiber2.Config{DisableStartupMessage: true})
			siofiber.Mount(app, srv)
			app.Use(func(c *fiber2.Ctx) error { c.Set("X-Late", "yes"); return c.Next() })
			return listen(t, func(l net.Listener) error { return app.Listener(l) }, app.ShutdownWithContext)
		}, ""},
		"fiberv3": {func(t *testing.T, srv *sio.Server) siotest.Dialer {
			app := fiber3.New()
			siofiberv3.Mount(app, srv)
			app.Use(func(c fiber3.Ctx) error { c.Set("X-Late", "yes"); return c.Next() })
			quiet := fiber3.ListenConfig{DisableStartupMessage: true}
			return listen(t, func(l net.Listener) error { return app.Listener(l, quiet) }, app.ShutdownWithContext)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, d := tt.mount.Serve(t, nil, echo)
			for transport, status := range statuses {
				if got := open(t, d, transport); got.status != status || got.header.Get("X-Late") != tt.late {
					t.Errorf("%s: status %d, header %q", transport, got.status, got.header.Get("X-Late"))
				}
			}
		})
	}
	t.Run("chi", func(t *testing.T) {
		defer func() {
			if recover() == nil {
				t.Error("chi does not mind")
			}
		}()
		r := chi.NewRouter()
		r.Handle("/socket.io/*", sio.New(nil))
		r.Use(chimw.NoCache)
	})
}

// Middleware that takes trailing slashes away does not keep clients from the
// mount.
func TestTrailingSlashesTakenAway(t *testing.T) {
	mounts{
		"echo": func(t *testing.T, srv *sio.Server) siotest.Dialer {
			e := echo4.New()
			e.Pre(echo4mw.RemoveTrailingSlash())
			sioecho.Mount(e, srv)
			return siotest.Loopback(t, e)
		},
		"echov5": func(t *testing.T, srv *sio.Server) siotest.Dialer {
			e := echo5.New()
			e.Pre(echo5mw.RemoveTrailingSlash())
			sioechov5.Mount(e, srv)
			return siotest.Loopback(t, e)
		},
		"chi": onChi(chimw.StripSlashes),
	}.each(t, func(t *testing.T, mount siotest.Mount) { siotest.Run(t, mount, siotest.Brief()) })
}

// Whom a framework believes about clients' addresses, unless it is told.
func TestAddressesByDefault(t *testing.T) {
	const named = "203.0.113.7"
	for name, tt := range map[string]struct {
		mount siotest.Mount
		want  string
	}{
		"gin":     {onGin(), named},
		"echo":    {onEcho(), named},
		"echov5":  {onEchoV5(), "127.0.0.1"},
		"fiber":   {onFiber(), "127.0.0.1"},
		"fiberv3": {onFiberV3(), "127.0.0.1"},
		"chi":     {onChi(), "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, d := tt.mount.Serve(t, nil, func(srv *sio.Server) {
				srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("address", c.Handshake().Address) })
			})
			d.Header = http.Header{"X-Forwarded-For": {named}}
			c := d.WebSocket(t)
			c.Connect("/", "")
			c.Want(`42["address","` + tt.want + `"]`)
		})
	}
}
