package siofiber_test

import (
	"errors"
	"testing"

	"github.com/gofiber/fiber/v2"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	"github.com/sioplug/sioplug/integrations/internal/connect/connecttest"
	"github.com/sioplug/sioplug/integrations/internal/fasthttpx/fibertest"
)

func byRole(c *fiber.Ctx) error {
	switch role := c.Get("X-Role"); role {
	case "admin":
		user, _ := c.Locals("user").(string)
		c.Locals("role", c.Params("tenant")+" "+user+" "+role)
		c.Set("X-Lost", "there is no answer")
		return c.Next()
	case "json":
		return c.Status(fiber.StatusUnauthorized).JSON(fiber.Map{"error": "sign in"})
	case "text":
		return c.Status(fiber.StatusPaymentRequired).SendString("pay")
	case "silent":
		return nil
	case "broken":
		return errors.New("out of order")
	default:
		panic("on purpose")
	}
}

func TestConnect(t *testing.T) {
	connecttest.Run(t, connecttest.Framework{
		Name:    "siofiber",
		Mount:   framework.InGroup,
		Connect: siofiber.Connect(byRole),
		Role:    func(s *sio.Socket) string { return siofiber.Locals[string](s, "role") },
	})
}

// What middleware returns goes through the application's error handler.
func TestConnectRefusesByError(t *testing.T) {
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		app := fiber.New(fiber.Config{DisableStartupMessage: true, ErrorHandler: func(c *fiber.Ctx, err error) error {
			return c.Status(fiber.StatusTeapot).SendString("no coffee: " + err.Error())
		}})
		siofiber.Mount(app, srv)
		return fibertest.Serve(t, app, false, listen(app))
	})
	_, d := mount.Serve(t, nil, func(srv *sio.Server) {
		srv.UseConnect(siofiber.Connect(func(*fiber.Ctx) error { return errors.New("empty") }))
	})
	c := d.WebSocket(t)
	c.Send("40")
	c.Want(`44{"message":"I'm a teapot","data":{"status":418,"body":"no coffee: empty"}}`)
}
