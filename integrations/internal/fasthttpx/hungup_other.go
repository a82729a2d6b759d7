//go:build !unix

package fasthttpx

import "syscall"

// hungUp cannot tell here: a client that goes while it polls is missed by the
// next heartbeat.
func hungUp(syscall.RawConn) bool { return false }
