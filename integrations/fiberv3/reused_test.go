package siofiberv3_test

import (
	"log/slog"
	"testing"

	"github.com/gofiber/fiber/v3"

	"github.com/sioplug/sioplug/integrations/internal/reused"
)

// The types are names, so it takes the framework to see that they are right.
func TestContextsOfFiber3AreNotKept(t *testing.T) {
	t.Parallel()
	type custom struct{ fiber.DefaultCtx }
	f := reused.New("siofiberv3", reused.Fiber, (*fiber.DefaultCtx)(nil))
	c := new(fiber.DefaultCtx)
	for name, v := range map[string]any{
		"DefaultCtx":                       c,
		"struct of an application's Ctx":   &custom{},
		"field of an interface's type":     struct{ v any }{c},
		"field of the context's interface": struct{ c fiber.Ctx }{c},
	} {
		if f.Allows(v, "key", slog.New(slog.DiscardHandler)) {
			t.Errorf("%s: kept", name)
		}
	}
	if !f.Allows(fiber.Map{"a": 1}, "key", slog.New(slog.DiscardHandler)) {
		t.Error("fiber.Map: not kept")
	}
}
