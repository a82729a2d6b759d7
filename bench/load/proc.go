package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// jiffy is the unit in which Linux tells CPU times, on all architectures that Go
// knows.
const jiffy = 10 * time.Millisecond

// cpuTime returns how long a process has been running on processors, in its own
// code and in the kernel.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The second field is the program's name in parentheses, which may hold spaces.
	return jiffies(b[bytes.LastIndexByte(b, ')')+1:], 11, 12), err
}

// machineTime returns how long all processors have been busy, and away, if the
// machine is a virtual one.
func machineTime() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	return jiffies(b, 1, 2, 3, 6, 7, 8), err // without idle and iowait
}

// jiffies adds up fields.
func jiffies(line []byte, which ...int) (sum time.Duration) {
	fields := bytes.Fields(line)
	for _, i := range which {
		if i < len(fields) {
			n, _ := strconv.ParseInt(string(fields[i]), 10, 64)
			sum += time.Duration(n) * jiffy
		}
	}
	return sum
}

// residentBytes returns how much memory a process occupies. This sum over its
// pages is exact, while the kernel's counter is not.
func residentBytes(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(b, []byte("\nRss:"))
	var kib float64
	_, err = fmt.Sscan(string(rest), &kib)
	return kib * 1024, err
}
