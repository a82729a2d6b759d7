package auth

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// A failure is what became of a function that did not return.
type failure struct {
	text  string
	stack []byte // of a panic
}

var errExited = errors.New("the function ended its goroutine")

// apart calls a function of the application on a goroutine of its own, and waits for
// it. Where nothing else is around such a call, on the goroutine of a timer for
// example, a panic would end the program, and the end of the goroutine leave undone
// what comes next. It returns nil if f returned.
func apart(f func()) *failure {
	failed := &failure{text: errExited.Error()}
	done := make(chan struct{})
	go func() { // ends with f
		defer close(done)
		defer func() { _ = recover() }() // of a value that cannot be printed
		defer func() {
			if v := recover(); v != nil {
				failed.text, failed.stack = fmt.Sprintf("panic: (a %T that cannot be printed)", v), debug.Stack()
				failed.text = fmt.Sprintf("panic: %v", v)
			}
		}()
		f()
		failed = nil
	}()
	<-done
	return failed
}
