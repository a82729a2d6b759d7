package fasthttpx

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerClosed waits until the peer has closed its side of the connection, and
// reports that it has, or until the connection's read deadline. It takes
// nothing from the connection, and what the client sent before it went, which
// over TLS is its farewell, does not hide the end.
func peerClosed(c syscall.RawConn) (yes bool) {
	err := c.Read(func(fd uintptr) (done bool) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}} //nolint:gosec // descriptors are small
		for {
			if _, err := unix.Poll(p, 0); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		yes = p[0].Revents != 0 // that, or an error, which is an end, too
		return yes
	})
	return yes || errors.Is(err, net.ErrClosed)
}
