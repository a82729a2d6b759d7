package payload

import (
	"encoding/base64"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/text"
)

// Revision 3 of the protocol, for clients of Socket.IO 1 and 2. Its text
// packets are those of revision 4. There are two differences (EIO section 14). A binary
// packet names its type, like all packets. The packets of a payload have a length in
// front instead of a separator between them, and a payload with binary has a form of its
// own.

// In a payload with binary, the bytes before and behind a packet's length (EIO-V3-5).
const (
	kindText   = 0x00
	kindBinary = 0x01
	lengthEnd  = 0xFF
)

// ErrLength is the error of a revision 3 payload with a length that is missing,
// that is no number, or that does not fit what follows.
var ErrLength = errors.New("payload has a bad length")

// DecodeV3 is [Decode] for revision 3, where a binary packet that travels as
// text tells its type behind the mark (EIO-V3-3).
func DecodeV3(p []byte) (Packet, error) {
	if len(p) == 0 || p[0] != base64Mark {
		return Decode(p)
	}
	if len(p) == 1 || Type(p[1]) < Open || Type(p[1]) > Noop {
		return Packet{}, ErrType
	}
	return Packet{Type: Type(p[1]), Binary: true, Data: text.Base64(p[2:])}, nil
}

// DecodeBinaryV3 decodes a binary packet of revision 3, which begins with its
// type as a number (EIO-V3-6, EIO-V3-12).
func DecodeBinaryV3(p []byte) (Packet, error) {
	switch {
	case len(p) == 0:
		return Packet{}, ErrEmpty
	case p[0] > byte(Noop-Open):
		return Packet{}, ErrType
	}
	return Packet{Type: Open + Type(p[0]), Binary: true, Data: p[1:]}, nil
}

// AppendBinaryV3 appends a binary message as it is on a WebSocket (EIO-V3-12).
func AppendBinaryV3(dst, data []byte) []byte {
	return append(append(dst, byte(Message-Open)), data...)
}

// AppendBase64V3 appends a binary message in its text form (EIO-V3-3).
func AppendBase64V3(dst, data []byte) []byte {
	return base64.StdEncoding.AppendEncode(append(dst, base64Mark, byte(Message)), data)
}

// AppendV3 appends the frames as one payload of revision 3, and reports whether
// it is one for binary, which has a content type of its own. It is if any frame
// is binary (EIO-V3-7). Frames hold packets of revision 3 already, and those
// that concern only a WebSocket connection are left out.
func AppendV3(dst []byte, frames []*frame.Frame) (payload []byte, octets bool) {
	packets := 0
	for _, f := range frames {
		if !f.Control() {
			packets++
			octets = octets || f.Binary()
		}
	}
	if packets == 0 { // EIO-V3-8
		return append(dst, "0:"...), false
	}
	for _, f := range frames {
		switch {
		case f.Control():
		case octets:
			dst = appendOctets(dst, f)
		default:
			dst = strconv.AppendInt(dst, int64(utf16Len(f.Payload())), 10)
			dst = append(append(dst, ':'), f.Payload()...)
		}
	}
	return dst, octets
}

// appendOctets appends a packet to a payload with binary in it: the kind, the
// length in bytes with a byte for each of its digits, and the packet (EIO-V3-5).
func appendOctets(dst []byte, f *frame.Frame) []byte {
	kind := byte(kindText)
	if f.Binary() {
		kind = kindBinary
	}
	dst = append(dst, kind)
	start := len(dst)
	dst = strconv.AppendInt(dst, int64(len(f.Payload())), 10)
	for i := start; i < len(dst); i++ {
		dst[i] -= '0'
	}
	return append(append(dst, lengthEnd), f.Payload()...)
}

// utf16Len returns the length of a text in UTF-16 code units, as JavaScript counts it
// (EIO-V3-2).
func utf16Len(p []byte) int {
	n := 0
	for _, r := range string(p) { // does not copy
		n++
		if r > maxOneUnit {
			n++
		}
	}
	return n
}

// maxOneUnit is the last character that UTF-16 has in one code unit.
const maxOneUnit = 0xFFFF

// A ReaderV3 is a [Reader] of a revision 3 payload. Each step costs no more than
// the bytes it is over, whatever length they claim.
type ReaderV3 struct {
	rest   []byte
	octets bool
	more   bool
}

// NewReaderV3 returns a ReaderV3 of p, which is of the form for binary if octets
// is set, and otherwise text. An empty text is an error, "0:" and an empty
// binary payload are not (EIO-V3-8, EIO-V3-10). Lengths count the text that p is when
// everything that is not UTF-8 has become U+FFFD.
func NewReaderV3(p []byte, octets bool) ReaderV3 {
	if !octets {
		p = text.Valid(p)
	}
	r := ReaderV3{rest: p, octets: octets}
	r.skipEmpty()
	if len(p) == 0 {
		r.more = !octets
	}
	return r
}

// More reports whether there is another packet.
func (r *ReaderV3) More() bool { return r.more }

// Next decodes the next packet. As with [Reader.Next], the packets before the first error
// count, and those behind it do not.
func (r *ReaderV3) Next() (Packet, error) {
	if !r.more {
		return Packet{}, errNoPacket
	}
	p, binary, err := r.nextPacket()
	if err != nil {
		r.more = false
		return Packet{}, err
	}
	r.skipEmpty()
	if binary {
		return DecodeBinaryV3(p)
	}
	return DecodeV3(p)
}

// skipEmpty skips empty packets. The reference ignores them in text.
func (r *ReaderV3) skipEmpty() {
	for !r.octets {
		n, rest, ok := parseLength(r.rest, '0', ':')
		if !ok || n > 0 {
			break
		}
		r.rest = rest
	}
	r.more = len(r.rest) > 0
}

// nextPacket takes the next packet off the payload.
func (r *ReaderV3) nextPacket() (p []byte, binary bool, err error) {
	rest := r.rest
	if !r.octets {
		if len(rest) == 0 {
			return nil, false, ErrEmpty
		}
		n, rest, ok := parseLength(rest, '0', ':')
		if !ok {
			return nil, false, ErrLength
		}
		p, r.rest, err = cutUTF16(rest, n)
		return p, false, err
	}
	kind := rest[0]
	n, rest, ok := parseLength(rest[1:], 0, lengthEnd)
	if kind > kindBinary || !ok || n > len(rest) { // EIO-V3-11
		return nil, false, ErrLength
	}
	p, r.rest = rest[:n], rest[n:]
	return p, kind == kindBinary, nil
}

// parseLength takes a decimal number off p, whose digits count from zero and which
// ends with end. One that is larger than p, and so larger than what it is the
// length of, is not ok: a code unit has at least one byte.
func parseLength(p []byte, zero, end byte) (n int, rest []byte, ok bool) {
	for i, c := range p {
		if c == end {
			return n, p[i+1:], i > 0
		}
		digit := c - zero // wraps around for characters below zero
		if digit > 9 {
			break
		}
		if n = 10*n + int(digit); n > len(p) {
			break
		}
	}
	return 0, nil, false
}

// cutUTF16 takes n UTF-16 code units off p. They must be complete characters: a
// string in Go cannot hold half of one (EIO-V3-19).
func cutUTF16(p []byte, n int) (head, rest []byte, err error) {
	i := 0
	for n > 0 && i < len(p) {
		r, size := utf8.DecodeRune(p[i:])
		if n--; r > maxOneUnit {
			n--
		}
		i += size
	}
	if n != 0 {
		return nil, nil, ErrLength
	}
	return p[:i], p[i:], nil
}
