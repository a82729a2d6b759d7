package fasthttpx

import (
	"fmt"
	"log/slog"
	"slices"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/engine"
)

// RefusePrefork panics unless a server can run in several processes that share
// a port.
func RefusePrefork(integration string, srv *sio.Server) {
	if slices.Equal(srv.Options().Transports, []string{engine.WebSocket}) {
		return
	}
	//nolint:forbidigo // wrong registration
	panic(fmt.Sprintf("%s: with Prefork the requests of one polling client come to several processes, "+
		"and all but one do not know it: turn Prefork off, or set "+
		"sio.Options.Transports to []string{%q} and have clients use only that, too", integration, engine.WebSocket))
}

// CheckBodyLimit logs it if a framework refuses bodies that the server would take.
func CheckBodyLimit(limit int, srv *sio.Server) {
	o := srv.Options()
	if limit <= 0 || limit >= o.MaxHTTPBufferSize || !slices.Contains(o.Transports, engine.Polling) {
		return
	}
	o.Logger.Warn("POSTs that sio.Options.MaxHTTPBufferSize allows are refused by fiber.Config.BodyLimit: raise it",
		slog.Int("max_http_buffer_size", o.MaxHTTPBufferSize), slog.Int("body_limit", limit))
}
