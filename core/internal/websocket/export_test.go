package websocket

import "unsafe"

// Size is what a Conn takes on the heap.
const Size = unsafe.Sizeof(Conn{})

// BufferSize is the limit of what is gathered for one system call.
const BufferSize = bufferSize

// Parse is what Serve does with the bytes of one read.
func (c *Conn) Parse(h Handler, p []byte) error { return c.parse(h, p) }

// Held is the memory that a Conn keeps for what is not complete.
func (c *Conn) Held() int { return cap(c.msg) + cap(c.tail) }
