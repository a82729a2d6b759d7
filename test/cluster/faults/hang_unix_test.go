//go:build unix

package faults_test

import (
	"sync"
	"syscall"
)

func (b *natsBroker) hang() (goOn func()) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		b.t.Fatal(err)
	}
	process := b.cmd.Process
	return sync.OnceFunc(func() { _ = process.Signal(syscall.SIGCONT) })
}
