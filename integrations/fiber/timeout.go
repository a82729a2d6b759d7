package siofiber

import (
	"runtime"
	"strings"
	"sync"

	sio "github.com/sioplug/sioplug/core"
)

// A timeoutCheck looks for Fiber's timeout.New around a mount: when its time is
// up, it lets Fiber use the context for another request, and does not tell the
// handler, which a poll keeps waiting.
type timeoutCheck struct {
	once  sync.Once
	found bool
}

// refuses reports whether there is such middleware. One request is enough to
// know.
func (t *timeoutCheck) refuses(srv *sio.Server) bool {
	t.once.Do(func() {
		if t.found = calledBy("github.com/gofiber/fiber/v2/middleware/timeout.New."); t.found {
			srv.Options().Logger.Error("siofiber: timeout.New is around the mount, and would give the context of a waiting " +
				"poll to another request: use timeout.NewWithContext, or mount sioplug outside of it")
		}
	})
	return t.found
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
