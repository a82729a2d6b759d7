package payload

import (
	"bytes"

	"github.com/sioplug/sioplug/internal/frame"
)

// separator stands between the packets of a payload (EIO-ENC-6).
const separator = 0x1E

// Append appends the frames as one payload. Frames that concern only a
// WebSocket connection are left out.
func Append(dst []byte, frames []*frame.Frame) []byte {
	first := true
	for _, f := range frames {
		if f.Control() {
			continue
		}
		if !first {
			dst = append(dst, separator)
		}
		first = false
		if f.Binary() {
			dst = AppendBinary(dst, f.Payload())
		} else {
			dst = append(dst, f.Payload()...)
		}
	}
	return dst
}

// A Reader splits a payload into its packets. The zero Reader has none; an
// empty payload holds one empty packet, which is an error (EIO-POST-6).
type Reader struct {
	rest []byte
	more bool
}

// NewReader returns a Reader of p.
func NewReader(p []byte) Reader { return Reader{rest: p, more: true} }

// More reports whether there is another packet.
func (r *Reader) More() bool { return r.more }

// Next decodes the next packet. Decoding should stop at the first error
// (EIO-DEC-6). The packets before the error count.
func (r *Reader) Next() (Packet, error) {
	if !r.more {
		return Packet{}, errNoPacket
	}
	p := r.rest
	i := bytes.IndexByte(p, separator)
	if r.more = i >= 0; r.more {
		p, r.rest = p[:i], p[i+1:]
	}
	return Decode(p)
}
