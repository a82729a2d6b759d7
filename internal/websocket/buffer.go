package websocket

import "sync"

// bufferSize is the most that one system call reads or writes. A single longer frame is
// written without a buffer.
const bufferSize = 16 << 10

// smallSize is the size of the first read. Most connections never receive more at a
// time, and a goroutine may have to wait while it holds a buffer: parsing allocates, and
// during a garbage collection the runtime may stop goroutines that allocate, hundreds of
// them at a time.
const smallSize = 2 << 10

// A buffer is scratch memory for one read or write. It has one of the two sizes.
type buffer []byte

// Buffers are shared by all connections, so a connection that waits holds none.
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

// putBuffer gives b back. The caller must not use it afterwards. nil is ignored.
func putBuffer(b *buffer) {
	switch {
	case b == nil:
	case len(*b) == smallSize:
		smallBuffers.Put(b)
	default:
		buffers.Put(b)
	}
}
