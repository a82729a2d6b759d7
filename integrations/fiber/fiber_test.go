package siofiber_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	"github.com/sioplug/sioplug/integrations/internal/fasthttpx/fibertest"
	"github.com/sioplug/sioplug/integrations/internal/mounttest"
)

func TestMain(m *testing.M) {
	framework.Main()
	goleak.VerifyTestMain(m,
		// fasthttp's own, which sleep for seconds before they see that they are done.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	)
}

// framework is Fiber 2.
var framework = fibertest.Framework[*fiber.Ctx]{
	Name: "siofiber",
	Framework: mounttest.Framework{
		Serve: serve,
		Start: func(t *testing.T, srv *sio.Server) *mounttest.Running {
			app := newApp(fibertest.Config{})
			siofiber.Mount(app, srv)
			return fibertest.Start(t, app, listen(app))
		},
		Request: func(s *sio.Socket) mounttest.Request {
			h := s.Handshake()
			return mounttest.Request{
				User: siofiber.Locals[string](s, "user"), Tenant: siofiber.Params(s, "tenant"), Cookie: siofiber.Cookies(s, "session"),
				Header: h.Header.Get("X-Test"), Query: h.Query.Get("room"), Address: h.Address,
			}
		},
		Hidden: func(s *sio.Socket) []string {
			return []string{siofiber.Params(s, "*1"), siofiber.Params(s, "other"), siofiber.Cookies(s, "other")}
		},
		TLS: func(s *sio.Socket) bool { return siofiber.Locals[*tls.ConnectionState](s, "tls").HandshakeComplete },
		Unknown: func(s *sio.Socket) bool {
			return siofiber.Locals[string](s, "user") == "" && siofiber.Params(s, "tenant") == "" &&
				siofiber.Cookies(s, "session") == "abc" // the handshake knows of that everywhere
		},
		NotFound: "404 ",
		Variants: fibertest.Variants(),
	},
	Ways: map[string]func(srv *sio.Server){
		"app":     func(srv *sio.Server) { siofiber.Mount(newApp(fibertest.Config{}), srv) },
		"group":   func(srv *sio.Server) { siofiber.Mount(newApp(fibertest.Config{}).Group("/a"), srv) },
		"handler": func(srv *sio.Server) { siofiber.Handler(srv) },
	},
	Listen: func(addr string, srv *sio.Server, listening func()) error {
		app := newApp(fibertest.Config{})
		app.Hooks().OnListen(func(fiber.ListenData) error { listening(); return nil })
		siofiber.Mount(app.Group("/group"), srv)
		return app.Listen(addr)
	},
	Prefork: func(srv *sio.Server) error {
		app := fiber.New(fiber.Config{Prefork: true, DisableStartupMessage: true})
		siofiber.Mount(app.Group("/chat"), srv) // a group does not tell what its application is like
		return app.Listen("127.0.0.1:0")
	},
	Use: func(t *testing.T, srv *sio.Server, middleware func(c *fiber.Ctx)) siotest.Dialer {
		app := newApp(fibertest.Config{})
		app.Use(func(c *fiber.Ctx) error { middleware(c); return c.Next() })
		siofiber.Mount(app, srv)
		return fibertest.Serve(t, app, false, listen(app))
	},
	RequestCtx: func(c *fiber.Ctx) *fasthttp.RequestCtx { return c.Context() },
	SetLocal:   func(c *fiber.Ctx, key, value any) { c.Locals(key, value) },
	SetContext: func(c *fiber.Ctx, ctx context.Context) { c.SetUserContext(ctx) },
	Locals: fibertest.Locals{
		Any: siofiber.Locals[any], Bytes: siofiber.Locals[[]byte], Int: siofiber.Locals[int], String: siofiber.Locals[string],
	},
}

func TestMount(t *testing.T)                                   { framework.Mounts(t) }
func TestPathsAndFiles(t *testing.T)                           { framework.Paths(t) }
func TestUnfinishedPost(t *testing.T)                          { framework.UnfinishedPost(t, true) }
func TestHandshakes(t *testing.T)                              { framework.Handshakes(t) }
func TestHandlersKnowWhatTheRequestHad(t *testing.T)           { framework.Values(t) }
func TestHandlersKnowItAtTheSameTime(t *testing.T)             { framework.ManyAtOnce(t) }
func TestTLSStateIsThere(t *testing.T)                         { framework.TLSState(t) }
func TestNothingIsKnownOfASocketFromAnotherMount(t *testing.T) { framework.OtherMount(t) }
func TestLocals(t *testing.T)                                  { framework.LocalValues(t) }
func TestContextOfTheApplication(t *testing.T)                 { framework.ApplicationContext(t) }

func TestShutdownBeforeFibers(t *testing.T) { framework.ShutdownFirst(t) }

func TestShutdownAfterFibers(t *testing.T) { framework.ShutdownLast(t) }

func TestWebSocketsOutliveFiber(t *testing.T) { framework.WebSocketsStay(t) }

func TestPreforkIsRefused(t *testing.T) { framework.PreforkIsRefused(t) }

func TestPreforkGoesWithWebSocketOnly(t *testing.T)                     { framework.PreforkGoesWithWebSocketOnly(t) }
func TestBodyLimitBelowMaxHTTPBufferSize(t *testing.T)                  { framework.BodyLimit(t) }
func TestConnectionsOutliveFibersTimeouts(t *testing.T)                 { framework.Timeouts(t) }
func TestIdleWebSockets(t *testing.T)                                   { framework.IdleWebSockets(t) }
func TestWebSocketsDoNotCountForConcurrency(t *testing.T)               { framework.Concurrency(t) }
func TestConnectionOverTLSEndedWhenAnotherGoroutineReadOn(t *testing.T) { framework.ReadOn(t) }

// signIn keeps the header X-User in Fiber's Locals, and refuses mallory.
func signIn(c *fiber.Ctx) error {
	user := c.Get("X-User")
	if user == "mallory" {
		return fiber.ErrUnauthorized
	}
	c.Locals("user", user)
	c.Set("X-Signed-In", user)
	return c.Next()
}

func newApp(c fibertest.Config) *fiber.App {
	return fiber.New(fiber.Config{
		ReadTimeout: c.ReadTimeout, WriteTimeout: c.WriteTimeout, IdleTimeout: c.IdleTimeout,
		BodyLimit: c.BodyLimit, Concurrency: c.Concurrency,
		ReduceMemoryUsage: c.ReduceMemoryUsage, Immutable: c.Immutable, StreamRequestBody: c.StreamRequestBody,
		DisableHeaderNormalizing: c.DisableHeaderNormalizing,
		DisableStartupMessage:    true,
	})
}

// trusting returns an application that trusts a proxy on this machine.
func trusting() *fiber.App {
	return fiber.New(fiber.Config{
		EnableTrustedProxyCheck: true, TrustedProxies: []string{"127.0.0.1"}, ProxyHeader: fiber.HeaderXForwardedFor,
		DisableStartupMessage: true,
	})
}

func listen(app *fiber.App) func(l net.Listener) error { return app.Listener }

func serve(t *testing.T, srv *sio.Server, a mounttest.App) siotest.Dialer {
	t.Helper()
	app := newApp(fibertest.ConfigOf(a))
	if a.Proxy {
		app = trusting()
	}
	app.Get("/other", func(c *fiber.Ctx) error { return c.SendString("other") })
	var mw []fiber.Handler
	if a.SignIn {
		mw = append(mw, signIn)
	}
	if a.TLS {
		mw = append(mw, func(c *fiber.Ctx) error { c.Locals("tls", c.Context().TLSConnectionState()); return c.Next() })
	}
	switch {
	case a.Path != "":
		app.All(a.Path, append(mw, siofiber.Handler(srv))...)
	case a.Group == "" && len(mw) == 0:
		siofiber.Mount(app, srv)
	default:
		siofiber.Mount(app.Group(a.Group, mw...), srv)
	}
	return fibertest.Serve(t, app, a.TLS, listen(app))
}
