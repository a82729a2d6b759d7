package websocket

import "unsafe"

// Size is what a Conn takes on the heap.
const Size = unsafe.Sizeof(Conn{})

// BufferSize is the limit of what is gathered for one system call.
const BufferSize = bufferSize

// Parse is what Serve does with the bytes of one read.
func (c *Conn) Parse(h Handler, p []byte) error { return c.parse(h, p) }

// Held is the memory that a Conn keeps for what is not complete.
func (c *Conn) Held() int { return cap(c.msg) + cap(c.unparsed) }

// CompressionSize is what a Conn takes more on the heap if it compresses.
const CompressionSize = unsafe.Sizeof(compression{})

// Remembered is the memory that a Conn keeps for context takeover.
func (c *Conn) Remembered() int {
	n := 0
	for _, w := range []*window{c.compression.in, c.compression.out} {
		if w != nil {
			n += cap(w.buf)
		}
	}
	return n
}

// Inflate decompresses one message.
func Inflate(p, window []byte, limit int) ([]byte, error) { return inflate(nil, p, window, limit) }
