package fasthttpx

import (
	"strings"

	"github.com/valyala/fasthttp"

	sio "github.com/sioplug/sioplug/core"
)

// NewRequestCtx returns a request like the one that opened a socket's connection, for
// middleware that runs once more for one of its namespaces.
func (s *SavedRequest) NewRequestCtx(h *sio.Handshake) *fasthttp.RequestCtx {
	var req fasthttp.Request
	req.Header.SetMethod(fasthttp.MethodGet)
	req.SetRequestURI(h.URL)
	req.Header.SetHost(h.Host)
	for k, vs := range h.Header {
		for _, v := range vs {
			if k == "Cookie" { // fasthttp knows only one line of them
				v = strings.TrimSuffix(v, ";")
			}
			req.Header.Add(k, v)
		}
	}
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(&req, s.RemoteAddr, nil)
	s.Restore(ctx)
	return ctx
}
