//go:build !linux

package main

import (
	"context"
	"errors"
	"time"
)

// newPace is for Linux, like all measuring.
func newPace(context.Context, time.Duration) (next func() error, end func(), err error) {
	return nil, nil, errors.New("the load generator runs on Linux only")
}
