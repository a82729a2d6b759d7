package stack_test

import (
	"testing"

	"github.com/sioplug/sioplug/internal/stack"
)

// BenchmarkGrow has functions that call each other on a new goroutine, until its stack has to
// grow: in the first of them, or where it is full.
func BenchmarkGrow(b *testing.B) {
	for name, first := range map[string]func(){"where it is full": func() {}, "before": stack.Grow} {
		b.Run(name, func(b *testing.B) {
			done := make(chan int)
			for b.Loop() {
				go func() {
					first()
					done <- descend(40)
				}()
				<-done
			}
		})
	}
}

// descend takes some 100 bytes of the stack for each of n calls.
//
//go:noinline
func descend(n int) int {
	var local [8]int
	local[n%len(local)] = n
	if n == 0 {
		return 0
	}
	return descend(n-1) + local[n%len(local)]
}
