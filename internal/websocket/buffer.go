package websocket

import "sync"

// bufferSize is what one system call reads or writes at most, except for
// frames that are longer and need no gathering.
const bufferSize = 16 << 10

// smallSize is the same for a connection that is not known to receive more at a
// time. Most never do, and a goroutine may have to wait while it holds a buffer:
// what is done with the input allocates, and whoever allocates during a garbage
// collection may be told to wait for it, with hundreds of others.
const smallSize = 2 << 10

// A buffer is scratch memory for one step of reading or writing. It has either
// of the two sizes.
type buffer []byte

// Buffers are shared by all connections: that is what lets thousands of them
// wait without holding one.
//
//nolint:gochecknoglobals // scratch memory only; nothing is ever found in it again
var buffers, smallBuffers sync.Pool

func getBuffer() *buffer { return getFrom(&buffers, bufferSize) }

func getSmallBuffer() *buffer { return getFrom(&smallBuffers, smallSize) }

func getFrom(pool *sync.Pool, size int) *buffer {
	if b, ok := pool.Get().(*buffer); ok {
		return b
	}
	b := make(buffer, size)
	return &b
}

// putBuffer gives b back. Nobody may use it any longer; nil is ignored.
func putBuffer(b *buffer) {
	switch {
	case b == nil:
	case len(*b) == smallSize:
		smallBuffers.Put(b)
	default:
		buffers.Put(b)
	}
}
