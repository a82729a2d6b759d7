//go:build !unix

package websocket

import (
	"errors"
	"net"
	"syscall"
)

// rawConn returns nil: sockets of this system are not read and written by
// plain system calls, so every connection goes the way of TLS.
func rawConn(net.Conn) syscall.RawConn { return nil }

// An Input is not used.
type Input struct{}

// AwaitInput does nothing.
func (c *Conn) AwaitInput() *Input { return nil }

func (c *Conn) serveRaw(_ *Input, h Handler) error { return c.serveBuffered(h) }

func (c *Conn) writeRaw(b pendingWrite, _ bool) (pendingWrite, error) {
	return b, errors.ErrUnsupported
}
