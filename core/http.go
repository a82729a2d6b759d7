package sio

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/nethttp"
	"github.com/sioplug/sioplug/internal/rescue"
)

// ServeHTTP serves Socket.IO to net/http. Mount it at a path with a trailing
// slash, which clients take as "/socket.io/" unless told otherwise. For clients
// that are told to leave the slash out (addTrailingSlash: false), mount it at
// "/socket.io", too: [http.ServeMux] would answer them with a redirect.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Serve(r.Context(), nethttp.New(w, r))
}

// Serve answers one request of any HTTP server. It is for integrations: x is
// the request, and ctx ends when its client has gone away.
func (s *Server) Serve(ctx context.Context, x engine.Exchange) {
	served := false
	err := rescue.Call(func() error {
		served = s.serveClient(x)
		return nil
	})
	switch {
	case err != nil: // x has failed, and cannot answer
		s.log().LogAttrs(ctx, slog.LevelError, "serving a request failed", errAttrs(err)...)
	case !served:
		s.engine.Serve(ctx, x)
	}
}
