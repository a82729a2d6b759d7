package fasthttpx

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"

	"github.com/sioplug/sioplug/core/engine"
)

// upgrader takes connections over. Its connections are only used for the one below
// them, so their buffers are as small as it allows. The engine has checked the origin, and
// answers itself if the upgrader fails.
//
//nolint:gochecknoglobals // immutable
var upgrader = websocket.FastHTTPUpgrader{
	ReadBufferSize:  1,
	WriteBufferSize: 1,
	CheckOrigin:     func(*fasthttp.RequestCtx) bool { return true },
	Error:           func(*fasthttp.RequestCtx, int, error) {},
}

// Upgrade implements [engine.Exchange]. fasthttp releases the connection when all
// handlers have returned. The answer leaves then, with all the headers that they have set.
func (x *exchange) Upgrade(header http.Header, open func(engine.Upgraded) func()) error {
	values := x.values() // later there is nothing of the framework left to copy
	x.values = func() context.Context { return values }
	if err := x.hijack(func(c *hijacked) { x.upgraded(c, header, open) }); err != nil {
		return err
	}
	x.ctx.HijackSetNoResponse(true)                        // it leaves together with the open packet
	x.ctx.Response.Header.Set("Cache-Control", "no-store") // for middleware that would keep it
	return nil
}

// hijack has the upgrader take the connection over. For that time the request has the
// headers of a handshake in the form that the upgrader knows. It does not accept all that
// the engine has accepted: it looks at the first Connection header only, does not know that
// version 8, the last draft, is the same on the wire, and misses names in lower case if
// fasthttp does not normalize them.
func (x *exchange) hijack(f func(c *hijacked)) error {
	h, _ := handshakes.Get().(*fasthttp.RequestHeader)
	defer handshakes.Put(h)
	h.Set("Sec-Websocket-Key", x.req.Header.Get("Sec-Websocket-Key"))
	swap(&x.ctx.Request.Header, h)
	defer swap(&x.ctx.Request.Header, h)
	return upgrader.Upgrade(x.ctx, func(c *websocket.Conn) { f(&hijacked{c.NetConn()}) })
}

// handshakes has headers for the upgrader that lack the key.
var handshakes = sync.Pool{New: func() any { //nolint:gochecknoglobals // buffers
	h := new(fasthttp.RequestHeader)
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-Websocket-Version", "13")
	return h
}}

// upgraded has the engine run on a connection that fasthttp has let go.
func (x *exchange) upgraded(c *hijacked, header http.Header, open func(engine.Upgraded) func()) {
	up, mine, err := c.take()
	if err != nil {
		return // the client is gone, or all descriptors are: nothing was opened yet
	}
	up.Head = switchingProtocols(&x.ctx.Response, header)
	if mine {
		go open(up)() // the engine's Shutdown waits for it
		return
	}
	done := make(chan struct{})
	up.Done = func() { close(done) }
	open(up)()
	<-done
}

// switchingProtocols is the head of the 101 answer.
func switchingProtocols(res *fasthttp.Response, header http.Header) []byte {
	h := &res.Header
	h.SetStatusCode(http.StatusSwitchingProtocols)
	h.ResetConnectionClose()
	for _, k := range []string{
		"Content-Type", "Content-Encoding", "Content-Length",
		"Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", // the upgrader's: without normalizing, these are other names
	} {
		h.Del(k)
	}
	merge(h, header)
	return h.AppendBytes(nil)
}

// hijacked is a connection in the hands of fasthttp's hijack handler. While the
// handler runs, fasthttp keeps the buffers of the connection and the context of
// its last request, some 10 KiB; when it returns, fasthttp closes the
// connection.
type hijacked struct{ net.Conn }

// take returns the connection, and whether it is ours alone. If it is, the
// handler can return: what fasthttp closes then is a second descriptor of the
// same socket. If not, as with TLS, the handler has to stay.
func (c *hijacked) take() (up engine.Upgraded, mine bool, err error) {
	ahead, err := c.buffered()
	if err != nil {
		return engine.Upgraded{}, false, err
	}
	conn := c.unwrap()
	duplicating <- struct{}{}
	defer func() { <-duplicating }()
	if own, err := duplicate(conn); err == nil {
		_ = conn.Close() // which a server with KeepHijackedConns leaves to us
		return engine.Upgraded{Conn: own, Ahead: ahead}, true, nil
	}
	return engine.Upgraded{Conn: conn, Ahead: ahead}, false, nil
}

// unwrap returns the connection below fasthttp's, whose Close does nothing.
func (c *hijacked) unwrap() net.Conn {
	if u, ok := c.Conn.(interface{ UnsafeConn() net.Conn }); ok {
		return u.UnsafeConn()
	}
	return c.Conn
}

// buffered returns what fasthttp read beyond the request: everything that can
// be read without asking the network.
func (c *hijacked) buffered() ([]byte, error) {
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, err
	}
	ahead, err := io.ReadAll(c.Conn)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, errors.Join(io.ErrUnexpectedEOF, err)
	}
	if len(ahead) == 0 {
		ahead = nil // nor its capacity
	}
	return ahead, c.SetReadDeadline(time.Time{})
}

// duplicating is for the process what its descriptors are: each upgrade needs two more
// for a moment, and all at the same time stay below spareDescriptors.
var duplicating = make(chan struct{}, spareDescriptors/2-1) //nolint:gochecknoglobals // see above

// duplicate returns the same connection by another descriptor. It fails for
// what is no plain socket, and where systems do not know how.
func duplicate(c net.Conn) (net.Conn, error) {
	socket, ok := c.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, errors.ErrUnsupported
	}
	f, err := socket.File()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileConn(f)
}
