//go:build unix

package forward_test

import (
	"syscall"
	"testing"
	"time"
)

// reportCPU reports the CPU time of this process for each operation, from now on until the
// function that it returns is called. It does not count waiting.
func reportCPU(b *testing.B) (report func()) {
	b.Helper()
	start := cpuTime(b)
	return func() { b.ReportMetric(float64(cpuTime(b)-start)/float64(time.Microsecond)/float64(b.N), "cpu-µs/op") }
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
