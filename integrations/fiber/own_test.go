package siofiber_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	"github.com/sioplug/sioplug/integrations/internal/fasthttpx/fibertest"
	"github.com/sioplug/sioplug/integrations/internal/reused/reusedtest"
)

// What middleware left of alice's request became another user's, with the memory that
// Fiber uses again.
func TestSocketOfAliceBecameAnotherUsers(t *testing.T) {
	t.Parallel()
	reusedtest.Run(t, reusedtest.Framework[*fiber.Ctx]{
		Mount: func(t *testing.T, srv *sio.Server, middleware func(c *fiber.Ctx)) siotest.Dialer {
			app := newApp(fibertest.Config{})
			siofiber.Mount(app.Group("/t/:tenant", func(c *fiber.Ctx) error {
				middleware(c)
				return c.Next()
			}), srv)
			return fibertest.Serve(t, app, false, listen(app)).At("/t/alice/socket.io/")
		},
		Connect: func(middleware func(c *fiber.Ctx)) sio.Middleware {
			return siofiber.Connect(func(c *fiber.Ctx) error { middleware(c); return c.Next() })
		},
		Sources: map[string]func(c *fiber.Ctx) string{
			"header":    func(c *fiber.Ctx) string { return c.Get("X-User") },
			"cookie":    func(c *fiber.Ctx) string { return c.Cookies("user") },
			"query":     func(c *fiber.Ctx) string { return c.Query("user") },
			"parameter": func(c *fiber.Ctx) string { return c.Params("tenant") },
			"path":      func(c *fiber.Ctx) string { return strings.Split(c.Path(), "/")[2] },
			"URL":       func(c *fiber.Ctx) string { return strings.Split(c.OriginalURL(), "/")[2] },
			"raw URI": func(c *fiber.Ctx) string {
				return strings.Split(utils.UnsafeString(c.Request().URI().FullURI()), "/")[4]
			},
			"headers": func(c *fiber.Ctx) string { return c.GetReqHeaders()["X-User"][0] },
			"body":    func(c *fiber.Ctx) string { return utils.UnsafeString(c.Body()) },
			"answer": func(c *fiber.Ctx) string {
				c.Set("X-User", c.Get("X-User"))
				return c.GetRespHeader("X-User")
			},
			"parsed": func(c *fiber.Ctx) string {
				var q struct{ User string }
				if err := c.QueryParser(&q); err != nil {
					return err.Error()
				}
				return q.User
			},
		},
		Refused: map[string]func(c *fiber.Ctx) any{
			"field":    func(c *fiber.Ctx) any { return &scope{c} },
			"context":  func(c *fiber.Ctx) any { return struct{ ctx context.Context }{c.Context()} },
			"function": func(c *fiber.Ctx) any { return func() string { return c.Get("X-User") } },
			"closer":   func(*fiber.Ctx) any { return new(closer) },
		},
		Set: func(c *fiber.Ctx, value any) { c.Locals("user", value) },
		Get: func(s *sio.Socket) any { return siofiber.Locals[any](s, "user") },
		SetContext: func(c *fiber.Ctx, key, value any) {
			c.SetUserContext(context.WithValue(c.UserContext(), key, value))
		},
	})
}

type scope struct{ c *fiber.Ctx }

type closer struct{}

func (*closer) Close() error { return nil }
