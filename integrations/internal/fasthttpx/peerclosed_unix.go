//go:build unix && !linux

package fasthttpx

import (
	"errors"
	"net"
	"syscall"
)

// peerClosed waits until the peer has closed its side of the connection, and
// reports that it has, or until the connection's read deadline. It takes
// nothing from the connection. What a client sent before it went, its next
// request or its farewell over TLS, hides the end: it is then missed by the next
// heartbeat.
func peerClosed(c syscall.RawConn) (yes bool) {
	err := c.Read(func(fd uintptr) (done bool) {
		var next [1]byte
		n, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case n > 0, errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
			return false
		}
		yes = true // the end, or an error that is one
		return true
	})
	return yes || errors.Is(err, net.ErrClosed)
}
