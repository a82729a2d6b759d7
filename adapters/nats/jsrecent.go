package natsadapter

import (
	"slices"
	"sync"
)

// maxRecentBytes bounds the memory for recent messages, and maxRecentPage is how many a replay
// takes at once.
const (
	maxRecentBytes = 8 << 20
	maxRecentPage  = 64
)

// A recentMessages has the last messages of the stream that this server has read. When many
// clients come back at once, they have missed the same ones, and JetStream gives them one by one.
// The numbers of the messages have no gaps. It is safe for concurrent use.
type recentMessages struct {
	mu     sync.Mutex
	stream uint64   // that they are of
	list   []stored // the oldest one first
	bytes  int
}

// add adds a message, as the last one. If it does not follow the one before, those are forgotten.
func (r *recentMessages) add(stream uint64, m stored) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.list); n > 0 && (stream != r.stream || m.seq != r.list[n-1].seq+1) {
		r.list, r.bytes = nil, 0
	}
	r.stream = stream
	r.list = append(r.list, m)
	r.bytes += m.size()
	for r.bytes > maxRecentBytes {
		r.bytes -= r.list[0].size()
		r.list[0] = stored{} // the array is still in use
		r.list = r.list[1:]
	}
}

// from returns the messages from a number on, up to n of them, or nil if that one is not there.
func (r *recentMessages) from(stream, seq uint64, n int) []stored {
	r.mu.Lock()
	defer r.mu.Unlock()
	if stream != r.stream || len(r.list) == 0 || seq < r.list[0].seq || seq > r.list[len(r.list)-1].seq {
		return nil
	}
	rest := r.list[seq-r.list[0].seq:]
	return slices.Clone(rest[:min(n, len(rest))])
}

func (s *stored) size() int { return messageOverhead + len(s.subject) + len(s.data) }
