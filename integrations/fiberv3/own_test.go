package siofiberv3_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/utils/v2"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiberv3 "github.com/sioplug/sioplug/integrations/fiberv3"
	"github.com/sioplug/sioplug/integrations/internal/reused/reusedtest"
)

// What middleware left of alice's request became another user's, with the memory that
// Fiber uses again.
func TestSocketOfAliceBecameAnotherUsers(t *testing.T) {
	t.Parallel()
	reusedtest.Run(t, reusedtest.Framework[fiber.Ctx]{
		Mount: func(t *testing.T, srv *sio.Server, middleware func(c fiber.Ctx)) siotest.Dialer {
			app := newApp()
			siofiberv3.Mount(app.Group("/t/:tenant", func(c fiber.Ctx) error {
				middleware(c)
				return c.Next()
			}), srv)
			return serve(t, app).At("/t/alice/socket.io/")
		},
		Connect: func(middleware func(c fiber.Ctx)) sio.Middleware {
			return siofiberv3.Connect(func(c fiber.Ctx) error { middleware(c); return c.Next() })
		},
		Sources: map[string]func(c fiber.Ctx) string{
			"header":    func(c fiber.Ctx) string { return c.Get("X-User") },
			"cookie":    func(c fiber.Ctx) string { return c.Cookies("user") },
			"query":     func(c fiber.Ctx) string { return c.Query("user") },
			"parameter": func(c fiber.Ctx) string { return c.Params("tenant") },
			"path":      func(c fiber.Ctx) string { return strings.Split(c.Path(), "/")[2] },
			"URL":       func(c fiber.Ctx) string { return strings.Split(c.OriginalURL(), "/")[2] },
			"raw URI": func(c fiber.Ctx) string {
				return strings.Split(utils.UnsafeString(c.Request().URI().FullURI()), "/")[4]
			},
			"headers": func(c fiber.Ctx) string { return c.GetReqHeaders()["X-User"][0] },
			"body":    func(c fiber.Ctx) string { return utils.UnsafeString(c.Body()) },
			"answer": func(c fiber.Ctx) string {
				c.Set("X-User", c.Get("X-User"))
				return c.GetRespHeader("X-User")
			},
			"parsed": func(c fiber.Ctx) string {
				var q struct{ User string }
				if err := c.Bind().Query(&q); err != nil {
					return err.Error()
				}
				return q.User
			},
		},
		Set: func(c fiber.Ctx, value any) { c.Locals("user", value) },
		Get: func(s *sio.Socket) any { return siofiberv3.Locals[any](s, "user") },
		SetContext: func(c fiber.Ctx, key, value any) {
			c.SetContext(context.WithValue(c.Context(), key, value))
		},
	})
}

// What would be another request's soon is not kept, and the log says what to do.
func TestValuesThatCannotBeKept(t *testing.T) {
	t.Parallel()
	type scope struct{ c fiber.Ctx }
	for name, leave := range map[string]func(c fiber.Ctx) any{
		"a field":    func(c fiber.Ctx) any { return &scope{c} },
		"a context":  func(c fiber.Ctx) any { return struct{ ctx context.Context }{c} },
		"a function": func(c fiber.Ctx) any { return func() string { return c.Get("X-User") } },
		"a closer":   func(fiber.Ctx) any { return new(closer) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log strings.Builder
			_, d := serveSio(t, &sio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(app *fiber.App, srv *sio.Server) {
				app.Use(func(c fiber.Ctx) error { c.Locals("user", leave(c)); return c.Next() })
				siofiberv3.Mount(app, srv)
				srv.On("event", func(c *sio.Ctx) error { return c.Ack(siofiberv3.Locals[any](c.Socket, "user") == nil) })
			})
			for range 2 {
				c := d.WebSocket(t)
				c.Connect("/", "")
				c.Send(`421["event"]`)
				c.Want(`431[true]`)
			}
			if n := strings.Count(log.String(), "leave copies of what handlers need instead"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, log.String())
			}
		})
	}
}

type closer struct{}

func (*closer) Close() error { return nil }
