// Package nethttp connects net/http, and every framework built on it, to the
// engine.
package nethttp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// An Exchange is one request of a net/http server. Integrations embed it to
// answer differently where their framework knows better.
type Exchange struct {
	w   http.ResponseWriter
	r   *http.Request
	req *engine.Request // apart, because sessions keep it and must not keep the rest
}

// New returns the exchange of w and r, for the duration of the handler.
func New(w http.ResponseWriter, r *http.Request) *Exchange {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = r.RemoteAddr
	}
	return &Exchange{w: w, r: r, req: &engine.Request{
		Method:        r.Method,
		Path:          r.URL.Path,
		URI:           r.URL.RequestURI(),
		Host:          r.Host,
		ClientIP:      ip,
		TLS:           r.TLS != nil,
		Query:         r.URL.Query(),
		Header:        r.Header, // net/http does not use it again
		Body:          r.Body,
		ContentLength: r.ContentLength,
	}}
}

// Request implements [engine.Exchange]. Until the exchange is served, the
// caller may change what it returns.
func (x *Exchange) Request() *engine.Request { return x.req }

// Values implements [engine.Exchange].
func (x *Exchange) Values() context.Context { return x.r.Context() }

// Respond implements [engine.Exchange].
func (x *Exchange) Respond(res engine.Response) error {
	h := x.w.Header()
	for k, v := range res.Header {
		h[k] = v
	}
	h.Set("Content-Length", strconv.Itoa(len(res.Body)))
	x.w.WriteHeader(res.Status)
	if x.r.Method == http.MethodHead {
		return nil
	}
	_, err := x.w.Write(res.Body)
	return err
}

// Upgrade implements [engine.Exchange]. The handler returns while the
// connection lives on, so that everything net/http keeps for a request is
// freed.
func (x *Exchange) Upgrade(header http.Header, open func(engine.Upgraded) func()) error {
	conn, buf, err := hijack(x.w)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil { // the server's timeouts were for requests
		return errors.Join(fmt.Errorf("clearing deadlines: %w", err), conn.Close())
	}
	run := open(engine.Upgraded{
		Conn:  conn,
		Ahead: buffered(buf.Reader),
		Head:  switchingProtocols(x.w.Header(), header),
	})
	go run() // a fresh goroutine has a small stack; the engine's Shutdown waits for it
	return nil
}

// hijack takes the connection from w, or says which of the writers around it
// does not let it go.
func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
	if t := unable(w); t != "" {
		return nil, nil, fmt.Errorf("nethttp: %s is no http.Hijacker: mount sioplug outside of the middleware "+
			"that wraps the response writer, or serve WebSocket over HTTP/1.1", t)
	}
	return http.NewResponseController(w).Hijack()
}

// unable names the innermost writer if it cannot be hijacked. Asking first is
// necessary because writers that wrap others, such as gin's, have the method in
// any case and panic.
func unable(w http.ResponseWriter) string {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	if _, ok := w.(http.Hijacker); ok {
		return ""
	}
	return fmt.Sprintf("%T", w)
}

// buffered returns what the server read beyond the request.
func buffered(r *bufio.Reader) []byte {
	n := r.Buffered()
	if n == 0 {
		return nil
	}
	p, _ := r.Peek(n) // cannot fail: it is there
	return append([]byte(nil), p...)
}

// switchingProtocols is the head of the 101 answer, with the headers that
// middleware set on the writer.
func switchingProtocols(middleware, header http.Header) []byte {
	head := append(make([]byte, 0, 256), "HTTP/1.1 101 Switching Protocols\r\n"...)
	for _, h := range []http.Header{header, middleware} {
		for k, vs := range h {
			for _, v := range vs {
				head = append(append(append(append(head, k...), ": "...), v...), "\r\n"...)
			}
		}
	}
	return append(head, "\r\n"...)
}
