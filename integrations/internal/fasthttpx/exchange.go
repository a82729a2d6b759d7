// Package fasthttpx connects fasthttp, and with it every version of Fiber, to
// the engine. It stands beside core/nethttp, which does the same for net/http.
//
// fasthttp uses its memory again: what it says about a request, strings of
// frameworks above it included, changes under whoever keeps it. So everything
// here is copied, with one exception that ends with the request: its body.
package fasthttpx

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/engine"
)

// A Framework tells what it alone knows about a request.
type Framework struct {
	// IP is the client's, by the framework's trusted-proxy rules.
	IP string

	// Context is that of the framework's middleware. Of it, only the deadline
	// counts while the request is served.
	Context context.Context //nolint:containedctx // it is handed over, not kept

	// WriteTimeout is the server's, 0 if it has none.
	WriteTimeout time.Duration

	// Values returns what handlers shall find of the request, all of it copied.
	// It is called while the framework's handler runs.
	Values func() context.Context
}

// Serve answers the request of a fasthttp handler.
func Serve(srv *sio.Server, ctx *fasthttp.RequestCtx, f Framework) {
	p := newRequestContext(f.Context, ctx.Conn())
	defer p.stop()
	x := &exchange{
		ctx: ctx, req: request(ctx, f.IP), values: f.Values,
		answer: &answer{conn: ctx.Conn(), own: f.WriteTimeout},
	}
	x.req.Body = x.body()
	srv.Serve(p, x)
}

// An exchange implements [engine.Exchange], [engine.Aborter] and [engine.Sender].
type exchange struct {
	ctx    *fasthttp.RequestCtx
	req    *engine.Request
	values func() context.Context
	answer *answer
	stream *stream // of the request's body; nil if fasthttp has read it
}

func request(ctx *fasthttp.RequestCtx, ip string) *engine.Request {
	uri := ctx.URI()
	target := string(ctx.RequestURI())
	path, query, _ := strings.Cut(target, "?") // usually what fasthttp says, which makes copies unnecessary
	return &engine.Request{
		Method:        orCopy(http.MethodGet, ctx.Method()),
		Path:          orCopy(path, uri.Path()),
		URI:           target,
		Host:          string(ctx.Host()),
		ClientIP:      strings.Clone(ip),
		TLS:           ctx.IsTLS(),
		Query:         engine.ParseQuery(orCopy(query, uri.QueryString())),
		Header:        header(&ctx.Request.Header),
		ContentLength: max(int64(ctx.Request.Header.ContentLength()), -1),
	}
}

// orCopy returns b as a string, without a copy if s is the same.
func orCopy(s string, b []byte) string {
	if s == string(b) {
		return s
	}
	return string(b)
}

// names are headers that most requests have.
//
//nolint:gochecknoglobals // immutable
var names = func() map[string]string {
	m := make(map[string]string)
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Connection", "Content-Length", "Content-Type", "Cookie", "Origin",
		"Referer", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	} {
		m[name] = name
	}
	return m
}()

// nameOf returns the name of a header.
func nameOf(k []byte) string {
	if name, ok := names[string(k)]; ok {
		return name
	}
	return textproto.CanonicalMIMEHeaderKey(string(k))
}

// header copies a request's headers. As in net/http, the host is not one of
// them. All values are one string, and their lists are in one piece: a poll has
// some ten headers.
func header(src *fasthttp.RequestHeader) http.Header {
	type field struct {
		name string
		end  int // of its value in text
	}
	var fieldMemory [16]field
	var textMemory [1024]byte
	fields, text := fieldMemory[:0], textMemory[:0]
	src.VisitAll(func(k, v []byte) { // All needs fasthttp 1.60
		name := nameOf(k)
		if name == "Host" {
			return
		}
		text = append(text, v...)
		fields = append(fields, field{name, len(text)})
	})
	all, lists := string(text), make([]string, len(fields))
	h := make(http.Header, len(fields))
	start := 0
	for i, f := range fields {
		lists[i] = all[start:f.end]
		start = f.end
		if vs := h[f.name]; vs != nil {
			h[f.name] = append(vs, lists[i])
		} else {
			h[f.name] = lists[i : i+1 : i+1]
		}
	}
	return h
}

// body is what was read of the request's body, which fasthttp does before it
// calls its handler, or the stream of it if it was told to.
func (x *exchange) body() io.Reader {
	if body := x.ctx.RequestBodyStream(); body != nil {
		x.stream = &stream{Reader: body, ended: x.ctx.Request.Header.ContentLength() == 0}
		return x.stream
	}
	return bytes.NewReader(x.ctx.Request.Body())
}

// A stream is a request's body that knows whether it was read to its end.
type stream struct {
	io.Reader

	ended bool
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		s.ended = true
	}
	return n, err
}

// Request implements [engine.Exchange].
func (x *exchange) Request() *engine.Request { return x.req }

// Values implements [engine.Exchange].
func (x *exchange) Values() context.Context { return x.values() }

// Respond implements [engine.Exchange]. fasthttp sends the answer later, so
// there is no telling whether it arrives.
func (x *exchange) Respond(res engine.Response) error {
	x.ctx.SetStatusCode(res.Status)
	merge(&x.ctx.Response.Header, res.Header)
	if x.stream != nil && !x.stream.ended {
		x.ctx.SetConnectionClose() // or fasthttp would take the rest of the body for the next request
	}
	if len(res.Body) == 0 {
		x.answer.end(nil)
		return nil
	}
	x.answer.Reset(res.Body)
	x.ctx.SetBodyStream(x.answer, len(res.Body))
	return nil
}

// SendWithin implements [engine.Sender].
func (x *exchange) SendWithin(d time.Duration) { x.answer.sendWithin(d) }

// OnSent implements [engine.Sender].
func (x *exchange) OnSent(f func(err error)) { x.answer.sent = f }

// merge sets the headers of an answer where middleware may have set some
// before. What can be there once is ours then. Cookies, and what answers depend
// on, add up.
func merge(dst *fasthttp.ResponseHeader, src http.Header) {
	for k, vs := range src {
		switch k {
		case "Set-Cookie":
		case "Vary":
			vs = without(vs, dst.PeekAll(k))
		default:
			dst.Del(k)
		}
		for _, v := range vs {
			dst.Add(k, v)
		}
	}
}

func without(vs []string, there [][]byte) []string {
	return slices.DeleteFunc(slices.Clone(vs), func(v string) bool {
		return slices.ContainsFunc(there, func(b []byte) bool { return string(b) == v })
	})
}

// CancelRead implements [engine.Aborter]. It matters where bodies are streamed.
func (x *exchange) CancelRead() {
	_ = x.ctx.Conn().SetReadDeadline(time.Unix(1, 0)) // otherwise the server's timeouts end it
}

// HangUp implements [engine.Aborter].
func (x *exchange) HangUp() {
	x.ctx.SetStatusCode(http.StatusBadRequest) // for middleware that logs it
	x.ctx.HijackSetNoResponse(true)
	x.ctx.Hijack(func(c net.Conn) { _ = c.Close() })
}
