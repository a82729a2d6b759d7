package siofiber_test

import (
	"net"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
)

func TestMain(m *testing.M) {
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

// serve runs an app on a port of this machine and returns how to reach it at
// the path "/socket.io/".
func serve(t *testing.T, app *fiber.App) siotest.Dialer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, app, l)
	return siotest.Dialer{URL: "http://" + l.Addr().String() + "/socket.io/"}
}

// serveOn runs an app on a listener until the test ends.
func serveOn(t *testing.T, app *fiber.App, l net.Listener) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- app.Listener(l) }()
	t.Cleanup(func() {
		if err := app.ShutdownWithContext(t.Context()); err != nil && err != t.Context().Err() {
			t.Errorf("stopping Fiber: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Fiber: %v", err)
		}
	})
}

func newApp() *fiber.App { return fiber.New(fiber.Config{DisableStartupMessage: true}) }

func TestMountOnAnApp(t *testing.T) {
	siotest.Run(t, func(t *testing.T, srv *sio.Server) string {
		app := newApp()
		siofiber.Mount(app, srv)
		return serve(t, app).URL
	})
}

func TestMountOnAGroup(t *testing.T) {
	siotest.Run(t, func(t *testing.T, srv *sio.Server) string {
		app := newApp()
		siofiber.Mount(app.Group("/t/:tenant", signIn), srv)
		return strings.Replace(serve(t, app).URL, "/socket.io/", "/t/acme/socket.io/", 1)
	}, siotest.Values(lookup))
}
