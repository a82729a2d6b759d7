package fasthttpx

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// A presence is the context of one request: it ends when the client hangs up.
// fasthttp does not look at the connection while a handler runs, so somebody
// has to, or else a client that goes while it polls stays for the length of a
// heartbeat. It begins to look when somebody waits for that, which is what
// parked polls do and nobody else.
type presence struct {
	context.Context //nolint:containedctx // it is one. It is there for its deadline; its values and its end are not for others

	conn net.Conn

	once    sync.Once // begins to look
	gone    chan struct{}
	looking chan struct{} // closed when nobody looks any more; nil if nobody did
}

func newPresence(parent context.Context, conn net.Conn) *presence {
	return &presence{Context: parent, conn: conn, gone: make(chan struct{})}
}

// Done implements [context.Context].
func (p *presence) Done() <-chan struct{} {
	p.once.Do(p.look)
	return p.gone
}

// Err implements [context.Context].
func (p *presence) Err() error {
	select {
	case <-p.gone:
		return context.Canceled
	default:
		return nil
	}
}

// Value implements [context.Context].
func (p *presence) Value(any) any { return nil }

// look begins to wait for the end of the connection. The request has been read,
// so the deadline for that is of no use any more; before the next one, fasthttp
// sets it again.
func (p *presence) look() {
	raw, ok := rawConn(p.conn)
	if !ok || p.conn.SetReadDeadline(time.Time{}) != nil {
		return
	}
	p.looking = make(chan struct{})
	go func() { // ends with stop, at the latest
		defer close(p.looking)
		if hungUp(raw) {
			close(p.gone)
		}
	}()
}

// stop ends the looking. Nobody may call Done any more.
func (p *presence) stop() {
	if p.looking == nil {
		return
	}
	// These fail when the connection is closed, which ends the looking as well.
	_ = p.conn.SetReadDeadline(time.Unix(1, 0))
	<-p.looking
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
