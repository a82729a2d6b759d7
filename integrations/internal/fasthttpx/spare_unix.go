//go:build unix

package fasthttpx

import (
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
		return nil //nolint:nilerr // there is no telling
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
