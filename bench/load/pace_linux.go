package main

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// newPace returns a function that waits for the next step, and one that ends it. A
// [time.Ticker] would be up to a millisecond late: the poller of Go's runtime rounds up what
// it waits for. A timer of the kernel is not, and wakes the poller as a connection does.
func newPace(ctx context.Context, step time.Duration) (next func() error, end func(), err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, nil, err
	}
	every := unix.NsecToTimespec(step.Nanoseconds())
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fd))
	}
	timer := os.NewFile(uintptr(fd), "timer")
	forget := context.AfterFunc(ctx, func() { _ = timer.SetReadDeadline(time.Unix(1, 0)) })
	var expirations [8]byte
	next = func() error {
		_, err := timer.Read(expirations[:])
		return err
	}
	return next, func() {
		forget()
		_ = timer.Close()
	}, nil
}
