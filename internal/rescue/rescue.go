// Package rescue is the edge between our goroutines and the application's code.
//
// A function of the application may return, panic, or end its goroutine with
// [runtime.Goexit], as [testing.T.FailNow] does. None of the three may end the
// process, or keep what comes after the call from being done. So whatever belongs
// to the application is called through this package:
//
//   - [Call] runs a function on the caller's goroutine. It is for goroutines that
//     are the application's own, and for code within a [Do].
//   - [Apart] runs a function on a goroutine of its own and waits for it. It is for
//     everything that is not on the way of each message.
//   - [Each] does that for a list of functions.
//   - [Do] runs a function on the caller's goroutine, and then a completion that
//     may rely on nothing but being called.
package rescue

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrExited is the error of a function that ended its goroutine.
var ErrExited = errors.New("the function ended its goroutine: runtime.Goexit, or FailNow of a test")

// A PanicError is the error that a panic became.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked

	text string
}

// Error gives the value, as the runtime would.
func (p *PanicError) Error() string { return p.text }

// As is [errors.AsType] for an error whose methods may fail: then it is no E.
func As[E error](err error) E {
	var e E
	_ = Apart(func() error {
		if as, ok := errors.AsType[E](err); ok {
			e = as
		}
		return nil
	})
	return e
}

// StackOf returns the stack of the function that panicked, if err is or wraps a
// [*PanicError], nil otherwise.
func StackOf(err error) []byte {
	p, is := err.(*PanicError) //nolint:errorlint // most are, and have no methods of the application's
	if !is {
		p = As[*PanicError](err)
	}
	if p == nil {
		return nil
	}
	return p.Stack
}

// Panicked reports whether err is a [*PanicError]; other than [StackOf], it does not
// look into what is wrapped.
func Panicked(err error) bool {
	_, ok := err.(*PanicError) //nolint:errorlint // see above
	return ok
}

// Broken reports whether err is a [*PanicError] or [ErrExited], and so says that a
// function did not return.
func Broken(err error) bool {
	return Panicked(err) || err == ErrExited //nolint:errorlint // see above
}

// Call calls f and returns its error, or the [*PanicError] that it ended with. If f
// ends the goroutine, Call does not return.
func Call(f func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		err = ErrExited // also for panic(nil), where that is allowed
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack(), text(v)}
		}
	}()
	err = f()
	returned = true
	return err
}

// Apart is like [Call] on a goroutine of its own, for which it waits. If f ends that
// goroutine, the error is [ErrExited].
func Apart(f func() error) error {
	err := ErrExited
	done := make(chan struct{})
	go func() { // ends with f
		defer close(done)
		err = Call(f)
	}()
	<-done
	return err
}

// Each calls f, apart from the caller's goroutine, for every index below n, whatever
// becomes of the calls before. It calls failed for those that went wrong.
func Each(n int, f func(i int) error, failed func(i int, err error)) {
	for next := 0; next < n; {
		err := Apart(func() error {
			for next < n {
				next++
				if err := f(next - 1); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			failed(next-1, err)
		}
	}
}

// Do calls f and then done, with what [Call] would return. If f ends the goroutine,
// done is called all the same, with [ErrExited] and on another goroutine; then Do
// does not return.
func Do(f func() error, done func(err error)) {
	exited := true
	defer func() {
		if exited {
			go done(ErrExited) // ends with what there is to complete
		}
	}()
	err := Call(f)
	exited = false
	done(err)
}

// text returns a panic's value in words. A method of the value that gives them may
// panic, too.
func text(v any) string {
	if s, ok := v.(string); ok {
		return "panic: " + s
	}
	return "panic: " + Text(v)
}

// Text returns a value in words, as [fmt.Sprint] does, or its type if its methods
// fail.
func Text(v any) (s string) {
	s = fmt.Sprintf("(a %T that cannot be printed)", v)
	done := make(chan struct{})
	go func() { // ends with the methods of v
		defer close(done)
		defer func() { _ = recover() }()
		s = fmt.Sprint(v)
	}()
	<-done
	return s
}
