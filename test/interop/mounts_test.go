package interop_test

import (
	"context"
	"net"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v2"
	fiberv3 "github.com/gofiber/fiber/v3"
	"github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/nethttp"
	sioecho "github.com/sioplug/sioplug/integrations/echo"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

// A mount is a web framework with the Socket.IO server in it. Its application has a
// route of its own, /hello; middleware that keeps the user, who is the bearer of the
// request; and the server mounted twice: at the root, and in a group with a
// parameter, whose middleware refuses the tenant "closed".
type mount struct {
	name     string
	backend  func(srv *sio.Server) backend
	identify func(s *sio.Socket) (user, tenant string)
	prepare  func(o *sio.Options) error // nil, or changes the options of each server that is started
}

// A backend serves the application.
type backend interface {
	Serve(ln net.Listener) error
	Shutdown(ctx context.Context) error
}

func mounts() []mount {
	return []mount{
		onGin(),
		{name: "echo", backend: func(srv *sio.Server) backend { return overHTTP(newEcho(srv)) }, identify: func(s *sio.Socket) (user, tenant string) {
			user, _ = sioecho.ContextGet[string](s, "user") // without a user, whoami shows it
			return user, sioecho.Context(s).Param("tenant")
		}},
		{name: "echov5", backend: func(srv *sio.Server) backend { return overHTTP(newEchoV5(srv)) }, identify: func(s *sio.Socket) (user, tenant string) {
			user, _ = sioechov5.ContextGet[string](s, "user")
			return user, sioechov5.Context(s).Param("tenant")
		}},
		{name: "fiber", backend: func(srv *sio.Server) backend { return fiberBackend{newFiber(srv)} }, identify: func(s *sio.Socket) (user, tenant string) {
			return siofiber.Locals[string](s, "user"), siofiber.Params(s, "tenant")
		}},
		{name: "fiberv3", backend: func(srv *sio.Server) backend { return fiberV3Backend{newFiberV3(srv)} }, identify: func(s *sio.Socket) (user, tenant string) {
			return siofiberv3.Locals[string](s, "user"), siofiberv3.Params(s, "tenant")
		}},
		{name: "chi", backend: func(srv *sio.Server) backend { return overHTTP(newChi(srv)) }, identify: fromContext},
		{name: "nethttp", backend: func(srv *sio.Server) backend { return overHTTP(newMux(srv)) }, identify: fromContext},
	}
}

// onGin is the mount that all scenarios run with.
func onGin() mount {
	return mount{name: "gin", backend: func(srv *sio.Server) backend { return overHTTP(newGin(srv)) }, identify: func(s *sio.Socket) (user, tenant string) {
		c := siogin.Context(s)
		return c.GetString("user"), c.Param("tenant")
	}}
}

func overHTTP(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: stopTimeout}
}

type fiberBackend struct{ app *fiber.App }

func (b fiberBackend) Serve(ln net.Listener) error        { return b.app.Listener(ln) }
func (b fiberBackend) Shutdown(ctx context.Context) error { return b.app.ShutdownWithContext(ctx) }

type fiberV3Backend struct{ app *fiberv3.App }

func (b fiberV3Backend) Serve(ln net.Listener) error {
	return b.app.Listener(ln, fiberv3.ListenConfig{DisableStartupMessage: true})
}

func (b fiberV3Backend) Shutdown(ctx context.Context) error { return b.app.ShutdownWithContext(ctx) }

func bearer(authorization string) string {
	user, _ := strings.CutPrefix(authorization, "Bearer ")
	return user
}

func newGin(srv *sio.Server) *gin.Engine {
	r := gin.New()
	r.Use(func(c *gin.Context) { c.Set("user", bearer(c.GetHeader("Authorization"))) })
	r.GET("/hello", func(c *gin.Context) { c.String(http.StatusOK, "hello") })
	siogin.Mount(r, srv)

	tenants := r.Group("/t/:tenant", func(c *gin.Context) {
		if c.Param("tenant") == "closed" {
			c.AbortWithStatus(http.StatusForbidden)
		}
	})
	siogin.Mount(tenants, srv)
	return r
}

