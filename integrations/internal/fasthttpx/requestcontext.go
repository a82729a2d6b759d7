package fasthttpx

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// A requestContext is the context of one request. It ends when the client closes the
// connection. fasthttp does not watch the connection while a handler runs. Without this, a
// client that disconnects while it polls stays until the next heartbeat. The first call of
// Done begins to watch: only polls that wait call it.
type requestContext struct {
	context.Context //nolint:containedctx // it is one. It is there for its deadline; its values and its end are not for others

	conn net.Conn

	once     sync.Once // begins to watch
	closed   chan struct{}
	watching chan struct{} // closed when nothing watches any more; nil if nothing did
}

func newRequestContext(parent context.Context, conn net.Conn) *requestContext {
	return &requestContext{Context: parent, conn: conn, closed: make(chan struct{})}
}

// Done implements [context.Context].
func (p *requestContext) Done() <-chan struct{} {
	p.once.Do(p.watch)
	return p.closed
}

// Err implements [context.Context].
func (p *requestContext) Err() error {
	select {
	case <-p.closed:
		return context.Canceled
	default:
		return nil
	}
}

// Value implements [context.Context].
func (p *requestContext) Value(any) any { return nil }

// watch begins to wait for the end of the connection. The request has been read,
// so the deadline for that is of no use any more; before the next one, fasthttp
// sets it again.
func (p *requestContext) watch() {
	raw, ok := rawConn(p.conn)
	if !ok || p.conn.SetReadDeadline(time.Time{}) != nil {
		return
	}
	p.watching = make(chan struct{})
	go func() { // ends with stop, at the latest
		defer close(p.watching)
		if peerClosed(raw) {
			close(p.closed)
		}
	}()
}

// stop ends the watching. Nobody may call Done any more.
func (p *requestContext) stop() {
	if p.watching == nil {
		return
	}
	// These fail when the connection is closed, which ends the looking as well.
	_ = p.conn.SetReadDeadline(time.Unix(1, 0))
	<-p.watching
	_ = p.conn.SetReadDeadline(time.Time{})
}

// rawConn returns the socket of a connection, if it has one.
func rawConn(c net.Conn) (syscall.RawConn, bool) {
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = secure.NetConn()
	}
	socket, ok := c.(syscall.Conn)
	if !ok {
		return nil, false
	}
	raw, err := socket.SyscallConn()
	return raw, err == nil
}
