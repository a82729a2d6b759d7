//go:build !race

package frame_test

import (
	"runtime"
	"testing"

	"github.com/sioplug/sioplug/internal/frame"
)

// What waits for a client is counted at what it costs, whatever its size and
// wherever its memory comes from.
func TestAllocationsOfFramesAreKnown(t *testing.T) {
	single := func(n int) func() *frame.Frame {
		return func() *frame.Frame {
			s := frame.Single()
			return s.Text(append(s.Buffer(), make([]byte, n)...), nil)[0]
		}
	}
	for name, tt := range map[string]struct {
		make func() *frame.Frame
		size int
	}{
		"empty":           {single(0), 310},
		"small":           {single(150), 310},
		"larger":          {single(500), 900},
		"large":           {single(10_000), 11_000},
		"huge":            {single(1 << 20), 1<<20 + 20_000},
		"shared":          {func() *frame.Frame { s := frame.Shared(); return s.Text(s.Buffer(), nil)[0] }, 310},
		"text":            {func() *frame.Frame { return frame.Text(frame.Buffer(128)) }, 250},
		"binary":          {func() *frame.Frame { return frame.Binary(append(frame.Buffer(1000), make([]byte, 1000)...)) }, 1200},
		"pong":            {func() *frame.Frame { return frame.Pong(nil) }, 100},
		"close":           {func() *frame.Frame { return frame.Close(1000, "") }, 100},
		"small, compact":  {compact(0), 310},
		"larger, compact": {compact(400), 800},
	} {
		t.Run(name, func(t *testing.T) {
			n := min(20_000, 64<<20/tt.size) // so many that what the runtime adds meanwhile is nothing
			queue, counted := make([]*frame.Frame, n), 0
			before := heap()
			for i := range queue {
				queue[i] = tt.make()
				counted += queue[i].Memory()
			}
			taken := int(heap()-before) + 16*n
			runtime.KeepAlive(queue)
			if taken > counted+counted/10 || counted > n*tt.size {
				t.Errorf("%d bytes each, %d are counted, expected at most %d", taken/n, counted/n, tt.size)
			}
		})
	}
}

// compact makes frames of slots that had a larger one before.
func compact(n int) func() *frame.Frame {
	return func() *frame.Frame {
		s := frame.Single()
		s.Text(append(s.Buffer(), make([]byte, 3000)...), nil)[0].Release()
		s = frame.Single()
		f := s.Text(append(s.Buffer(), make([]byte, n)...), nil)[0]
		f.Compact()
		return f
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // empties pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
