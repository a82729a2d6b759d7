package sio

import (
	"net/http"
	"strconv"
)

// ReadyOptions are the settings of [Server.ReadyHandler].
type ReadyOptions struct {
	// Cluster makes a server that has lost its cluster not ready: see [Server.Cluster].
	// Only set it if another server can be expected to do better. If all servers lose
	// their broker at once, none is ready, and clients that could be served are not.
	Cluster bool
}

// ReadyHandler answers readiness probes: with status 200 while the server wants new
// clients, otherwise with status 503 and the reason in one word. opts may be nil. Probes
// wait for nothing, and learn nothing about clients or the cluster.
//
// Mount it with your framework's wrapper of handlers: gin.WrapH, echo.WrapHandler, or
// adaptor.HTTPHandler of Fiber.
func (s *Server) ReadyHandler(opts *ReadyOptions) http.Handler {
	cluster := opts != nil && opts.Cluster
	return probe(func() (status int, text string) {
		switch {
		case !s.Ready():
			return http.StatusServiceUnavailable, "stopping"
		case cluster && !s.Cluster().Healthy:
			return http.StatusServiceUnavailable, "cluster"
		default:
			return http.StatusOK, "ready"
		}
	})
}

// LiveHandler answers liveness probes: with status 200 while the process is able to. A
// server that drains is alive. What other processes do, Redis for example, makes no
// difference, because a restart would not help.
func (s *Server) LiveHandler() http.Handler {
	return probe(func() (status int, text string) {
		s.engine.Lockable()
		return http.StatusOK, "alive"
	})
}

// probe returns a handler that answers GET and HEAD with a line of text.
func probe(answer func() (status int, text string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		status, text := answer()
		text += "\n"
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Content-Length", strconv.Itoa(len(text)))
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(status)
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte(text)) // if it fails, the prober has gone
		}
	})
}
