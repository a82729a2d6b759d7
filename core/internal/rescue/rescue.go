// Package rescue turns panics into errors.
package rescue

import (
	"fmt"
	"runtime/debug"
)

// A PanicError is the error that a panic became.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

// Error gives the value, as the runtime would.
func (p *PanicError) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Call calls f, which runs code that is not ours, and returns its error or the
// *[PanicError] that it ended with: not every HTTP server survives one.
func Call(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return f()
}
