// Package misuse is for mistakes in the code of the application that are found when it
// registers something.
package misuse

// Panic ends a program at startup, for an argument that can only be a mistake. The
// message begins with the name of the package and says what to change.
func Panic(msg string) {
	panic(msg) //nolint:forbidigo // a wrong registration must not go unnoticed
}
