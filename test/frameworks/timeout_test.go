package frameworks_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	gintimeout "github.com/gin-contrib/timeout"
	"github.com/gin-gonic/gin"
	chimw "github.com/go-chi/chi/v5/middleware"
	fiber2 "github.com/gofiber/fiber/v2"
	fiber2timeout "github.com/gofiber/fiber/v2/middleware/timeout"
	fiber3 "github.com/gofiber/fiber/v3"
	fiber3timeout "github.com/gofiber/fiber/v3/middleware/timeout"
	echo4mw "github.com/labstack/echo/v4/middleware"
	echo5mw "github.com/labstack/echo/v5/middleware"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
)

// limit is how long requests may take here. Polls are answered a second before.
const limit = 2 * time.Second

// ginDeadline is a timeout in the way that goes well with Gin.
func ginDeadline(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), limit)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
}

// wrapWriter is middleware that wraps Gin's writer, as many do.
func wrapWriter(c *gin.Context) { c.Writer = &wrapped{c.Writer} }

type wrapped struct{ gin.ResponseWriter }

func onFiberHandler(wrap func(fiber2.Handler) fiber2.Handler) siotest.Mount {
	return func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := fiber2.New(fiber2.Config{DisableStartupMessage: true})
		app.All("/socket.io/*", wrap(siofiber.Handler(srv)))
		return listen(t, func(l net.Listener) error { return app.Listener(l) }, app.ShutdownWithContext)
	}
}

func onFiberV3Handler(wrap func(fiber3.Handler) fiber3.Handler) siotest.Mount {
	return func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := fiber3.New()
		app.All("/socket.io/*", wrap(siofiberv3.Handler(srv)))
		quiet := fiber3.ListenConfig{DisableStartupMessage: true}
		return listen(t, func(l net.Listener) error { return app.Listener(l, quiet) }, app.ShutdownWithContext)
	}
}

// Timeouts that are deadlines are kept: polls are answered before, as if there
// was something to tell, and clients poll again. A WebSocket is not a request any
// more when it is open.
func TestTimeouts(t *testing.T) {
	mounts{
		"gin, a deadline":        onGin(ginDeadline),
		"echo, ContextTimeout":   onEcho(echo4mw.ContextTimeout(limit)),
		"echov5, ContextTimeout": onEchoV5(echo5mw.ContextTimeout(limit)),
		"chi, Timeout":           onChi(chimw.Timeout(limit)),
		"fiber, NewWithContext":  onFiberHandler(func(h fiber2.Handler) fiber2.Handler { return fiber2timeout.NewWithContext(h, limit) }),
		"fiberv3, New": onFiberV3Handler(func(h fiber3.Handler) fiber3.Handler {
			return fiber3timeout.New(h, fiber3timeout.Config{Timeout: limit})
		}),
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		t.Parallel()
		_, d := mount.Serve(t, nil, echo)
		p, c := d.Polling(t), d.WebSocket(t)
		mustEcho(t, p)
		mustEcho(t, c)
		for range 2 {
			if got := poll(t, d, p.SID()); got.status != http.StatusOK || got.body != "6" {
				t.Fatalf("status %d, body %q", got.status, got.body)
			}
		}
		for _, c := range []*siotest.Client{p, c} {
			c.Send(`42["echo","still there"]`)
			c.Want(`42["echo","still there"]`)
		}
		p.Upgrade()
		p.Send(`42["echo","upgraded"]`)
		p.Want(`42["echo","upgraded"]`)
	})
}

// Timeouts that hide the connection keep clients on polling, and the log says
// what to do.
func TestTimeoutsThatHideTheConnection(t *testing.T) {
	mounts{
		"http.TimeoutHandler": onChi(func(next http.Handler) http.Handler { return http.TimeoutHandler(next, limit, "") }),
		"echo, Timeout":       onEcho(echo4mw.TimeoutWithConfig(echo4mw.TimeoutConfig{Timeout: limit})), //nolint:staticcheck // in wide use
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		t.Parallel()
		var log bytes.Buffer
		_, d := mount.Serve(t, &sio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, echo)
		p := d.Polling(t)
		mustEcho(t, p)
		if got := poll(t, d, p.SID()); got.status != http.StatusOK || got.body != "6" {
			t.Fatalf("status %d, body %q", got.status, got.body)
		}
		for range 2 {
			if got := open(t, d, "websocket"); got.status != http.StatusInternalServerError || !strings.Contains(got.body, "log") {
				t.Errorf("websocket: status %d, body %q", got.status, got.body)
			}
		}
		if strings.Count(log.String(), "level=ERROR") != 1 || !strings.Contains(log.String(), "outside of the middleware") {
			t.Errorf("log: %s", log.String())
		}
		p.Send(`42["echo","still there"]`)
		p.Want(`42["echo","still there"]`)
	})
}

// Some timeout middleware goes on without the handler, which cannot notice it. Then its
// request would be used for another client while a poll waits. So the server refuses all
// clients, and the log says what to do.
func TestTimeoutsThatHandlersCannotKnowOf(t *testing.T) {
	mounts{
		"gin-contrib/timeout":                   onGin(gintimeout.New(gintimeout.WithTimeout(limit))),
		"gin-contrib/timeout and others inside": onGin(gintimeout.New(gintimeout.WithTimeout(limit)), wrapWriter),
		"fiber, New":                            onFiberHandler(func(h fiber2.Handler) fiber2.Handler { return fiber2timeout.New(h, limit) }), //nolint:staticcheck // in wide use
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		var log bytes.Buffer
		srv, d := mount.Serve(t, &sio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, echo)
		for range 2 {
			for transport := range statuses {
				if got := open(t, d, transport); got.status != http.StatusInternalServerError || !strings.Contains(got.body, "log") {
					t.Errorf("%s: status %d, body %q", transport, got.status, got.body)
				}
			}
		}
		if strings.Count(log.String(), "level=ERROR") != 1 || !strings.Contains(log.String(), "timeout") {
			t.Errorf("log: %s", log.String())
		}
		if n := srv.ClientsCount(); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}
