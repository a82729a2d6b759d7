// Package nethttp connects the engine to net/http, and to every framework that is built on
// net/http.
package nethttp

import (
	"bufio"
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// An Exchange is one request of a net/http server, and its answer. Integrations embed it
// and replace methods for which their framework has better information.
type Exchange struct {
	w        http.ResponseWriter
	r        *http.Request
	req      *engine.Request // allocated separately: functions of the application may keep it, but not the Exchange
	received time.Time
	parked   bool
	onSent   func(err error) // see OnSent; may be nil

	mu            sync.Mutex
	sendDeadline  time.Time // when the answer has to have left; zero: whenever
	sending       bool      // it is on its way
	readCancelled bool
}

// New returns the exchange of w and r, for the duration of the handler.
func New(w http.ResponseWriter, r *http.Request) *Exchange {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		ip = r.RemoteAddr
	}
	return &Exchange{w: w, r: r, received: time.Now(), req: &engine.Request{
		Method:        r.Method,
		Path:          r.URL.Path,
		URI:           requestURI(r),
		Host:          r.Host,
		ClientIP:      ip,
		TLS:           r.TLS != nil,
		Query:         engine.ParseQuery(r.URL.RawQuery),
		Header:        header(w, r),
		Body:          r.Body,
		ContentLength: r.ContentLength,
	}}
}

// requestURI returns r.URL.RequestURI(). It makes no copy if the client has sent just that:
// middleware may have changed the URL.
func requestURI(r *http.Request) string {
	u := r.URL
	path, query, found := strings.Cut(r.RequestURI, "?")
	if found && query == u.RawQuery && path == u.Path && u.RawPath == "" && u.Opaque == "" {
		return r.RequestURI
	}
	return u.RequestURI()
}

// header returns the headers of the request. net/http does not use their memory again. If
// middleware compresses answers, it has set Vary already: then the engine must not compress
// as well, so Accept-Encoding is removed.
func header(w http.ResponseWriter, r *http.Request) http.Header {
	vary := w.Header()["Vary"]
	if len(vary) == 0 || !strings.Contains(strings.Join(vary, ","), "Accept-Encoding") {
		return r.Header
	}
	h := maps.Clone(r.Header)
	delete(h, "Accept-Encoding")
	return h
}

// Request implements [engine.Exchange]. Until the exchange is served, the
// caller may change what it returns.
func (x *Exchange) Request() *engine.Request { return x.req }

// Values implements [engine.Exchange].
func (x *Exchange) Values() context.Context { return values(x.r) }

// Respond implements [engine.Exchange].
func (x *Exchange) Respond(res engine.Response) error {
	h := x.w.Header()
	mergeHeader(h, res.Header)
	if res.Status != http.StatusNotModified { // it would be the length of a body that is not sent
		h.Set("Content-Length", strconv.Itoa(len(res.Body)))
	}
	if x.beginSending() && x.r.ProtoMajor == 1 {
		h.Set("Connection", "close")
	}
	err := x.send(res)
	x.endSending(err)
	return err
}

// send writes the answer and flushes it. Otherwise net/http would write the last part when
// the handler has returned, without the time limit.
func (x *Exchange) send(res engine.Response) error {
	x.w.WriteHeader(res.Status)
	if x.r.Method == http.MethodHead {
		return nil
	}
	if _, err := x.w.Write(res.Body); err != nil {
		return err
	}
	return flush(x.w)
}

// SendWithin implements [engine.Sender].
func (x *Exchange) SendWithin(d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	until := time.Now().Add(d)
	if !x.sendDeadline.IsZero() && x.sendDeadline.Before(until) {
		return
	}
	x.sendDeadline = until
	if x.sending {
		_ = x.deadlines().SetWriteDeadline(until) // a writer without deadlines leaves it to the server's timeouts
	}
}

// OnSent implements [engine.Sender].
func (x *Exchange) OnSent(f func(err error)) { x.onSent = f }

// beginSending limits the time for sending the answer. The server's own limit runs since
// the request was read, unless Park has lifted it. It reports whether no further request
// can be read.
func (x *Exchange) beginSending() (last bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sending = true
	set := !x.sendDeadline.IsZero()
	if own := x.writeTimeout(); own > 0 {
		since := x.received
		if x.parked {
			since = time.Now()
		}
		if until := since.Add(own); !set || until.Before(x.sendDeadline) {
			x.sendDeadline, set = until, x.parked
		}
	}
	if set {
		_ = x.deadlines().SetWriteDeadline(x.sendDeadline) // if that fails, Park has said so
	}
	return x.readCancelled
}

