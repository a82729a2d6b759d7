// Package rescue is the edge between our goroutines and the application's code.
//
// A function of the application may return, panic, or end its goroutine with
// [runtime.Goexit], as [testing.T.FailNow] does. None of the three may end the
// process or skip the code after the call. So all code of the application is called
// through this package:
//
//   - [Call] runs a function on the caller's goroutine. It is for goroutines that
//     are the application's own, and for code within a [Do].
//   - [Apart] runs a function on a goroutine of its own and waits for it. It is for
//     all calls that are not made for each message.
//   - [Each] does that for a list of functions.
//   - [Do] runs a function on the caller's goroutine, and then a completion. The
//     completion is always called, but maybe on another goroutine.
package rescue

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrExited is the error of a function that ended its goroutine.
var ErrExited = errors.New("the function ended its goroutine: runtime.Goexit, or FailNow of a test")

// A PanicError is the error for a panic.
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked

	text string
}

// Error gives the value, as the runtime would.
func (p *PanicError) Error() string { return p.text }

// As is [errors.AsType] for an error whose methods may fail. If they do, As returns the
// zero E.
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
	p, is := err.(*PanicError) //nolint:errorlint // the usual case, which calls no method of the application
	if !is {
		p = As[*PanicError](err)
	}
	if p == nil {
		return nil
	}
	return p.Stack
}

// Panicked reports whether err is a [*PanicError]. Unlike [StackOf], it does not look at
// wrapped errors.
func Panicked(err error) bool {
	_, ok := err.(*PanicError) //nolint:errorlint // see above
	return ok
}

// Broken reports whether err is a [*PanicError] or [ErrExited]: the function did not
// return.
func Broken(err error) bool {
	return Panicked(err) || err == ErrExited //nolint:errorlint // see above
}

// Call calls f and returns its error, or a [*PanicError] if f panics. If f ends the
// goroutine, Call does not return.
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

// Each calls f for every index below n, on a goroutine of its own, as [Apart] does. It
// calls failed for each call that returned an error, panicked or ended the goroutine,
// and goes on with the next one.
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

// Do calls f and then done, with the error that [Call] would return. If f ends the
// goroutine, Do does not return, and done is called on another goroutine with
// [ErrExited].
func Do(f func() error, done func(err error)) {
	exited := true
	defer func() {
		if exited {
			go done(ErrExited) // ends with the completion
		}
	}()
	err := Call(f)
	exited = false
	done(err)
}

// text returns the text of a panic's value. It survives methods of the value that
// panic.
func text(v any) string {
	if s, ok := v.(string); ok {
		return "panic: " + s
	}
	return "panic: " + Text(v)
}

// Text returns a value as text, as [fmt.Sprint] does. If methods of the value fail, it
// returns the type.
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
