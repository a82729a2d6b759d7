// Package stack makes room on the stacks of goroutines before it is needed.
package stack

// room is what handling a message, or opening a connection, takes of the stack, roughly.
// With it, a new stack of 2 KiB gets 8 KiB in one step.
const room = 3 << 10

// Grow makes the stack of the goroutine large enough to handle a message. Call it in a
// function that few others have called.
//
// The stack would grow anyway, but step by step and deep inside. Then the runtime copies the
// stack and corrects the pointers in it, which it has to look up for every function that is
// being called: for a small message that takes as long as all the rest. See BenchmarkGrow.
//
//go:noinline
func Grow() {
	var space [room]byte
	use(&space)
}

// use keeps the compiler from leaving space out.
//
//go:noinline
func use(*[room]byte) {}
