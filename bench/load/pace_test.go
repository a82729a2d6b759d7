package main

import (
	"context"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the load generator runs on Linux only")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const step = 5 * time.Millisecond
	start := time.Now()
	next, end, err := newPace(ctx, step)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := next(); err != nil || time.Since(start) < step {
		t.Errorf("the first step came after %v, %v, want %v", time.Since(start), err, step)
	}
	cancel()
	for err == nil { // one step may be due
		err = next()
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("err = %v, want the end of the context to end it", err)
	}
}
