package siofiber_test

import (
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	sio "github.com/sioplug/sioplug/core"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
	"github.com/sioplug/sioplug/integrations/internal/fasthttpx/fibertest"
)

func TestPreforkIsSeenBeforeThereAreProcesses(t *testing.T) {
	refused := func(opts *sio.Options) string {
		return fibertest.Refused(func() { siofiber.Mount(fiber.New(fiber.Config{Prefork: true}), sio.New(opts)) })
	}
	if why := refused(nil); !strings.Contains(why, "turn Prefork off") {
		t.Errorf("refused with %q", why)
	}
	if why := refused(&sio.Options{Transports: []string{"websocket"}}); why != "" {
		t.Errorf("refused with %q", why)
	}
}
