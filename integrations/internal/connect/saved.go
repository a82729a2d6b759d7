package connect

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/url"
	"sync"
	"weak"

	sio "github.com/sioplug/sioplug/core"
)

// A SavedRequest has what a socket needs of the request that opened its connection,
// beside the handshake. A whole request would take thousands of bytes for as long as the
// connection lives, and most sockets never need it.
type SavedRequest struct {
	ctx        context.Context //nolint:containedctx // the request's values; it does not end
	remoteAddr string
	proto      string
	major      int
	minor      int
	tls        *tls.ConnectionState
}

// SaveRequest saves a request, with a context that has its values.
func SaveRequest(ctx context.Context, r *http.Request) SavedRequest {
	return SavedRequest{context.WithoutCancel(ctx), r.RemoteAddr, r.Proto, r.ProtoMajor, r.ProtoMinor, r.TLS}
}

// Request returns the request, without a body.
func (o *SavedRequest) Request(h *sio.Handshake) *http.Request {
	u, err := url.ParseRequestURI(h.URL)
	if err != nil {
		u = &url.URL{Path: h.URL} // cannot be: it was one
	}
	r := &http.Request{
		Method: http.MethodGet, URL: u, RequestURI: h.URL, Host: h.Host, Header: h.Header, Body: http.NoBody,
		Proto: o.proto, ProtoMajor: o.major, ProtoMinor: o.minor, RemoteAddr: o.remoteAddr, TLS: o.tls,
	}
	return r.WithContext(o.ctx)
}

// CloneRequest copies a request, for middleware that may change it.
func CloneRequest(r *http.Request, s *sio.Socket) *http.Request { return r.Clone(s.Context()) }

// A Shared is a value that is made when somebody asks for it, and shared by all
// who ask while it is in use.
type Shared[T any] struct {
	mu    sync.Mutex
	value weak.Pointer[T]
}

// Get returns the value.
func (s *Shared[T]) Get(create func() *T) *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.value.Value()
	if v == nil {
		v = create()
		s.value = weak.Make(v)
	}
	return v
}
