package siofiber

import (
	"runtime"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/integrations/internal/fasthttpx"
)

// A mountCheck looks once for middleware that one mount cannot work with.
type mountCheck struct {
	once    sync.Once
	timeout bool
}

// refuses reports whether Fiber's timeout.New is around the mount. When its time is up,
// it lets Fiber use the context for another request, and does not tell the handler. So no
// poll may wait in it. The first request of a mount decides for all.
func (a *mountCheck) refuses(c *fiber.Ctx, srv *sio.Server) bool {
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
// caller, or has started its goroutine. Nothing else shows that the middleware is there: it
// leaves no value and no deadline in the context. It takes 9 µs, once for each mount.
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
