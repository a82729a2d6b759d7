//go:build !linux

package parking

import "syscall"

// A Lot parks no connections: only Linux has epoll.
type Lot struct{}

// A Place is nil.
type Place struct{}

// NewPlace returns nil.
func (*Lot) NewPlace() *Place { return nil }

// Park reports false.
func (*Place) Park(syscall.RawConn, Waiter) bool { return false }

// Unpark returns nil.
func (*Place) Unpark() Waiter { return nil }