func newEcho(srv *sio.Server) *echo.Echo {
	e := echo.New()
	e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Set("user", bearer(c.Request().Header.Get("Authorization")))
			return next(c)
		}
	})
	e.GET("/hello", func(c echo.Context) error { return c.String(http.StatusOK, "hello") })
	sioecho.Mount(e, srv)

	tenants := e.Group("/t/:tenant", func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if c.Param("tenant") == "closed" {
				return echo.ErrForbidden
			}
			return next(c)
		}
	})
	sioecho.Mount(tenants, srv)
	return e
}

func newEchoV5(srv *sio.Server) *echov5.Echo {
	e := echov5.New()
	e.Use(func(next echov5.HandlerFunc) echov5.HandlerFunc {
		return func(c *echov5.Context) error {
			c.Set("user", bearer(c.Request().Header.Get("Authorization")))
			return next(c)
		}
	})
	e.GET("/hello", func(c *echov5.Context) error { return c.String(http.StatusOK, "hello") })
	sioechov5.Mount(e, srv)

	tenants := e.Group("/t/:tenant", func(next echov5.HandlerFunc) echov5.HandlerFunc {
		return func(c *echov5.Context) error {
			if c.Param("tenant") == "closed" {
				return echov5.ErrForbidden
			}
			return next(c)
		}
	})
	sioechov5.Mount(tenants, srv)
	return e
}

func newFiber(srv *sio.Server) *fiber.App {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(func(c *fiber.Ctx) error {
		c.Locals("user", bearer(c.Get("Authorization")))
		return c.Next()
	})
	app.Get("/hello", func(c *fiber.Ctx) error { return c.SendString("hello") })
	siofiber.Mount(app, srv)

	tenants := app.Group("/t/:tenant", func(c *fiber.Ctx) error {
		if c.Params("tenant") == "closed" {
			return fiber.ErrForbidden
		}
		return c.Next()
	})
	siofiber.Mount(tenants, srv)
	return app
}

func newFiberV3(srv *sio.Server) *fiberv3.App {
	app := fiberv3.New()
	app.Use(func(c fiberv3.Ctx) error {
		c.Locals("user", bearer(c.Get("Authorization")))
		return c.Next()
	})
	app.Get("/hello", func(c fiberv3.Ctx) error { return c.SendString("hello") })
	siofiberv3.Mount(app, srv)

	tenants := app.Group("/t/:tenant", func(c fiberv3.Ctx) error {
		if c.Params("tenant") == "closed" {
			return fiberv3.ErrForbidden
		}
		return c.Next()
	})
	siofiberv3.Mount(tenants, srv)
	return app
}

func newChi(srv *sio.Server) http.Handler {
	r := chi.NewRouter()
	r.Use(keepUser)
	r.Get("/hello", hello)
	r.Handle("/socket.io", srv) // for clients with addTrailingSlash: false
	r.Handle("/socket.io/*", srv)
	r.Route("/t/{tenant}", func(r chi.Router) {
		r.Use(refuse(func(r *http.Request) bool { return chi.URLParam(r, "tenant") == "closed" }))
		r.Handle("/socket.io/*", srv)
	})
	return r
}

func newMux(srv *sio.Server) http.Handler {
	closed := refuse(func(r *http.Request) bool { return r.PathValue("tenant") == "closed" })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", hello)
	mux.Handle("/socket.io", srv) // for clients with addTrailingSlash: false
	mux.Handle("/socket.io/", srv)
	mux.Handle("/t/{tenant}/socket.io/", closed(srv))
	return keepUser(mux)
}

func hello(w http.ResponseWriter, _ *http.Request) { answer(w, "hello", nil) }

type userKey struct{}

func keepUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := bearer(r.Header.Get("Authorization"))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	})
}

func refuse(whom func(*http.Request) bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if whom(r) {
				http.Error(w, "closed", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// fromContext finds what routers and middleware of net/http have left.
func fromContext(s *sio.Socket) (user, tenant string) {
	ctx := s.Handshake().Context
	user, _ = ctx.Value(userKey{}).(string)
	return user, nethttp.PathValue(ctx, "tenant")
}
