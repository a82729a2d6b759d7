package eio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/websocket"
)

// httpBuffer is the size of the buffer of a connection in net/http, unless its Transport
// says otherwise.
const httpBuffer = 4 << 10

// echoTimeout is how long a close frame may take to leave. The application waits for it.
const echoTimeout = time.Second

// A wsTransport is a WebSocket that carries a session, or probes to take it over. It
// implements [websocket.Handler].
type wsTransport struct {
	e    *Engine
	conn *websocket.Conn

	// Guarded by the Engine's mu:
	active bool
}

func wsError(err error) error { return fmt.Errorf("websocket error: %w", err) }

var errNoBody = errors.New("the HTTP client does not let the connection be taken over")

// dial opens a WebSocket. It writes first, if that is not nil, and waits for the server to
// send something. Custom connections, proxies and TLS are the business of the HTTP client.
func (e *Engine) dial(ctx context.Context, sid string, first *frame.Frame) (*wsTransport, error) {
	hs := websocket.NewClientHandshake(e.cfg.Protocols, e.cfg.Deflate)
	var nc net.Conn
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { nc = i.Conn }}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, e.endpoint(WebSocket, sid), http.NoBody)
	if err != nil {
		return nil, wsError(err)
	}
	e.setHeader(r)
	hs.SetHeader(r.Header)
	client := *e.cfg.Client
	client.Timeout = 0 // it would also limit how long the WebSocket may live
	res, err := client.Do(r)
	if err != nil {
		return nil, wsError(err)
	}
	conn, err := e.takeOver(ctx, res, hs, nc, first)
	if err != nil {
		_ = res.Body.Close()
		return nil, wsError(err)
	}
	return &wsTransport{e: e, conn: conn}, nil
}

// takeOver makes a WebSocket of the connection of an answer.
func (e *Engine) takeOver(ctx context.Context, res *http.Response, hs websocket.ClientHandshake, nc net.Conn, first *frame.Frame) (*websocket.Conn, error) {
	if res.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		return nil, &StatusError{res.StatusCode, string(text)}
	}
	agreement, err := hs.Check(res.StatusCode, res.Header)
	if err != nil {
		return nil, err
	}
	body, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		return nil, errNoBody
	}
	owned := &bodyConn{body}
	if nc == nil {
		nc = owned
	}
	stop := context.AfterFunc(ctx, func() { // wakes the read below
		_ = rescue.Call(nc.Close) // it may be the application's
	})
	ahead, err := e.exchange(body, first)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if size, known := e.httpBuffer(); !known && len(ahead) > size {
		nc = owned // there may be more in a buffer whose size nobody tells
	}
	conn := websocket.NewClient(nc, e.cfg.MaxMessage, ahead)
	conn.Compress(agreement)
	return conn, nil
}

