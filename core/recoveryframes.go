package sio

import (
	"sync"
	"weak"

	"github.com/sioplug/sioplug/internal/frame"
)

// sharedFrames are those that messages of the log have become, for as long as they
// wait for any client: many clients come back at the same time, after a failure of
// the network, and have missed the same. One that comes back alone shares nothing.
type sharedFrames struct {
	mu       sync.Mutex
	replays  int // that are going on
	byOffset map[string]weakFrames
	sweepAt  int // the number of offsets at which those are looked for whose frames have gone
}

// weakFrames are those of one message, unless the garbage collector has them.
type weakFrames struct {
	text        weak.Pointer[frame.Frame]
	attachments []weak.Pointer[frame.Frame]
}

// minSweep is how many offsets are known before any is looked at again.
const minSweep = 1024

// replayBegins notes that a replay begins.
func (f *sharedFrames) replayBegins() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replays++
}

// replayEnds notes that a replay has ended.
func (f *sharedFrames) replayEnds() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.replays--; f.replays == 0 {
		f.byOffset, f.sweepAt = nil, 0
	}
}

// get returns frames that are there, or that encode makes.
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

// find also reports whether others may want the frames.
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

// frames returns the frames, nil if not all are there.
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
