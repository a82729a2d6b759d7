package websocket

import "sync"

// bufferSize is what one system call reads or writes at most, except for
// frames that are longer and need no gathering.
const bufferSize = 16 << 10

// A buffer is scratch memory for one step of reading or writing.
type buffer [bufferSize]byte

// buffers is shared by all connections: that is what lets thousands of them
// wait without holding one.
//
//nolint:gochecknoglobals // scratch memory only; nothing is ever found in it again
var buffers sync.Pool

func getBuffer() *buffer {
	b, ok := buffers.Get().(*buffer)
	if !ok {
		b = new(buffer)
	}
	return b
}

// putBuffer gives b back. Nobody may use it any longer; nil is ignored.
func putBuffer(b *buffer) {
	if b != nil {
		buffers.Put(b)
	}
}
