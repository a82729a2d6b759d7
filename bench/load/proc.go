package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit in which Linux tells CPU times, USER_HZ, on all the
// architectures that Go knows.
const tick = 10 * time.Millisecond

// cpuTime returns how long a process has been running on processors, for itself
// and in the kernel.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the program's name in parentheses, which may hold spaces.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return ticks(fields[11:13])
}

// machineTime returns how long all processors have been busy, with what other
// machines took of this one, if it is a virtual one.
func machineTime() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	const idle = 4
	busy, err := ticks(fields[1:idle])
	if err != nil {
		return 0, err
	}
	rest, err := ticks(fields[idle+2 : 9]) // idle and waiting for disks are not busy
	return busy + rest, err
}

func ticks(fields [][]byte) (time.Duration, error) {
	var sum time.Duration
	for _, f := range fields {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// residentBytes returns how much memory a process occupies. The sum of its pages
// is exact, unlike what /proc/PID/status says.
func residentBytes(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(b, []byte("\nRss:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0, errors.New("smaps_rollup has no Rss")
	}
	kib, err := strconv.ParseFloat(string(fields[0]), 64)
	return kib * 1024, err
}
