package siofiber

import (
	"runtime"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/integrations/internal/fasthttpx"
)

// around is what stands around one mount.
type around struct {
	once    sync.Once
	timeout bool
}

// refuses reports whether there is something that polls must not wait in. One
// request is enough to know.
//
// That is Fiber's timeout.New: when its time is up, it lets Fiber use the context
// for another request, and does not tell the handler.
func (a *around) refuses(c *fiber.Ctx, srv *sio.Server) bool {
	a.once.Do(func() {
		fasthttpx.CheckBodyLimit(c.App().Config().BodyLimit, srv)
		if a.timeout = calledBy("github.com/gofiber/fiber/v2/middleware/timeout.New."); a.timeout {
			srv.Options().Logger.Error("siofiber: timeout.New is around the mount, and would give the context of a waiting " +
				"poll to another request: use timeout.NewWithContext, or mount sioplug outside of it")
		}
	})
	return a.timeout
}

// calledBy reports whether a function whose name begins like that waits for the
// caller, or has started its goroutine.
func calledBy(prefix string) bool {
	pc := make([]uintptr, 100)
	frames := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, prefix) {
			return true
		}
		if !more {
			return false
		}
	}
}
