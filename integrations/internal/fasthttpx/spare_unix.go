//go:build unix

package fasthttpx

import (
	"math"
	"os"
	"sync"
	"syscall"
)

// null is a descriptor to make others of.
var null = sync.OnceValues(func() (*os.File, error) { return os.Open(os.DevNull) }) //nolint:gochecknoglobals // never closed, nor changed

// spare returns an error if there are not enough descriptors for what comes next.
func spare() error {
	f, err := null()
	if err != nil {
		return nil
	}
	syscall.ForkLock.RLock() // or other programs would get them
	defer syscall.ForkLock.RUnlock()
	var made [spareDescriptors]int
	for i := range made {
		fd, err := syscall.Dup(int(f.Fd()))
		if err != nil {
			release(made[:i])
			return err
		}
		made[i] = fd
	}
	release(made[:])
	return nil
}

func release(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd) // it was never used
	}
}

// mostDescriptors returns how many descriptors the process can have.
func mostDescriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0 // who knows
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) //nolint:unconvert // not the same type everywhere
}
