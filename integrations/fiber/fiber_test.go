package siofiber_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
)

func TestMain(m *testing.M) {
	if os.Getenv(preforking) != "" {
		prefork()
	}
	goleak.VerifyTestMain(m,
		// fasthttp's own, which sleep for seconds before they see that they are done.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
	)
}

// signIn keeps the header X-User in Fiber's Locals, and refuses mallory.
func signIn(c *fiber.Ctx) error {
	user := c.Get("X-User")
	if user == "mallory" {
		return fiber.ErrUnauthorized
	}
	c.Locals("user", user)
	return c.Next()
}

func lookup(s *sio.Socket) (tenant, user string) {
	return siofiber.Params(s, "tenant"), siofiber.Locals[string](s, "user")
}

// listen returns a listener on a port of this machine.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve runs an app on a port of this machine until the test ends, and returns
// how to reach it at the path "/socket.io/".
func serve(t *testing.T, app *fiber.App) siotest.Dialer {
	t.Helper()
	l := listen(t)
	serveOn(t, app, l)
	return siotest.Dialer{URL: "http://" + l.Addr().String() + "/socket.io/"}
}

// serveTLS is serve over TLS.
func serveTLS(t *testing.T, app *fiber.App) siotest.Dialer {
	t.Helper()
	hs := httptest.NewTLSServer(nil) // has a certificate
	defer hs.Close()
	pool := x509.NewCertPool()
	pool.AddCert(hs.Certificate())
	l := listen(t)
	serveOn(t, app, tls.NewListener(l, &tls.Config{Certificates: hs.TLS.Certificates, MinVersion: tls.VersionTLS12}))
	return siotest.Dialer{
		URL: "https://" + l.Addr().String() + "/socket.io/",
		TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}
}

func serveOn(t *testing.T, app *fiber.App, l net.Listener) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- app.Listener(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := app.ShutdownWithContext(ctx); err != nil {
			t.Errorf("stopping Fiber: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Fiber: %v", err)
		}
	})
}

func newApp(config ...fiber.Config) *fiber.App {
	c := fiber.Config{}
	if len(config) > 0 {
		c = config[0]
	}
	c.DisableStartupMessage = true
	return fiber.New(c)
}

func TestMount(t *testing.T) {
	onApp := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := newApp()
		siofiber.Mount(app, srv)
		return serve(t, app)
	}
	onGroup := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := newApp()
		siofiber.Mount(app.Group("/t/:tenant", signIn), srv)
		return serve(t, app).At("/t/acme/socket.io/")
	}
	ownPath := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := newApp()
		app.All("/t/:tenant/live/", signIn, siofiber.Handler(srv))
		return serve(t, app).At("/t/acme/live/")
	}
	proxied := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := newApp(fiber.Config{
			EnableTrustedProxyCheck: true, TrustedProxies: []string{"127.0.0.1"},
			ProxyHeader: fiber.HeaderXForwardedFor,
		})
		siofiber.Mount(app, srv)
		return serve(t, app)
	}
	immutable := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := newApp(fiber.Config{Immutable: true})
		siofiber.Mount(app.Group("/t/:tenant", signIn), srv)
		return serve(t, app).At("/t/acme/socket.io/")
	}
	streaming := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := newApp(fiber.Config{StreamRequestBody: true})
		siofiber.Mount(app.Group("/t/:tenant", signIn), srv)
		return serve(t, app).At("/t/acme/socket.io/")
	}
	overTLS := func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := newApp()
		siofiber.Mount(app.Group("/t/:tenant", signIn), srv)
		return serveTLS(t, app).At("/t/acme/socket.io/")
	}
	t.Run("app", func(t *testing.T) { siotest.Run(t, onApp) })
	t.Run("group", func(t *testing.T) { siotest.Run(t, onGroup, siotest.Values(lookup)) })
	t.Run("own path", func(t *testing.T) { siotest.Run(t, ownPath, siotest.Values(lookup)) })
	t.Run("behind a proxy", func(t *testing.T) { siotest.Run(t, proxied, siotest.Proxied()) })
	t.Run("Immutable", func(t *testing.T) { siotest.Run(t, immutable, siotest.Values(lookup)) })
	t.Run("StreamRequestBody", func(t *testing.T) { siotest.Run(t, streaming, siotest.Values(lookup)) })
	t.Run("TLS", func(t *testing.T) { siotest.Run(t, overTLS, siotest.Values(lookup)) })
}
