package eio

import (
	"io"
	"net"
	"time"
)

// A bodyConn is a connection that only the body of its answer gives access to: that of a
// RoundTripper that does not tell the connections of package net/http.
type bodyConn struct{ io.ReadWriteCloser }

// LocalAddr implements [net.Conn].
func (*bodyConn) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements [net.Conn].
func (*bodyConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline closes the connection at that time.
func (c *bodyConn) SetDeadline(t time.Time) error {
	if t.IsZero() { // there is none any more
		return nil
	}
	time.AfterFunc(time.Until(t), func() { _ = c.Close() })
	return nil
}

// SetReadDeadline implements [net.Conn].
func (c *bodyConn) SetReadDeadline(t time.Time) error { return c.SetDeadline(t) }

// SetWriteDeadline implements [net.Conn].
func (c *bodyConn) SetWriteDeadline(t time.Time) error { return c.SetDeadline(t) }
