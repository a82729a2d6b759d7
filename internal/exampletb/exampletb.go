// Package exampletb lets examples, which have no test, use package siotest:
//
//	tb := exampletb.New()
//	defer tb.End(srv)
//	client := siotest.Pipes(tb, srv).WebSocket(tb)
package exampletb

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
)

// A Server is shut down when an example ends. A *sio.Server is one.
type Server interface {
	Shutdown(ctx context.Context) error
}

// A TB is what siotest needs of a test. What fails becomes a part of the output,
// or a panic, so that the example fails.
type TB struct {
	testing.TB // nil: nothing else is called

	cleanups []func()
}

// New returns a TB, to be ended.
func New() *TB { return new(TB) }

// End does what the end of a test would, and shuts the server down.
func (t *TB) End(srv Server) {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// Helper implements [testing.TB].
func (*TB) Helper() {}

// Cleanup implements [testing.TB].
func (t *TB) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

// Errorf implements [testing.TB].
func (*TB) Errorf(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

// Fatalf implements [testing.TB].
func (*TB) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...)) //nolint:forbidigo // there is no test to end
}
