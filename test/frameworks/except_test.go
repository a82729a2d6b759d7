package frameworks_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	fiber2 "github.com/gofiber/fiber/v2"
	fiber2cache "github.com/gofiber/fiber/v2/middleware/cache"
	fiber2csrf "github.com/gofiber/fiber/v2/middleware/csrf"
	fiber3 "github.com/gofiber/fiber/v3"
	fiber3cache "github.com/gofiber/fiber/v3/middleware/cache"
	fiber3csrf "github.com/gofiber/fiber/v3/middleware/csrf"
	echo4 "github.com/labstack/echo/v4"
	echo4mw "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5mw "github.com/labstack/echo/v5/middleware"

	"github.com/sioplug/sioplug/core/siotest"
)

func ours(path string) bool { return strings.HasPrefix(path, "/socket.io/") }

// Tokens against cross-site requests have nowhere to be in a POST of the
// JavaScript client, so a mount has to be excepted. Clients with a WebSocket
// would not notice.
func TestCSRF(t *testing.T) {
	around, excepted := mounts{
		"echo":    onEcho(echo4mw.CSRF()),
		"echov5":  onEchoV5(echo5mw.CSRF()),
		"fiber":   onFiber(fiber2csrf.New()),
		"fiberv3": onFiberV3(fiber3csrf.New()),
	}, mounts{
		"echo":    onEcho(echo4mw.CSRFWithConfig(echo4mw.CSRFConfig{Skipper: func(c echo4.Context) bool { return ours(c.Path()) }})),
		"echov5":  onEchoV5(echo5mw.CSRFWithConfig(echo5mw.CSRFConfig{Skipper: func(c *echo5.Context) bool { return ours(c.Path()) }})),
		"fiber":   onFiber(fiber2csrf.New(fiber2csrf.Config{Next: func(c *fiber2.Ctx) bool { return ours(c.Path()) }})),
		"fiberv3": onFiberV3(fiber3csrf.New(fiber3csrf.Config{Next: func(c fiber3.Ctx) bool { return ours(c.Path()) }})),
	}
	around.each(t, func(t *testing.T, mount siotest.Mount) {
		_, d := mount.Serve(t, nil, echo)
		c := d.Polling(t)
		if got := post(t, d, c.SID(), "40"); got.status != http.StatusBadRequest && got.status != http.StatusForbidden {
			t.Errorf("status %d", got.status)
		}
		mustEcho(t, d.WebSocket(t))
	})
	t.Run("excepted", func(t *testing.T) {
		excepted.each(t, func(t *testing.T, mount siotest.Mount) { siotest.Run(t, mount, siotest.Brief()) })
	})
}

// Fiber 3's cache knows from our answers that they are not to be kept. That of
// Fiber 2 has to be told, or it answers everybody like the first.
func TestCache(t *testing.T) {
	mounts{
		"fiber":   onFiber(fiber2cache.New(fiber2cache.Config{Next: func(c *fiber2.Ctx) bool { return ours(c.Path()) }})),
		"fiberv3": onFiberV3(fiber3cache.New(fiber3cache.Config{Expiration: time.Hour})),
	}.each(t, func(t *testing.T, mount siotest.Mount) { siotest.Run(t, mount, siotest.Brief()) })
	t.Run("fiber, not told", func(t *testing.T) {
		_, d := onFiber(fiber2cache.New()).Serve(t, nil, echo)
		if first, second := open(t, d, "polling"), open(t, d, "polling"); first.body != second.body {
			t.Error("it is better than that: docs/frameworks.md has to be changed")
		}
	})
}