// exchange writes a frame, unless it is nil, and reads what the server sends first.
// Nothing remains in the buffer of net/http then: one read that has more room than the
// buffer empties it, or goes past it.
func (e *Engine) exchange(body io.ReadWriter, first *frame.Frame) ([]byte, error) {
	if first != nil {
		if _, err := body.Write(websocket.AppendMasked(nil, []*frame.Frame{first})); err != nil {
			return nil, err
		}
	}
	size, _ := e.httpBuffer()
	buf := make([]byte, size+1)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			return append([]byte(nil), buf[:n]...), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// httpBuffer returns the size of the buffer that the HTTP client reads connections with. It
// is not known for a RoundTripper of the application.
func (e *Engine) httpBuffer() (size int, known bool) {
	rt := e.cfg.Client.Transport
	if rt == nil {
		rt = http.DefaultTransport
	}
	if t, ok := rt.(*http.Transport); ok {
		return max(httpBuffer, t.ReadBufferSize), true
	}
	return httpBuffer, false
}

// openWebSocket opens a session on a WebSocket, and starts the goroutine that reads it.
func (e *Engine) openWebSocket(ctx context.Context) error {
	t, err := e.dial(ctx, "", nil)
	if err != nil {
		return err
	}
	result := make(chan error, 1)
	o := &opening{t: t, result: result}
	go rescue.Do(func() error { return t.conn.Serve(o) }, func(err error) { //nolint:contextcheck // it ends with the session, and ctx with its opening
		if o.accepted {
			t.readEnded(err)
			return
		}
		t.close()
		o.report(err)
	})
	select {
	case err = <-result:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		t.close()
		return wsError(err)
	}
	return nil
}

// An opening handles the first message of a WebSocket, and hands the rest to its transport.
type opening struct {
	t        *wsTransport
	result   chan error // has room for one result
	accepted bool       // the session is open
	failed   bool
}

// report tells the result. Later results are of no interest.
func (o *opening) report(err error) {
	select {
	case o.result <- err:
	default:
	}
}

// Message implements [websocket.Handler].
func (o *opening) Message(binary bool, p []byte) {
	switch {
	case o.accepted:
		o.t.Message(binary, p)
		return
	case o.failed:
		return
	}
	pkt, err := payload.Decode(p)
	switch {
	case binary:
		err = errNoOpen
	case err == nil:
		err = o.t.e.opened(WebSocket, pkt, o.t)
	}
	o.accepted, o.failed = err == nil, err != nil
	o.report(err)
}

// Control implements [websocket.Handler].
func (o *opening) Control(f *frame.Frame) { o.t.Control(f) }

// ReadDone implements [websocket.Handler].
func (o *opening) ReadDone() bool { return o.t.ReadDone() }

func (t *wsTransport) isActive() bool {
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	return t.active
}

// Message implements [websocket.Handler].
func (t *wsTransport) Message(binary bool, p []byte) {
	if !t.isActive() {
		t.e.probeAnswered(t, binary, p)
		return
	}
	pkt := payload.Packet{Type: payload.Message, Binary: true, Data: p}
	if !binary {
		var err error
		if pkt, err = payload.Decode(p); err != nil {
			t.e.end(TransportError, wsError(err))
			return
		}
	}
	t.e.receive(pkt)
}

// Control implements [websocket.Handler].
func (t *wsTransport) Control(f *frame.Frame) {
	e := t.e
	e.mu.Lock()
	defer e.mu.Unlock()
	// Nothing may follow our own close frame. A server that floods us with pings and does
	// not read gets no more pongs.
	if t.active && e.state == stateOpen && !e.send.blocked {
		e.send.push(f)
		e.flushLocked()
	}
}

// ReadDone implements [websocket.Handler].
func (t *wsTransport) ReadDone() bool {
	t.e.h.ReadDone()
	return true
}

// readEnded is the completion of the goroutine that reads.
func (t *wsTransport) readEnded(err error) {
	e := t.e
	e.mu.Lock()
	active, closing := t.active, e.state == stateClosing
	e.mu.Unlock()
	broken, isBroken := err.(*websocket.ProtocolError) //nolint:errorlint // as Serve returns it
	switch {
	case !active:
		t.close()
		e.probeFailed(t, err)
	case closing:
		e.finish()
	case isBroken:
		t.refuse(broken)
		e.end(TransportError, wsError(err))
	default:
		e.answerClose(t, err)
		e.end(TransportClose, wsError(err))
	}
}

// answerClose waits until the echo of the server's close frame has been written.
func (e *Engine) answerClose(t *wsTransport, err error) {
	if _, closed := err.(*websocket.CloseError); !closed { //nolint:errorlint // as Serve returns it
		return
	}
	ctx, cancel := context.WithTimeout(e.ctx, echoTimeout)
	defer cancel()
	_ = e.Flush(ctx)
	t.conn.CloseWithin(echoTimeout)
}

// refuse tells the server which rule it broke.
func (t *wsTransport) refuse(broken *websocket.ProtocolError) {
	e := t.e
	e.mu.Lock()
	if e.state == stateOpen {
		e.send.push(frame.Close(broken.Code, ""))
		e.flushLocked()
	}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(e.ctx, echoTimeout)
	defer cancel()
	_ = e.Flush(ctx)
}

func (t *wsTransport) close() { _ = t.conn.Close() }

// writeWebSocket writes what is queued.
func (e *Engine) writeWebSocket() error {
	for {
		batch, size := e.nextBatch(func(fs []*frame.Frame) int { return len(fs) })
		if batch == nil {
			return nil
		}
		conn := e.ws.conn // it does not change any more
		blocked, err := conn.Write(batch)
		for _, f := range batch {
			f.Release()
		}
		if blocked && err == nil {
			e.setBlocked()
			err = conn.Drain()
		}
		if err != nil {
			return wsError(err)
		}
		e.wrote(batch, size)
	}
}

func (e *Engine) setBlocked() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.send.blocked = true
}
