package websocket

import (
	"errors"

	"github.com/klauspost/compress/flate"
)

// flushSize is the length of the empty block that ends what [flate.Writer.Flush]
// writes, and that is not sent (RFC 7692 section 7.2.1).
const flushSize = 4

// maxScratch is the longest buffer that the pools keep.
const maxScratch = 64 << 10

// A deflater compresses one message at a time.
type deflater struct {
	w   *flate.Writer
	out output
}

// newDeflater returns a deflater for a window that is a power of two. The level
// matters only for the largest; for the others there is just one.
func newDeflater(level, bits int) *deflater {
	d := new(deflater)
	var err error
	if bits == maxWindowBits {
		d.w, err = flate.NewWriter(&d.out, level)
	} else {
		d.w, err = flate.NewWriterWindow(&d.out, 1<<bits)
	}
	if err != nil {
		// The options were validated. Level 0 is valid and compresses nothing.
		d.w, _ = flate.NewWriter(&d.out, 0)
	}
	return d
}

// deflate compresses p. The result is valid until the next call. ok is false if the
// result would not be shorter. window has the bytes that the peer has decompressed
// before.
func (d *deflater) deflate(p, window []byte) (_ []byte, ok bool) {
	if cap(d.out.buf) > maxScratch {
		d.out.buf = nil
	}
	d.out.buf = d.out.buf[:0]
	d.out.limit = len(p) + flushSize - 1
	d.w.ResetDict(&d.out, window) // Reset would keep the window of the last message
	if _, err := d.w.Write(p); err != nil {
		return nil, false
	}
	if err := d.w.Flush(); err != nil {
		return nil, false
	}
	return d.out.buf[:len(d.out.buf)-flushSize], true
}

// An output collects the output of a deflater, up to a limit.
type output struct {
	buf   []byte
	limit int
}

var errIncompressible = errors.New("compressed, it would be longer")

// Write implements [io.Writer].
func (o *output) Write(p []byte) (int, error) {
	if len(o.buf)+len(p) > o.limit {
		return 0, errIncompressible
	}
	o.buf = append(o.buf, p...)
	return len(p), nil
}
