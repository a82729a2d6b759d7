// Package frame holds outgoing Engine.IO packets in the one form that every
// transport can send without copying them again.
package frame

import (
	"encoding/binary"
	"math"
	"sync/atomic"
)

// Headroom is the length of the longest header a server's WebSocket frame can
// have: two bytes and a 64-bit length (RFC 6455 section 5.2; servers do not
// mask).
const Headroom = 10

// WebSocket opcodes (RFC 6455 section 5.2) that a server sends.
const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPong   = 0xA

	fin  = 0x80
	rsv1 = 0x40 // the payload is compressed (RFC 7692 section 7.2.3)
)

// A Frame is one Engine.IO packet on its way to any number of receivers: the
// packet as text (its type character first) or the raw bytes of a binary
// message, with a ready WebSocket header in front of it. Apart from the compressed form
// that it keeps, it is immutable. It may be queued on many connections at once, so a
// broadcast costs one encoding.
type Frame struct {
	buf          []byte // Headroom bytes, of which the last ones are the header; then the payload
	start        int    // where the WebSocket header begins in buf
	opcode       byte
	uncompressed bool   // see SetUncompressed
	memory       uint32 // see Memory
	slot         *Slot  // of a frame that is used again, otherwise nil
	policy       *Policy

	compressed atomic.Pointer[Frame] // see SetCompressed
}

// Buffer returns an empty payload buffer with room for n bytes, to be appended
// to and then given to [Text] or [Binary].
func Buffer(n int) []byte {
	return make([]byte, Headroom, Headroom+n)
}

// Text returns a frame with the text packet that was appended to a slice from
// [Buffer]. The frame owns buf from then on.
func Text(buf []byte) *Frame { return newFrame(buf, opText) }

// Binary is like [Text] for the bytes of a binary message.
func Binary(buf []byte) *Frame { return newFrame(buf, opBinary) }

// Pong returns the WebSocket answer to a ping with this payload, at most 125
// bytes.
func Pong(payload []byte) *Frame {
	return newFrame(append(Buffer(len(payload)), payload...), opPong)
}

// Close returns a WebSocket close frame; code 0 stands for none, which the
// peer sees as 1005 (RFC 6455 section 7.1.5).
func Close(code uint16, reason string) *Frame {
	buf := Buffer(2 + len(reason))
	if code != 0 {
		buf = append(binary.BigEndian.AppendUint16(buf, code), reason...)
	}
	return newFrame(buf, opClose)
}

func newFrame(buf []byte, opcode byte) *Frame {
	f := new(Frame)
	f.init(buf, opcode)
	f.setMemory(frameMemory + cap(buf))
	return f
}

// The memory of a frame beside its buffer, in the allocator's sizes: a place in a queue
// that grows by doubling, and the Frame or the Slot.
const (
	queueEntryMemory = 16
	frameMemory      = queueEntryMemory + 64
	slotMemory       = queueEntryMemory + 288
)

func (f *Frame) setMemory(n int) { f.memory = uint32(min(n, math.MaxUint32)) } //nolint:gosec // it fits

// Memory returns how many bytes of memory the frame takes while it waits to be sent, its
// place in a queue included.
func (f *Frame) Memory() int {
	if f.policy != nil {
		return int(f.memory) + f.policy.memory()
	}
	return int(f.memory)
}

// Compact copies a frame to a smaller buffer, if it is going to wait and its buffer is
// much too large. It has to be called before the frame is queued. It does nothing to a
// frame that may have several receivers.
func (f *Frame) Compact() {
	s, n := f.slot, len(f.buf)
	switch {
	case s == nil || cap(f.buf) <= len(s.space) || cap(f.buf) < 2*n:
	case n <= len(s.space):
		copy(s.space[:], f.buf)
		f.buf = s.space[:n]
		f.setMemory(slotMemory)
	default:
		f.buf = append([]byte(nil), f.buf...)
		f.setMemory(slotMemory + cap(f.buf))
	}
}

func (f *Frame) init(buf []byte, opcode byte) {
	f.buf, f.opcode = buf, opcode
	n := len(buf) - Headroom
	switch {
	case n < 126:
		f.start = Headroom - 2
		buf[f.start+1] = byte(n) //nolint:gosec // less than 126
	case n < 1<<16:
		f.start = Headroom - 4
		buf[f.start+1] = 126
		binary.BigEndian.PutUint16(buf[f.start+2:], uint16(n))
	default:
		f.start = Headroom - 10
		buf[f.start+1] = 127
		binary.BigEndian.PutUint64(buf[f.start+2:], uint64(n))
	}
	buf[f.start] = fin | opcode
}

// Payload returns the packet without the WebSocket header. The caller must not
// change it.
func (f *Frame) Payload() []byte { return f.buf[Headroom:] }

// Wire returns the whole WebSocket frame. The caller must not change it.
func (f *Frame) Wire() []byte { return f.buf[f.start:] }

// Binary reports whether the payload is a binary message and not a text packet.
func (f *Frame) Binary() bool { return f.opcode == opBinary }

// Control reports whether the frame concerns the WebSocket connection alone
// (pong, close) and carries no Engine.IO packet.
func (f *Frame) Control() bool { return f.opcode >= opClose }

// Len returns the number of bytes that [Frame.Wire] has.
func (f *Frame) Len() int { return len(f.buf) - f.start }

// Deflated returns a WebSocket frame with the same message, compressed to
// payload, which is copied. It is for connections that have agreed upon
// permessage-deflate; its Payload is no packet.
func (f *Frame) Deflated(payload []byte) *Frame {
	g := newFrame(append(Buffer(len(payload)), payload...), f.opcode)
	g.buf[g.start] |= rsv1
	return g
}

// SetUncompressed keeps the frame from being compressed, because that would waste time,
// or be unsafe beside a secret. It has to be called before the frame is queued.
func (f *Frame) SetUncompressed() { f.uncompressed = true }

// Uncompressed reports whether [Frame.SetUncompressed] was called.
func (f *Frame) Uncompressed() bool { return f.uncompressed }

// Compressed returns the frame of SetCompressed, nil before.
func (f *Frame) Compressed() *Frame { return f.compressed.Load() }

// SetCompressed keeps a compressed form of f, or f itself if it is not worth
// compressing. Other connections send that form in its place, so a broadcast costs one
// compression. It is safe for concurrent use; of several forms the first is kept.
func (f *Frame) SetCompressed(g *Frame) { f.compressed.CompareAndSwap(nil, g) }