// endSending lifts the limit, so that it does not apply to the next answer on the
// connection. A server with a limit of its own sets that anew.
func (x *Exchange) endSending(err error) {
	if x.onSent != nil {
		x.onSent(err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sending = false
	if err == nil && !x.sendDeadline.IsZero() && x.writeTimeout() <= 0 {
		_ = x.deadlines().SetWriteDeadline(time.Time{})
	}
}

// Park implements [engine.Parker]: net/http counts its WriteTimeout from when a
// request was read. Its ReadTimeout is over by then.
func (x *Exchange) Park() error {
	if x.writeTimeout() <= 0 {
		return nil
	}
	x.parked = true
	return x.deadlines().SetWriteDeadline(time.Time{})
}

func (x *Exchange) writeTimeout() time.Duration {
	if s, ok := x.r.Context().Value(http.ServerContextKey).(*http.Server); ok {
		return s.WriteTimeout
	}
	return 0
}

// deadlines returns the controller of the connection's deadlines, or of the stream's.
// Some middleware embeds a writer and hides its methods, so the inner writers are searched,
// too.
func (x *Exchange) deadlines() *http.ResponseController {
	type deadliner interface{ SetWriteDeadline(d time.Time) error }
	for w := x.w; w != nil; w = Unwrap(w) {
		if _, ok := w.(deadliner); ok {
			return http.NewResponseController(w)
		}
	}
	return http.NewResponseController(x.w)
}

// CancelRead implements [engine.Aborter]. The answer closes a connection of HTTP/1: if
// net/http was waiting for the next request, it has ended the contexts of all that come.
func (x *Exchange) CancelRead() {
	x.mu.Lock()
	x.readCancelled = true
	x.mu.Unlock()
	// A writer without deadlines leaves the read to the server's timeouts.
	_ = x.deadlines().SetReadDeadline(time.Unix(1, 0))
}

// HangUp implements [engine.Aborter]. It closes the connection if it can hijack it. It does
// not panic with [http.ErrAbortHandler]: middleware that recovers from panics would make
// an empty answer with status 200 of that.
func (x *Exchange) HangUp() {
	if notHijackable(x.w) != "" { // HTTP/2 has streams, whose failure is told in an answer
		x.w.WriteHeader(http.StatusBadRequest)
		return
	}
	if conn, _, err := hijack(x.w); err == nil {
		_ = conn.Close() // the client has gone
	}
}

// mergeHeader sets the headers of an answer. Middleware may have set some before: ours
// replace them, but Set-Cookie and Vary are added.
func mergeHeader(dst, src http.Header) {
	for k, vs := range src {
		switch k {
		case "Set-Cookie":
			dst[k] = append(dst[k], vs...)
		case "Vary":
			for _, v := range vs {
				if !slices.Contains(dst[k], v) {
					dst[k] = append(dst[k], v)
				}
			}
		default:
			dst[k] = vs
		}
	}
}

// Upgrade implements [engine.Exchange]. The handler returns while the connection goes on,
// so that net/http frees the memory of the request.
func (x *Exchange) Upgrade(header http.Header, open func(engine.Upgraded) func()) error {
	conn, buf, err := hijack(x.w)
	if err != nil {
		return err
	}
	// The server's timeouts were for requests. This fails if the client has gone, which the
	// first read tells, or if the connection has no deadlines. An error must not be returned
	// any more: net/http would log an answer on a connection that was taken over.
	_ = conn.SetDeadline(time.Time{})
	run := open(engine.Upgraded{Conn: conn, Ahead: buffered(buf.Reader), Head: x.switchingProtocols(header)})
	go run() // a fresh goroutine has a small stack; the engine's Shutdown waits for it
	return nil
}

// buffered returns the bytes that the server has read after the request.
func buffered(r *bufio.Reader) []byte {
	n := r.Buffered()
	if n == 0 {
		return nil
	}
	p, _ := r.Peek(n) // cannot fail: it is there
	return append([]byte(nil), p...)
}

// oneLine keeps a header from becoming two.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ") //nolint:gochecknoglobals // immutable

// switchingProtocols is the head of the 101 answer.
func (x *Exchange) switchingProtocols(own http.Header) []byte {
	if header := x.w.Header(); len(header) > 0 { // middleware has set some
		mergeHeader(header, own)
		own = header
	}
	head := append(make([]byte, 0, 256), "HTTP/1.1 101 Switching Protocols\r\n"...)
	for k, vs := range own {
		for _, v := range vs {
			head = append(append(append(append(head, k...), ": "...), oneLine.Replace(v)...), "\r\n"...)
		}
	}
	return append(head, "\r\n"...)
}
