package frame

import "sync"

// slotSize is how many bytes a slot has room for: those of a small packet.
const slotSize = 160

// A Slot is the memory for one text frame, the list that it is alone in, and its
// payload if that is small: one allocation instead of three, or none if the slot
// has been used before. It is only worth it for what has not more than one text
// frame to send.
type Slot struct {
	frame Frame
	list  [1]*Frame
	space [Headroom + slotSize]byte
}

var slots = sync.Pool{New: func() any { return new(Slot) }} //nolint:gochecknoglobals // a pool of buffers

// Shared returns a slot for a frame that may have many receivers. It is not used
// again.
func Shared() *Slot { return new(Slot) }

// Single returns a slot for a frame that has one receiver, who calls
// [Frame.Release] when it has been sent. If nobody does, the garbage collector
// has it.
func Single() *Slot {
	s := slots.Get().(*Slot) //nolint:forcetypeassert,errcheck // nothing else is in there
	s.frame.home = s
	return s
}

// Buffer returns the slot's empty payload buffer, to be appended to and then
// given to [Slot.Text].
func (s *Slot) Buffer() []byte { return s.space[:Headroom] }

// Text is like the function [Text] for a slice that began as [Slot.Buffer]. It
// returns a list of that frame alone.
func (s *Slot) Text(buf []byte) []*Frame {
	s.frame.init(buf, opText)
	s.list[0] = &s.frame
	return s.list[:]
}

// Release gives the frame's memory back if it has only one receiver, who must
// not use it any more.
func (f *Frame) Release() {
	s := f.home
	if s == nil {
		return
	}
	s.frame.home, s.frame.buf, s.frame.plain = nil, nil, false
	s.frame.compressed.Store(nil)
	slots.Put(s)
}
