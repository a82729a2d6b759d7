package siogin

import (
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/nethttp"
)

// A timeoutCheck looks for gin-contrib/timeout around a mount: when its time is
// up, it lets Gin use the context for another request, and does not tell the
// handler, which a poll keeps waiting.
type timeoutCheck struct {
	once  sync.Once
	found bool
}

// refuses answers the request if there is such middleware. One request is enough
// to know.
func (t *timeoutCheck) refuses(c *gin.Context, srv *sio.Server) bool {
	t.once.Do(func() {
		if t.found = hasTimeout(c.Writer); t.found {
			srv.Options().Logger.Error("siogin: gin-contrib/timeout is around the mount, and would give the context of a " +
				"waiting poll to another request: mount sioplug outside of it, or use middleware that sets a deadline " +
				"to the request's context")
		}
	})
	if t.found {
		c.String(http.StatusInternalServerError, "timeout middleware: see the server's log")
	}
	return t.found
}

func hasTimeout(w http.ResponseWriter) bool {
	for ; w != nil; w = nethttp.Unwrap(w) {
		if strings.Contains(reflect.Indirect(reflect.ValueOf(w)).Type().PkgPath(), "gin-contrib/timeout") {
			return true
		}
	}
	return false
}
