package websocket

import (
	"encoding/binary"
	"math"

	"github.com/gobwas/ws"
)

// Sizes of the parts of a frame header (RFC 6455 section 5.2).
const (
	headSize  = 2 // FIN, RSV1-3, opcode; MASK, length
	len16Size = 2
	len64Size = 8
	maskSize  = 4

	// The first of the reserved bits, as [ws.Header] has them.
	rsv1 = 0x4

	// Values of the 7-bit length that announce a longer one.
	len16 = 126
	len64 = 127
)

// maxSplitFrame is the length of the longest control frame. A header and a control frame
// are parsed in one piece, and a header is shorter.
const maxSplitFrame = headSize + maskSize + ws.MaxControlFramePayloadSize

// header parses the frame header at the beginning of p. size is its length, or 0 if p
// ends before the header does. Errors in the first two bytes are reported in any case.
//
// A data frame whose length would have fitted a shorter form is accepted. RFC
// 6455 section 5.2 asks for the shortest, but nothing depends on it, and the
// JavaScript server accepts it too.
func header(p []byte, fragmented, compression, fromServer bool) (h ws.Header, size int, err error) {
	if len(p) < headSize {
		return h, 0, nil
	}
	h.Fin = p[0]&0x80 != 0
	h.Rsv = p[0] >> 4 & 0x7
	h.OpCode = ws.OpCode(p[0] & 0xF)
	h.Masked = p[1]&0x80 != 0
	h.Length = int64(p[1] & 0x7F)
	if err := checkHeader(h, fragmented, compression, fromServer); err != nil {
		return h, 0, err
	}
	size = headSize
	if !fromServer {
		size += maskSize
	}
	switch h.Length {
	case len16:
		size += len16Size
	case len64:
		size += len64Size
	}
	if len(p) < size {
		return h, 0, nil
	}
	if !fromServer {
		copy(h.Mask[:], p[size-maskSize:size])
	}
	switch h.Length {
	case len16:
		h.Length = int64(binary.BigEndian.Uint16(p[headSize:]))
	case len64:
		n := binary.BigEndian.Uint64(p[headSize:])
		if n > math.MaxInt64 {
			return h, 0, &ProtocolError{codeProtocol, "64-bit length with the top bit set"}
		}
		h.Length = int64(n)
	}
	return h, size, nil
}

// checkHeader refuses reserved bits and opcodes, frames of a client without a mask and
// of a server with one, control frames that are long or fragmented, and data frames that
// do not go with a message having begun or not (RFC 6455 sections 5.1, 5.2, 5.4, 5.5). It
// needs no more than the first two bytes: only a length of at most 125, the longest of a
// control frame, has no other form.
//
// With compression, the first reserved bit may stand in the first frame of a
// message, and only there (RFC 7692 section 6).
func checkHeader(h ws.Header, fragmented, compression, fromServer bool) error {
	if compression && h.Rsv == rsv1 && (h.OpCode == ws.OpText || h.OpCode == ws.OpBinary) {
		h.Rsv = 0
	}
	state := ws.StateServerSide
	if fromServer {
		state = ws.StateClientSide
	}
	if fragmented {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return &ProtocolError{codeProtocol, err.Error()}
	}
	return nil
}
