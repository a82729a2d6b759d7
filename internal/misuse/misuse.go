// Package misuse is for mistakes in the code of the application that are found when it
// registers something.
package misuse

import "fmt"

// Panic ends a program at startup, for an argument that can only be a mistake. The
// message begins with the name of the package and says what to change.
func Panic(msg string) {
	panic(msg) //nolint:forbidigo // a wrong registration must not go unnoticed
}

// One returns the only one of the values that a function has as its last arguments, and the
// zero value if there is none.
func One[T any](pkg, function string, values []T) (v T) {
	switch len(values) {
	case 0:
	case 1:
		v = values[0]
	default:
		Panic(fmt.Sprintf("%s: %s: %d values of options: pass at most one", pkg, function, len(values)))
	}
	return v
}
