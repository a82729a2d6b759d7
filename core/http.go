package sio

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/nethttp"
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
	if s.serveClient(x) {
		return
	}
	s.engine.Serve(ctx, x)
}

// serveClient answers a request for a file of the JavaScript client, if
// clients get them here. Anything else goes to the engine (SIO-FS-7).
func (s *Server) serveClient(x engine.Exchange) bool {
	name := path.Base(x.Request().Path)
	if s.opts.ClientFS == nil || !isClientFile(name) {
		return false
	}
	res := engine.Response{Status: http.StatusOK, Header: http.Header{
		"Content-Type":  {clientFileType(name)},
		"Cache-Control": {"public, max-age=0"},
	}}
	body, err := fs.ReadFile(s.opts.ClientFS, name)
	etag := fileETag(body)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false
	case err != nil:
		s.log().Error("reading a file of the JavaScript client failed: check Options.ClientFS", errAttr(err))
		res = engine.Response{Status: http.StatusInternalServerError}
	case strings.TrimPrefix(x.Request().Header.Get("If-None-Match"), "W/") == etag: // SIO-FS-3
		res = engine.Response{Status: http.StatusNotModified, Header: http.Header{"Etag": {etag}}}
	default:
		res.Header.Set("ETag", etag)
		res.Body = body
	}
	_ = s.engine.Respond(x, res) // a client that has gone needs no file
	return true
}

// fileETag identifies what a file contains, so a new version of the client gets
// a new one, under whatever version number.
func fileETag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// isClientFile reports whether name is one of the files that a server offers
// (SIO-FS-1).
func isClientFile(name string) bool {
	switch strings.TrimSuffix(name, ".map") {
	case "socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js":
		return true
	}
	return false
}

func clientFileType(name string) string {
	if strings.HasSuffix(name, ".map") {
		return "application/json; charset=utf-8"
	}
	return "application/javascript; charset=utf-8"
}
