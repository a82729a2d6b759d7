package forward

import "sync"

// maxKept bounds the memory for what has come over the broker: bodies that were not read yet, the
// heads of requests that are being served, and answers.
const maxKept = 128 << 20

// A memory counts bytes that are kept.
type memory struct {
	mu   sync.Mutex
	used int
}

// reserve reports whether there is room. One thing always has room, whatever its size is.
func (m *memory) reserve(n int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.used+n > maxKept && m.used > 0 {
		return false
	}
	m.used += n
	return true
}

func (m *memory) release(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= n
}
