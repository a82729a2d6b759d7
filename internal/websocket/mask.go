package websocket

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/gobwas/ws"

	"github.com/sioplug/sioplug/internal/frame"
)

// masked is the bit of a header that says that a mask follows (RFC 6455 section 5.2).
const masked = 0x80

// writeMasked is [Conn.Write] for the client's end. Frames that the peer takes at once
// need no memory but a buffer that is borrowed.
func (c *Conn) writeMasked(frames []*frame.Frame) (blocked bool, err error) {
	if c.raw == nil || len(c.out.head) > 0 {
		c.out.head = AppendMasked(c.out.head, frames)
		return !c.out.empty(), nil
	}
	buf := getBuffer()
	defer putBuffer(buf)
	p := AppendMasked((*buf)[:0], frames)
	rest, err := c.writeRaw(pendingWrite{head: p}, false)
	switch {
	case err != nil:
		return false, c.connError(err)
	case rest.empty():
		return false, nil
	}
	c.out.head = append([]byte(nil), rest.head...) // the buffer is given back
	return true, nil
}

// AppendMasked appends the frames as a client sends them: each with a mask of its own
// (RFC 6455 section 5.3). The frames do not change.
//
// A mask must not be predictable for those who choose the payload. The random numbers of
// math/rand/v2 are those of a ChaCha8 generator that the runtime seeds.
func AppendMasked(dst []byte, frames []*frame.Frame) []byte {
	for _, f := range frames {
		payload := f.Payload()
		head := f.Wire()
		head = head[:len(head)-len(payload)]
		var mask [maskSize]byte
		binary.LittleEndian.PutUint32(mask[:], rand.Uint32()) //nolint:gosec // see above
		start := len(dst)
		dst = append(dst, head...)
		dst[start+1] |= masked
		dst = append(dst, mask[:]...)
		start = len(dst)
		dst = append(dst, payload...)
		ws.Cipher(dst[start:], mask, 0)
	}
	return dst
}
