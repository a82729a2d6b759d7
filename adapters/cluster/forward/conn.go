package forward

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"
)

// This file has the client's side of HTTP between servers. That of net/http does not fit: it
// sends a request again if the connection ends before the answer, by which packets of a poll
// would be lost. And it waits for the body of a request although the answer is there.

// A conn is a connection with another server.
type conn struct {
	net.Conn

	in   *bufio.Reader
	idle time.Time // since then
}

// dial makes a connection with the server.
func (r *Router) dial(ctx context.Context, address string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &dialError{err}
	}
	if r.opts.TLS != nil {
		config := r.opts.TLS.Clone()
		config.NextProtos = []string{"http/1.1"}
		if config.ServerName == "" {
			config.ServerName, _, _ = net.SplitHostPort(address)
		}
		secure := tls.Client(nc, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, handshakeError(err)
		}
		nc = secure
	}
	return &conn{Conn: nc, in: bufio.NewReader(nc)}, nil
}

// handshakeError returns the error for one of TLS.
func handshakeError(err error) error {
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	_, unknown := errors.AsType[*tls.CertificateVerificationError](err)
	if plain || unknown {
		return fmt.Errorf("%w: %w", errSecret, err)
	}
	return fmt.Errorf("forward: %w", err)
}

// A dialError says that no connection could be made.
type dialError struct{ err error }

// Error implements error.
func (e *dialError) Error() string { return "forward: " + e.err.Error() }

// Unwrap returns the reason.
func (e *dialError) Unwrap() error { return e.err }

// take returns a connection with the server that nobody uses.
func (p *peer) take(ctx context.Context, r *Router) (*conn, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	return r.dial(ctx, p.location.Address)
}

// give takes a connection back.
func (p *peer) give(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil || len(p.idle) >= maxIdle {
		_ = c.Close()
		return
	}
	c.idle = time.Now()
	p.idle = append(p.idle, c)
}

// trim closes the connections that nobody has used since a time.
func (p *peer) trim(since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle) && p.idle[n].idle.Before(since) {
		_ = p.idle[n].Close()
		n++
	}
	clear(p.idle[:n])
	p.idle = p.idle[n:]
	if len(p.idle) == 0 {
		p.idle = nil
	}
}

// converse sends a request and calls read with the answer. It does not send twice.
func (t route) converse(ctx context.Context, h *head, header http.Header, in *body, read func(*http.Response) error) error {
	c, err := t.peer.take(ctx, t.router)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	sent := make(chan error, 1)
	if in == nil {
		sent <- t.write(c, h, header, nil)
	} else {
		go func() { sent <- t.write(c, h, header, in) }() // ends with the body or the connection
	}
	res, err := http.ReadResponse(c.in, &http.Request{Method: http.MethodPost})
	if err == nil {
		err = errors.Join(read(res), res.Body.Close())
	}
	interrupted := !stop()
	reusable := err == nil && !res.Close && !interrupted
	_ = in.stop() // the caller asks again; it may end ctx
	if !reusable || in.incomplete() {
		_ = c.Close()
	}
	writeErr := <-sent
	if reusable && writeErr == nil && !in.incomplete() {
		t.peer.give(c)
	} else {
		_ = c.Close()
	}
	if interrupted && err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

// gone reports whether nobody listens at the address of the server any more. It is asked when
// a connection has failed.
func (t route) gone(ctx context.Context) bool {
	c, err := t.router.dial(ctx, t.peer.location.Address)
	if err == nil {
		t.peer.give(c)
	}
	_, is := errors.AsType[*dialError](err)
	return is && ctx.Err() == nil
}

// buffers are for the heads of requests.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }} //nolint:gochecknoglobals // buffers

// write sends a request. The head goes first: the other server may not want the body.
func (t route) write(c *conn, h *head, header http.Header, in *body) error {
	b, _ := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(b)
	b.Reset()
	t.appendHead(b, http.MethodPost, h, header)
	switch {
	case in == nil:
		appendField(b, "Content-Length", "0")
	case in.length < 0:
		appendField(b, "Transfer-Encoding", "chunked")
	default:
		appendField(b, "Content-Length", strconv.FormatInt(in.length, 10))
	}
	b.WriteString("\r\n")
	if _, err := c.Write(b.Bytes()); err != nil || in == nil {
		return err
	}
	if in.length >= 0 {
		_, err := io.CopyN(c, in, in.length)
		return err
	}
	chunked := httputil.NewChunkedWriter(c)
	if _, err := io.Copy(chunked, in); err != nil {
		return err
	}
	if err := chunked.Close(); err != nil {
		return err
	}
	_, err := io.WriteString(c, "\r\n")
	return err
}

// appendHead appends the first line and the headers, without the length of the body.
func (t route) appendHead(b *bytes.Buffer, method string, h *head, header http.Header) {
	h.to, h.from, h.limit = t.peer.location.Server, t.router.members.ServerID(), t.router.engine.MaxHTTPBufferSize
	b.WriteString(method + " / HTTP/1.1\r\n")
	appendField(b, "Host", t.peer.location.Address)
	appendField(b, headName, h.sign(t.router.secret))
	delete(header, headName)
	_ = header.Write(b) // a buffer takes everything
}

func appendField(b *bytes.Buffer, name, value string) {
	for _, s := range []string{name, ": ", value, "\r\n"} {
		b.WriteString(s)
	}
}
