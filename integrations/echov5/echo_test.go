package sioechov5_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	sioechov5 "github.com/sioplug/sioplug/integrations/echov5"
	"github.com/sioplug/sioplug/integrations/internal/mounttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// framework is Echo 5.
var framework = mounttest.Framework{
	Serve: serve,
	Start: start,
	Request: func(s *sio.Socket) (r mounttest.Request) {
		c := sioechov5.Context(s)
		r.User, _ = sioechov5.ContextGet[string](s, "user")
		if cookie, err := c.Cookie("session"); err == nil {
			r.Cookie = cookie.Value
		}
		r.Tenant, r.Header, r.Query = c.Param("tenant"), c.Request().Header.Get("X-Test"), c.QueryParam("room")
		r.Address, r.Route, r.Path = c.RealIP(), c.Path(), c.Request().URL.Path
		return r
	},
	Route: "/t/:tenant/socket.io/",
	Path:  "/t/acme/socket.io/",
	Hidden: func(s *sio.Socket) []string {
		c := sioechov5.Context(s)
		hidden := []string{c.Param("*")}
		for _, v := range c.PathValues() {
			if v.Name != "tenant" {
				hidden = append(hidden, v.Name)
			}
		}
		return hidden
	},
	TLS: func(s *sio.Socket) bool {
		c := sioechov5.Context(s)
		return c.IsTLS() && c.Scheme() == "https" && c.Request().TLS.HandshakeComplete
	},
	Unknown: func(s *sio.Socket) bool {
		_, err := sioechov5.ContextGet[string](s, "user")
		return sioechov5.Context(s) == nil && errors.Is(err, echo.ErrNonExistentKey)
	},
	HTTPRequest: func(s *sio.Socket) *http.Request { return sioechov5.Context(s).Request() },
	NotFound:    "404 ",
}

func TestMount(t *testing.T)                                 { framework.Mounts(t) }
func TestPathsAndFiles(t *testing.T)                         { framework.Paths(t) }
func TestUnfinishedPost(t *testing.T)                        { framework.UnfinishedPost(t, false) }
func TestHandshakes(t *testing.T)                            { framework.Handshakes(t) }
func TestContextHasWhatTheRequestHad(t *testing.T)           { framework.Values(t) }
func TestContextHoldsNothingOfTheConnection(t *testing.T)    { framework.NothingOfTheConnection(t) }
func TestContextIsReadByManyAtOnce(t *testing.T)             { framework.ManyAtOnce(t) }
func TestTLSStateIsThere(t *testing.T)                       { framework.TLSState(t) }
func TestContextOfASocketFromAnotherMountIsNil(t *testing.T) { framework.OtherMount(t) }

// The server ends before Echo, which would wait for polls.
func TestShutdownTogetherWithEcho(t *testing.T) { framework.ShutdownFirst(t) }

// signIn keeps the header X-User among Echo's values, and refuses mallory.
func signIn(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		user := c.Request().Header.Get("X-User")
		if user == "mallory" {
			return echo.ErrUnauthorized
		}
		c.Set("user", user)
		c.Response().Header().Set("X-Signed-In", user)
		return next(c)
	}
}

func serve(t *testing.T, srv *sio.Server, app mounttest.App) siotest.Dialer {
	t.Helper()
	e := echo.New()
	if app.Proxy {
		e.IPExtractor = echo.ExtractIPFromXFFHeader() // trusts loopback
	}
	e.Use(middleware.Recover())
	e.GET("/other", func(c *echo.Context) error { return c.String(http.StatusOK, "other") })
	var mw []echo.MiddlewareFunc
	if app.SignIn {
		mw = append(mw, signIn)
	}
	switch {
	case app.Path != "":
		e.Any(app.Path, sioechov5.Handler(srv), mw...)
	case app.Group == "" && len(mw) == 0:
		sioechov5.Mount(e, srv)
	default:
		sioechov5.Mount(e.Group(app.Group, mw...), srv)
	}
	if app.TLS {
		return siotest.LoopbackTLS(t, e)
	}
	return siotest.Loopback(t, e)
}

func start(t *testing.T, srv *sio.Server) *mounttest.Running {
	t.Helper()
	e := echo.New()
	sioechov5.Mount(e, srv)
	l, d := mounttest.Listen(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- echo.StartConfig{Listener: l, HideBanner: true, HidePort: true, GracefulTimeout: time.Minute}.Start(ctx, e)
	}()
	return &mounttest.Running{Dialer: d, Stop: func(context.Context) error { stop(); return nil }, Served: served}
}
