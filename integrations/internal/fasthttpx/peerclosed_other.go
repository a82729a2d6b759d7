//go:build !unix

package fasthttpx

import "syscall"

// peerClosed cannot tell here: a client that goes while it polls is missed by the
// next heartbeat.
func peerClosed(syscall.RawConn) bool { return false }
