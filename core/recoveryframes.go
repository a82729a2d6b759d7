package sio

import (
	"sync"
	"weak"

	"github.com/sioplug/sioplug/internal/frame"
)

// sharedFrames are the frames of replayed messages, for as long as any client has them
// queued. After a failure of the network, many clients come back at the same time and
// have missed the same events. A single client shares nothing.
type sharedFrames struct {
	mu       sync.Mutex
	replays  int // that are going on
	byOffset map[string]weakFrames
	sweepAt  int // the number of offsets at which freed frames are looked for
}

// weakFrames are the frames of one message, until the garbage collector frees them.
type weakFrames struct {
	text        weak.Pointer[frame.Frame]
	attachments []weak.Pointer[frame.Frame]
}

// minSweep is the number of offsets from which on freed frames are looked for.
const minSweep = 1024

// replayBegins counts a replay.
func (f *sharedFrames) replayBegins() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replays++
}

// replayEnds undoes replayBegins.
func (f *sharedFrames) replayEnds() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replays--; f.replays == 0 {
		f.byOffset, f.sweepAt = nil, 0
	}
}

// get returns the frames of an offset. It calls encode if there are none.
func (f *sharedFrames) get(offset string, encode func() ([]*frame.Frame, error)) ([]*frame.Frame, error) {
	fs, shares := f.find(offset)
	if fs != nil {
		return fs, nil
	}
	fs, err := encode()
	if err != nil || len(fs) == 0 || !shares {
		return fs, err
	}
	w := weakFrames{text: weak.Make(fs[0])}
	for _, a := range fs[1:] {
		w.attachments = append(w.attachments, weak.Make(a))
	}
	f.add(offset, w)
	return fs, nil
}

// find returns the frames of an offset, nil if there are none. It also reports whether
// other replays may share frames.
func (f *sharedFrames) find(offset string) (fs []*frame.Frame, shares bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replays < 2 {
		return nil, false
	}
	return f.byOffset[offset].frames(), true
}

func (f *sharedFrames) add(offset string, w weakFrames) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replays == 0 {
		return
	}
	if f.byOffset == nil {
		f.byOffset = make(map[string]weakFrames)
	}
	if len(f.byOffset) >= max(minSweep, f.sweepAt) {
		for o, w := range f.byOffset {
			if w.text.Value() == nil {
				delete(f.byOffset, o)
			}
		}
		f.sweepAt = 2 * len(f.byOffset)
	}
	f.byOffset[offset] = w
}

// frames returns the frames, nil if any of them has been freed.
func (w weakFrames) frames() []*frame.Frame {
	text := w.text.Value()
	if text == nil {
		return nil
	}
	fs := make([]*frame.Frame, 1, 1+len(w.attachments))
	fs[0] = text
	for _, p := range w.attachments {
		a := p.Value()
		if a == nil {
			return nil
		}
		fs = append(fs, a)
	}
	return fs
}
