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

// Opened is what sockets keep of the request that opened their connection,
// beside what their handshake has. As a whole, a request takes thousands of bytes
// for as long as a connection lives, and many are never asked for it.
type Opened struct {
	ctx        context.Context //nolint:containedctx // the request's values; it does not end
	remoteAddr string
	proto      string
	major      int
	minor      int
	tls        *tls.ConnectionState
}

// Open returns what is to be kept of a request, with a context that has its
// values.
func Open(ctx context.Context, r *http.Request) Opened {
	return Opened{context.WithoutCancel(ctx), r.RemoteAddr, r.Proto, r.ProtoMajor, r.ProtoMinor, r.TLS}
}

// Request returns the request once more, without a body.
func (o *Opened) Request(h *sio.Handshake) *http.Request {
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

// Again returns a request like one of Opened, for middleware that may change it.
func Again(r *http.Request, s *sio.Socket) *http.Request { return r.Clone(s.Context()) }

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
