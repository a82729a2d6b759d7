package frame

import "sync"

const (
	// slotSize is how many bytes a slot has room for from the start: those of a
	// small packet.
	slotSize = 160

	// maxKeptBuffer is the largest buffer that a slot keeps for its next frame.
	maxKeptBuffer = 4 << 10
)

// A Slot is the memory for one frame, its payload, and a list of it and one more:
// one allocation instead of three, or none if the slot has been used before.
type Slot struct {
	frame    Frame
	list     [2]*Frame // an event has one attachment or none, mostly
	single   bool
	largeBuf []byte // the larger buffer that an earlier frame needed, or nil
	space    [Headroom + slotSize]byte
}

var slots = sync.Pool{New: func() any { return &Slot{single: true} }} //nolint:gochecknoglobals // a pool of buffers

// Shared returns a slot for a frame that may have many receivers. It is not used
// again.
func Shared() *Slot { return new(Slot) }

// Single returns a slot for a frame with one receiver. The receiver calls
// [Frame.Release] when the frame has been sent. If it does not, the garbage collector
// frees the memory.
func Single() *Slot {
	s := slots.Get().(*Slot) //nolint:forcetypeassert,errcheck // nothing else is in there
	s.frame.slot = s
	return s
}

// Buffer returns the slot's empty payload buffer, to be appended to and then
// given to [Slot.Text].
func (s *Slot) Buffer() []byte {
	if s.largeBuf != nil {
		return s.largeBuf[:Headroom]
	}
	return s.space[:Headroom]
}

// Text is like the function [Text] for a slice that began as [Slot.Buffer]. It
// returns a list of that frame and of others that carry these attachments, which
// are copied, for the same receivers.
func (s *Slot) Text(buf []byte, attachments [][]byte) []*Frame {
	s.init(buf, opText)
	s.list[0] = &s.frame
	list := s.list[:1]
	for _, p := range attachments {
		list = append(list, s.binary(p))
	}
	return list
}

// init makes the slot's frame. From here on, the frame has the only reference to
// a larger buffer.
func (s *Slot) init(buf []byte, opcode byte) {
	s.frame.init(buf, opcode)
	s.largeBuf = nil
	if cap(buf) <= len(s.space) {
		s.frame.setMemory(slotMemory)
	} else {
		s.frame.setMemory(slotMemory + cap(buf))
	}
}

// binary returns a frame for the same receivers as the slot's.
func (s *Slot) binary(p []byte) *Frame {
	if !s.single {
		return Binary(append(Buffer(len(p)), p...))
	}
	b := Single()
	b.init(append(b.Buffer(), p...), opBinary)
	return &b.frame
}

// Release gives back the memory of a frame with one receiver. The frame must not be used
// afterwards. For other frames it does nothing.
func (f *Frame) Release() {
	s := f.slot
	if s == nil {
		return
	}
	if n := cap(f.buf); n > len(s.space) && n <= maxKeptBuffer {
		s.largeBuf = f.buf[:0]
	}
	s.frame.slot, s.frame.buf, s.frame.uncompressed, s.frame.policy = nil, nil, false, nil
	s.frame.compressed.Store(nil)
	clear(s.list[:])
	slots.Put(s)
}
